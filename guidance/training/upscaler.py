"""Train a built-in model's upscaler on paintings, or engravings, of 256 px and what becomes of them at 64 px.

It learns from their pixels first, and then from a critic too, which tells what it makes from paintings
(arXiv:1406.2661).
"""

import dataclasses
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import avg_pool2d, leaky_relu, pad, relu
from tqdm import tqdm

from guidance.atomic import save
from guidance.frame import sheet, to_images
from guidance.models import catalogue
from guidance.models.model import Model
from guidance.models.upscaler import FACTOR, Upscaler, enlarged, fitted, near, reduced, smooth
from guidance.sampling.guides import network as unguided
from guidance.sampling.sample import sample
from guidance.sampling.schedule import Schedule
from guidance.settings import ASSETS
from guidance.training.engravings import by_day, engrave
from guidance.training.landscapes import paint
from guidance.training.trainer import DEVICE, Settings, keep, train

FIRST = 100_000_000  # the seeds of its paintings begin here
STEPS, LEAST, MOST = 12, 1, 3  # of so many steps of DDIM, the least and the most that paint a painting again
CROP = 24  # px of the small pictures
SLACK = 0.0195  # in [-1, 1]; the grain of samples comes to as much
PLAIN = 1 / 3  # of the inputs are not painted again: clean ones, blurred and noisy ones
REGRESSION = 0.64  # the share of steps and time without the critic
WEIGHT = 0.02  # of the critic's word beside the pixels
SHOWN = 6  # pictures in a row of a sheet
PAINTERS = {"landscapes": paint, "engravings": engrave}  # what a built-in model has learned from
SETTINGS = Settings(Path("runs/upscaler"), steps=20_000, learning_rate=8e-4, ema_decay=0.998, every=250)


def repainted(model: Model, x: Tensor, last: int, generator: torch.Generator) -> Tensor:
    """Pictures x (B, 3, 64, 64), noised and denoised by the last so many of STEPS steps: img2img (arXiv:2108.01073)."""
    schedule, first = Schedule(model.config, "ddim", STEPS), STEPS - last
    noise = torch.randn(x.shape, generator=generator).to(x)
    x_t = schedule.alpha[first] * x + schedule.sigma[first] * noise
    *_, made = sample(unguided(model.eps, schedule), x_t, schedule, first=first)
    return made.x_t.clamp(-1, 1)


def stored(x: Tensor) -> Tensor:
    """Pictures in [-1, 1] as uint8."""
    return ((x + 1) * 127.5).round().byte().cpu()


def scaled(pictures: Tensor) -> Tensor:
    """uint8 pictures in [-1, 1]."""
    return pictures.to(DEVICE).float() / 127.5 - 1


def prepared(path: Path, pictures: int, look: str, batch: int = 8) -> dict[str, Tensor]:
    """Paintings, the same made small and painted again, how much of each is new, and samples; kept in a file."""
    if path.exists():
        pool = torch.load(path, mmap=True, weights_only=True)
        if len(pool["large"]) == pictures:
            return pool
    model, generator, rows = catalogue.get(look), torch.Generator().manual_seed(FIRST), []
    seeds = by_day(FIRST, pictures) if look == "engravings" else torch.arange(FIRST, FIRST + pictures)
    for part in tqdm(seeds.split(batch), desc="painting", unit_scale=batch, unit="picture"):
        large = PAINTERS[look](part.to(DEVICE), 64 * FACTOR)
        last = int(torch.randint(LEAST, MOST + 1, (), generator=generator))
        small = repainted(model, reduced(large), last, generator)
        rows.append((stored(large), stored(small), torch.full((len(large),), last / STEPS)))
    pool = dict(zip(("large", "small", "strength"), map(torch.cat, zip(*rows, strict=True)), strict=True))
    pool["samples"] = stored(repainted(model, torch.zeros(SHOWN, 3, 64, 64, device=DEVICE), STEPS, generator))
    path.parent.mkdir(parents=True, exist_ok=True)
    keep(pool, path)
    return pool


