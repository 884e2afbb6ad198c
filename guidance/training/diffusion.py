"""Train the landscapes' networks: a small UNet2DModel that predicts v on the linear schedule of DDPM, and its judge."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss
from tqdm import tqdm

from guidance.atomic import save, written
from guidance.frame import sheet
from guidance.models import catalogue
from guidance.models.attributes import ATTRIBUTES
from guidance.models.networks import AttributeNetwork
from guidance.training.engravings import by_day, engrave
from guidance.training.landscapes import attributes, paint
from guidance.training.trainer import DEVICE, Settings, save_half, train

# Where each use of the painter starts.
SEEDS = {"diffusion": 0, "attributes": 20_000_000, "evaluation": 40_000_000, "verifier": 60_000_000,
         "engravings": 70_000_000}  # fmt: skip


def painted(use: str, count: int, device: torch.device | str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """The first landscapes of a use, (count, 3, 64, 64) uint8, and what they show, (count, len(ATTRIBUTES)) bool."""
    seeds = torch.arange(SEEDS[use], SEEDS[use] + count, device=device)
    return painted_from(seeds), attributes(seeds)


def painted_from(seeds: torch.Tensor) -> torch.Tensor:
    """Landscapes of seeds (N,): (N, 3, 64, 64) uint8, painted 512 at a time."""
    pictures = torch.empty(len(seeds), 3, 64, 64, dtype=torch.uint8, device=seeds.device)
    for first in tqdm(range(0, len(seeds), 512), desc="painting", unit_scale=512, unit="picture", leave=False):
        pictures[first : first + 512] = ((paint(seeds[first : first + 512]) + 1) * 127.5).round().to(torch.uint8)
    return pictures


def build() -> tuple[UNet2DModel, DDIMScheduler]:
    """The landscape UNet, 4.3 M parameters, and its schedule."""
    unet = UNet2DModel(
        sample_size=64, block_out_channels=(32, 64, 128, 128), layers_per_block=1, norm_num_groups=16,
        attention_head_dim=32, down_block_types=("DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    # v stays accurate at both ends of the schedule, in low precision too; "trailing" starts where training did.
    return unet, DDIMScheduler(prediction_type="v_prediction", timestep_spacing="trailing")


def noise_levels(alphas_cumprod: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """Timesteps (count,) whose noise levels are spread as the cosine schedule's, every eighth one uniform.

    Uniform timesteps alone would spend half of the training where next to nothing of a 64 px picture is left (Nichol
    and Dhariwal 2021, arXiv:2102.09672, figure 5), and none would neglect the first steps of sampling.
    """
    uniform = torch.rand(count, generator=generator, device=generator.device)
    timesteps = torch.searchsorted(-alphas_cumprod, -(torch.cos(uniform * torch.pi / 2) ** 2))
    timesteps[::8] = (uniform[::8] * len(alphas_cumprod)).long()
    return timesteps.clamp(max=len(alphas_cumprod) - 1)


FINE = ("stars", "boat")  # what is learned last
SHOWN = 36  # samples on a sheet
TESTED = 4096  # unseen pictures that the judge is measured on
SETTINGS = Settings(Path("runs/landscapes"), steps=100_000, learning_rate=6e-4, ema_decay=0.999)
ENGRAVED = Settings(Path("runs/engravings"), steps=8_000, learning_rate=3e-4, ema_decay=0.998)
JUDGE = Settings(Path("runs/attributes"), steps=2_000, learning_rate=1e-3, ema_decay=0.998, warmup=100)
VERIFIER = replace(JUDGE, out=Path("runs/verifier"), seed=1)


def run(
    settings: Settings = SETTINGS, *, pictures: int = 60_000, batch: int = 32, fine: float = 1.0, further: bool = False,
    weak: Path | None = None, scale: float = 2.0, below: int = 550,
) -> None:  # fmt: skip
    """Train on `pictures` painted landscapes and keep the averaged fp16 pipeline in `settings.out`/pipeline.

    Those with anything of FINE are shown `fine` times as often as others. More than once teaches it sooner, and biases
    what is sampled, until the run is resumed for a while without. With `further` it begins with the weights that ship,
    at half the learning rate; with `weak`, the folder of a pipeline that has learned less, too, and learns what the
    weights that ship say when autoguidance of `scale` steers them away from the weak one, at timesteps `below` one.
    """
    torch.manual_seed(settings.seed)
    unet, settings = (built_in(), settings.gentler()) if further or weak else (build()[0], settings)
    target = autoguided(weak, scale, below) if weak else told
    pool, truth = painted("diffusion", pictures, DEVICE)
    weights = torch.where(truth[:, [ATTRIBUTES.index(name) for name in FINE]].any(1), fine, 1.0)
    learn(unet, pool, weights, settings, batch, target)


def engraved(settings: Settings = ENGRAVED, *, pictures: int = 12_000, batch: int = 32) -> None:
    """Train the landscapes that ship further on `pictures` engravings, and keep the same of the result."""
    torch.manual_seed(settings.seed)
    unet = built_in()
    parts = by_day(SEEDS["engravings"], pictures).split(64)
    pool = torch.cat([((engrave(part.to(DEVICE)) + 1) * 127.5).round().byte() for part in tqdm(parts, desc="drawing")])
    learn(unet, pool, torch.ones(len(pool), device=DEVICE), settings, batch)


def built_in() -> UNet2DModel:
    """The landscape UNet that ships, to be trained further."""
    unet = catalogue.opened("landscapes", torch.float32).unet
    return unet.to(memory_format=torch.contiguous_format).train().requires_grad_(True)


Target = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def told(x_t: torch.Tensor, t: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """What a network should say of x_t (B, 3, 64, 64) at timesteps t (B,): v, of the picture that x_t was made from."""
    return v


def autoguided(weak: Path, scale: float, below: int) -> Target:
    """What the network that ships says, and `scale` times by how much that differs from what a weak one says.

    A network that has learned less errs the same way and further, so away from it lies what both miss (autoguidance,
    Karras et al. 2024, arXiv:2406.02507, equation 3, with w = 1 + `scale`). Who learns this needs no second network
    (Meng et al. 2022, arXiv:2210.03142). At timesteps from `below` on, where it led samples away from the data, there
    is none of it (Kynkaanniemi et al. 2024, arXiv:2404.07724). OSError where there is no pipeline.
    """
    if not (weak / "unet").is_dir():
        raise OSError(f"There is no pipeline in the folder {weak}.")
    strong, other = built_in(), UNet2DModel.from_pretrained(weak, subfolder="unet").float()
    for network in (strong, other):
        network.to(DEVICE).eval().requires_grad_(False)

    def target(x_t: torch.Tensor, t: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        said, led = strong(x_t, t).sample.float(), t < below
        if led.any():
            said[led] += scale * (said[led] - other(x_t[led], t[led]).sample.float())
        return said

    return target


def learn(
    unet: UNet2DModel, pool: torch.Tensor, weights: torch.Tensor, settings: Settings, batch: int,
    target: Target = told,
) -> None:  # fmt: skip
    """Train on a pool of pictures (N, 3, 64, 64) uint8, each shown as often as its weight (N,) says beside the others'.

    The averaged fp16 pipeline goes to `settings.out`/pipeline.
    """
    _, scheduler = build()

    def loss(network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        here = {"generator": generator, "device": generator.device}
        x0 = pool[weights.multinomial(batch, replacement=True, generator=generator)].float() / 127.5 - 1
        noise = torch.randn(x0.shape, **here)
        t = noise_levels(scheduler.alphas_cumprod.to(x0.device), batch, generator)
        x_t = scheduler.add_noise(x0, noise, t)
        wanted = target(x_t, t, scheduler.get_velocity(x0, noise, t))
        return mse_loss(network(x_t, t).sample.float(), wanted)

    def show(network: torch.nn.Module, path: Path) -> None:
        pipeline = DDIMPipeline(network, scheduler)
        pipeline.set_progress_bar_config(disable=True)
        same = torch.Generator(DEVICE).manual_seed(0)
        images = pipeline(SHOWN, same, num_inference_steps=25, output_type="pil").images
        save(sheet(images, 6, gap=2), path)
        half, _ = build()
        half.load_state_dict(network.state_dict())
        with written(settings.out / "pipeline") as folder:
            DDIMPipeline(half.half(), scheduler).save_pretrained(folder)

    train(unet, loss, settings, show=show)


def taught(
    pictures: torch.Tensor, truth: torch.Tensor, settings: Settings, batch: int = 128,
) -> AttributeNetwork:  # fmt: skip
    """A network that has learned what pictures (N, 3, 64, 64) uint8 show, truth (N, len(ATTRIBUTES)) bool."""
    torch.manual_seed(settings.seed)
    network = AttributeNetwork(len(ATTRIBUTES))

    def loss(network: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
        here = {"generator": generator, "device": generator.device}
        chosen = torch.randint(len(pictures), (batch,), **here)
        x = pictures[chosen].float() / 127.5 - 1
        # A little noise keeps it from reading the painter's exact pixels, which no sampler reproduces.
        x = x + 0.15 * torch.rand(batch, 1, 1, 1, **here) * torch.randn(x.shape, **here)
        return binary_cross_entropy_with_logits(network(x).float(), truth[chosen].float())

    return train(network, loss, settings)


@torch.no_grad()
def shown(network: torch.nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """What such a network sees in pictures (N, 3, 64, 64) uint8: (N, len(ATTRIBUTES)) bool, where they are."""
    device = next(network.parameters()).device
    seen = [network.eval()(part.to(device).float() / 127.5 - 1) > 0 for part in pictures.split(256)]
    return torch.cat(seen).to(pictures.device)


def judge(
    settings: Settings = JUDGE, *, pictures: int = 40_000, batch: int = 128, use: str = "attributes"
) -> None:  # fmt: skip
    """Train the judge of what guidance makes, and print how well it tells which attributes unseen landscapes show.

    It is trained on painted pictures, slightly noisy ones among them; `settings.out` keeps its fp16 weights.
    """
    network = taught(*painted(use, pictures, DEVICE), settings, batch)
    save_half(network, settings.out / "model.safetensors")
    test, truth = painted("evaluation", TESTED)
    right = (shown(network, test) == truth).float()
    for name, share in zip(ATTRIBUTES, right.mean(0).tolist(), strict=True):
        print(f"{name:10s} {share:.4f}")
    print(f"every attribute of a picture right: {right.all(1).float().mean():.4f}, an attribute: {right.mean():.4f}")


def verifier(settings: Settings = VERIFIER, *, pictures: int = 40_000, batch: int = 128) -> None:
    """Train the network that says which landscapes are to be painted again: as the judge, on other paintings."""
    judge(settings, pictures=pictures, batch=batch, use="verifier")
