"""Train what draws and reads MNIST's digits: three conditional denoisers, a classifier of noisy digits, a judge."""

from pathlib import Path

import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.models.attention_processor import Attention, AttnProcessor
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, mse_loss
from torchvision.datasets import MNIST
from tqdm import tqdm

from guidance import frame
from guidance.atomic import save
from guidance.models.networks import DENOISERS, NULL, SCHEDULER, DigitClassifier, DigitJudge
from guidance.training.trainer import DEVICE, Settings, keep, low, save_half, train

DATA = Path("runs/mnist")
DROP = 0.1  # the share of labels that are dropped, as in classifier-free guidance (Ho and Salimans, arXiv:2207.12598)
DENOISER = Settings(Path("runs/digits"), steps=20_000, learning_rate=1e-3, ema_decay=0.999)
NOTEBOOK = Settings(Path("runs/notebook-digits"), steps=10_000, learning_rate=1e-3, every=200)
CLASSIFIER = Settings(Path("runs/digit-classifier"), steps=6_000, learning_rate=1e-3, ema_decay=0.998)
JUDGE = Settings(Path("runs/digit-judge"), steps=7_000, learning_rate=3e-3, ema_decay=0.998)


def mnist(root: Path, split: str, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """A split, "train" or "test": pictures (N, 1, 28, 28) uint8 and labels (N,), downloaded to `root` if not there."""
    try:
        data = MNIST(root, train=split == "train", download=True)
    except (OSError, RuntimeError) as error:
        message = f"MNIST is not in {root} and could not be downloaded there: give its folder with --data."
        raise OSError(message) from error
    return data.data.unsqueeze(1).to(device), data.targets.to(device)


def scaled(pictures: Tensor) -> Tensor:
    """uint8 pictures in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def sheet(network: nn.Module, steps: int = 20) -> Image.Image:
    """Ten rows of digits, a class a row, eight noises, in `steps` steps of DDIM without guidance."""
    scheduler = DDIMScheduler.from_config(SCHEDULER)
    scheduler.set_timesteps(steps)
    x = torch.randn(80, 1, 28, 28, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    labels = torch.arange(10, device=DEVICE).repeat_interleave(8)
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(network(x, t.to(DEVICE), labels).sample, t, x).prev_sample
    return frame.sheet(frame.to_images(x), 8).resize((448, 560), Image.Resampling.NEAREST)


def plain_attention(network: nn.Module) -> nn.Module:
    """A network without torch's fused attention, whose gradient is slow on a CPU for heads as small as ours."""
    for part in network.modules():
        if isinstance(part, Attention):
            part.set_processor(AttnProcessor())
    return network


def run(settings: Settings = DENOISER, *, conditioning: str = "embedding", data: Path = DATA, batch: int = 64) -> None:
    """Train a denoiser on MNIST's training split and keep fp16 weights in `settings.out`/model.safetensors."""
    torch.manual_seed(settings.seed)
    network, scheduler = plain_attention(DENOISERS[conditioning]()), DDIMScheduler.from_config(SCHEDULER)
    pictures, labels = mnist(data, "train", DEVICE)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        here = {"generator": generator, "device": generator.device}
        chosen = torch.randint(len(pictures), (batch,), **here)
        x0 = scaled(pictures[chosen])
        told = labels[chosen].masked_fill(torch.rand(batch, **here) < DROP, NULL)
        noise = torch.randn(x0.shape, **here)
        # One noise level from each of `batch` equal parts of the schedule: less noise in the loss than drawing freely.
        t = ((torch.arange(batch, device=x0.device) + torch.rand(batch, **here)) * (1000 / batch)).long().clamp(max=999)
        v = network(scheduler.add_noise(x0, noise, t), t, told).sample
        return mse_loss(v.float(), scheduler.get_velocity(x0, noise, t))

    def show(network: nn.Module, path: Path) -> None:
        save(sheet(network), path)
        save_half(network, settings.out / "model.safetensors")

    train(network, loss, settings, show=show)


def notebook(settings: Settings = NOTEBOOK, *, data: Path = DATA, batch: int = 128) -> None:
    """The course's own training, to compare with: Adam at 1e-3, eps, no EMA, no dropped labels; ten epochs. Resumes."""
    torch.manual_seed(settings.seed)
    network = plain_attention(DENOISERS["channels"]()).to(DEVICE)
    scheduler = DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2")
    pictures, labels = mnist(data, "train", DEVICE)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    parts = torch.cat([torch.randperm(len(pictures)) for _ in range(10)]).split(batch)[: settings.steps]
    settings.out.mkdir(parents=True, exist_ok=True)
    checkpoint, first = settings.out / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=DEVICE, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    for step in tqdm(range(first, len(parts)), initial=first, total=len(parts)):
        generator, chosen = torch.Generator().manual_seed(step), parts[step].to(DEVICE)
        x0 = scaled(pictures[chosen])
        noise = torch.randn(x0.shape, generator=generator).to(DEVICE)
        t = torch.randint(0, 999, (len(chosen),), generator=generator).to(DEVICE)
        with torch.autocast(DEVICE, torch.bfloat16, enabled=low()):
            eps = network(scheduler.add_noise(x0, noise, t), t, labels[chosen]).sample
        mse_loss(eps.float(), noise).backward()
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % settings.every == 0 or step + 1 == len(parts):
            keep({"network": network.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, checkpoint)
            save_half(network, settings.out / "model.safetensors")


def classifier(settings: Settings = CLASSIFIER, *, data: Path = DATA, batch: int = 128, blind: bool = False) -> None:
    """Train p(y | x_t, t) on noisy digits, or with `blind` on clean ones alone, and print its accuracy by noise."""
    torch.manual_seed(settings.seed)
    network, scheduler = DigitClassifier(), DDIMScheduler.from_config(SCHEDULER)
    pictures, labels = mnist(data, "train", DEVICE)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        here = {"generator": generator, "device": generator.device}
        chosen = torch.randint(len(pictures), (batch,), **here)
        x = scaled(pictures[chosen])
        t = torch.randint(1000, (batch,), **here) * (not blind)
        if not blind:
            x = scheduler.add_noise(x, torch.randn(x.shape, **here), t)
        return cross_entropy(network(x, t).float(), labels[chosen])

    train(network, loss, settings, show=lambda network, path: save_half(network, settings.out / "model.safetensors"))
    test, truth = mnist(data, "test", DEVICE)
    generator = torch.Generator(DEVICE).manual_seed(0)
    for level in (0, 250, 500, 750):
        t = torch.full((len(test),), level, device=DEVICE)
        x = scaled(test)
        x = scheduler.add_noise(x, torch.randn(x.shape, generator=generator, device=DEVICE), t) if level else x
        with torch.no_grad():
            told = t * (not blind)
            read = torch.cat([network.eval()(a, b) for a, b in zip(x.split(500), told.split(500), strict=True)])
        print(f"accuracy on the test split at t = {level}: {(read.argmax(1) == truth).float().mean():.4f}")


def distorted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures turned, sheared, scaled and shifted a little, each its own way."""
    uniform = torch.rand(len(x), 6, generator=generator, device=x.device) * 2 - 1
    angle, shear, right, down = (uniform[:, :4] * torch.tensor([0.22, 0.2, 0.15, 0.15], device=x.device)).unbind(1)
    wide, high = (1 + 0.12 * uniform[:, 4:]).unbind(1)
    cos, sin = angle.cos(), angle.sin()
    rows = [torch.stack([cos * wide, shear - sin * high, right], 1), torch.stack([sin * wide, cos * high, down], 1)]
    grid = affine_grid(torch.stack(rows, 1), x.shape, align_corners=False)
    return grid_sample(x + 1, grid, align_corners=False) - 1  # black beyond the edge


def judge(settings: Settings = JUDGE, *, data: Path = DATA, batch: int = 128) -> None:
    """Train the network that reads digits for the evaluation, and print its accuracy on the test split."""
    torch.manual_seed(settings.seed)
    network = DigitJudge()
    pictures, labels = mnist(data, "train", DEVICE)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(pictures), (batch,), generator=generator, device=generator.device)
        return cross_entropy(network(distorted(scaled(pictures[chosen]), generator)).float(), labels[chosen])

    train(network, loss, settings, show=lambda network, path: save_half(network, settings.out / "model.safetensors"))
    test, truth = mnist(data, "test", DEVICE)
    with torch.no_grad():
        read = torch.cat([network.eval()(scaled(part)) for part in test.split(500)])
    print(f"accuracy on the test split: {(read.argmax(1) == truth).float().mean():.4f}")