def drawn(pool: dict[str, Tensor], batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random crops: small ones (B, 3, CROP, CROP), their strengths (B,), what they should become, and paintings."""
    here = {"generator": generator, "device": generator.device}
    chosen = torch.randint(len(pool["large"]), (batch,), **here).tolist()
    places = torch.randint(64 - CROP + 1, (batch, 2), **here).tolist()
    crop = {}
    for name, times in (("large", FACTOR), ("small", 1)):
        parts = [pool[name][k, :, times * y : times * (y + CROP), times * x : times * (x + CROP)]
                 for k, (y, x) in zip(chosen, places, strict=True)]  # fmt: skip
        crop[name] = scaled(torch.stack(parts))
    large, small, strength = crop["large"], crop["small"], pool["strength"][chosen].to(DEVICE)
    # Those that were not painted again: half of them clean, the others blurred and noisy to a degree.
    plain = torch.rand(batch, **here) < PLAIN
    degree = 0.3 * (2 * torch.rand(batch, **here) - 1).clamp(min=0)
    clean, amount = reduced(large), degree.view(-1, 1, 1, 1)
    blurred = avg_pool2d(pad(clean, (1, 1, 1, 1), "replicate"), 3, 1)
    spoiled = clean + 3 * amount * (blurred - clean) + 0.15 * amount * torch.randn(clean.shape, **here)
    small = torch.where(plain.view(-1, 1, 1, 1), spoiled, small)
    strength = torch.where(plain, degree, strength)
    # Half of them in a tint, as a guide may want it.
    tint = 2 * torch.rand(batch, 3, 1, 1, **here) - 1
    share = (torch.rand(batch, 1, 1, 1, **here) - 0.5).clamp(min=0)
    large, small = large.lerp(tint, share), small.lerp(tint, share).clamp(-1, 1)
    if torch.rand((), **here) < 0.5:
        large, small = large.flip(3), small.flip(3)
    # Where a picture was changed, the painting's detail is wanted upon what is left of the change.
    means = reduced(large)
    changed = near(means, small, SLACK)
    return small, strength, fitted(large + smooth(changed - means), changed), large


def apart(y: Tensor, wanted: Tensor) -> Tensor:
    """How far pictures are from others: L1 on the pixels, and on their differences from the next ones."""
    error = y - wanted
    return error.abs().mean() + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()


class Critic(nn.Module):
    """Tells paintings from what the upscaler makes, part by part; shown the detail apart, it learns in a few steps."""

    def __init__(self, widths: tuple[int, ...] = (6, 32, 64, 96, 128)):
        super().__init__()
        steps = [nn.Conv2d(before, after, 4, 2, 1) for before, after in zip(widths, widths[1:], strict=False)]
        self.steps = nn.ModuleList([*steps, nn.Conv2d(widths[-1], 1, 3, padding=1)])
        for step in self.steps:
            nn.init.kaiming_normal_(step.weight, 0.2)
            nn.init.zeros_(step.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) to how much like a painting their parts are, (B, 1, H / 16, W / 16)."""
        x = torch.cat([pictures, 4 * (pictures - enlarged(reduced(pictures)))], 1)
        for step in self.steps[:-1]:
            x = leaky_relu(step(x), 0.2)
        return self.steps[-1](x)


class Contest(nn.Module):
    """An upscaler and its critic."""

    def __init__(self, upscaler: Upscaler):
        super().__init__()
        self.upscaler, self.critic = upscaler, Critic().to(memory_format=torch.channels_last)

    def forward(self, small: Tensor, strength: Tensor, paintings: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What is made of small pictures, and the critic's word on it for the upscaler, on paintings, and on it."""
        made = self.upscaler(small, strength)
        still = {name: weight.detach() for name, weight in self.critic.named_parameters()}
        praise = functional_call(self.critic, still, made)
        real, false = self.critic(torch.cat([paintings, made.detach()])).chunk(2)
        return made, praise, real, false


def run(
    settings: Settings = SETTINGS, *, pictures: int = 1_000, batch: int = 8, look: str = "landscapes",
    further: bool = False,
) -> None:  # fmt: skip
    """Train on `pictures` of a look and keep the averaged fp16 upscaler in `settings.out`/upscaler.

    With `further` it begins with the weights that ship, at half the learning rate.
    """
    torch.manual_seed(settings.seed)
    upscaler = Upscaler(slack=SLACK).to(memory_format=torch.channels_last)
    contest = Contest(upscaler)  # before anything else that draws, or it would not be that of a run that has its pool
    pool = prepared(settings.out / f"pool-{look}.pt", pictures, look)
    if further:
        upscaler.load_state_dict(load_file(ASSETS / look / "upscaler" / "model.safetensors"))
        settings = settings.gentler()

    def show(network: nn.Module, path: Path) -> None:
        """Samples and what becomes of them; paintings painted again, what becomes of those, and the paintings."""
        small = scaled(torch.cat([pool["samples"], pool["small"][:SHOWN]]))
        told = torch.cat([torch.full((SHOWN,), network.config["strength"]), pool["strength"][:SHOWN]]).to(DEVICE)
        with torch.no_grad():
            made = torch.cat([network(*part) for part in zip(small.split(1), told.split(1), strict=True)])
        rows = zip(enlarged(small).split(SHOWN), made.split(SHOWN), strict=True)
        pictures = torch.cat([*(row for pair in rows for row in pair), scaled(pool["large"][:SHOWN])])
        save(sheet(to_images(pictures), SHOWN, gap=2), path)
        save(network, settings.out / "upscaler")

    def pixels(network: nn.Module, generator: torch.Generator) -> Tensor:
        small, strength, wanted, _ = drawn(pool, batch, generator)
        return apart(network(small, strength), wanted)

    def contested(network: nn.Module, generator: torch.Generator) -> Tensor:
        small, strength, wanted, paintings = drawn(pool, batch, generator)
        made, praise, real, false = network(small, strength, paintings)
        # The hinge loss (arXiv:1705.02894) is the critic's; the upscaler's is beside it in one sum.
        return apart(made, wanted) - WEIGHT * praise.mean() + relu(1 - real).mean() + relu(1 + false).mean()

    def part(name: str, share: float, rate: float) -> Settings:
        return dataclasses.replace(settings, out=settings.out / name, steps=round(settings.steps * share),
                                   minutes=settings.minutes * share, learning_rate=rate)  # fmt: skip

    train(upscaler, pixels, part("pixels", REGRESSION, settings.learning_rate), show=show)
    train(contest, contested, part("contest", 1 - REGRESSION, settings.learning_rate / 4),
          show=lambda contest, path: show(contest.upscaler, path))  # fmt: skip
