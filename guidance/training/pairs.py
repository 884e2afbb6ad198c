"""What an upscaler learns from: pictures of 256 px, what becomes of them at 64 px, and samples."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad
from tqdm import tqdm

from guidance.engine import images
from guidance.frame import to_pixels
from guidance.models import catalogue
from guidance.models.model import Model
from guidance.models.upscaler import FACTOR, fitted, near, reduced, smooth
from guidance.recipe import Recipe
from guidance.sampling.guides import network as unguided
from guidance.sampling.sample import sample
from guidance.sampling.schedule import Schedule
from guidance.training.engravings import by_day, engrave
from guidance.training.landscapes import paint
from guidance.training.looker import scaled, stored
from guidance.training.trainer import DEVICE, keep

FIRST = 100_000_000  # the seeds of its paintings begin here
STEPS, LEAST, MOST = 12, 1, 3  # of so many steps of DDIM, the least and the most that paint a painting again
CROP = 24  # px of the small pictures
SLACK = 0.0195  # in [-1, 1]; the grain of samples comes to as much
PLAIN = 1 / 3  # of the inputs are not painted again: clean ones, blurred and noisy ones
SAMPLED = Recipe(solver="dpm++", steps=12, size="native")  # samples as people make them
PAINTERS = {"landscapes": paint, "engravings": engrave}  # what a built-in model has learned from


def repainted(model: Model, x: Tensor, last: int, generator: torch.Generator) -> Tensor:
    """Pictures x (B, 3, 64, 64), noised and denoised by the last so many of STEPS steps: img2img (arXiv:2108.01073)."""
    schedule, first = Schedule(model.config, "ddim", STEPS), STEPS - last
    noise = torch.randn(x.shape, generator=generator).to(x)
    x_t = schedule.alpha[first] * x + schedule.sigma[first] * noise
    *_, made = sample(unguided(model.eps, schedule), x_t, schedule, first=first)
    return made.x_t.clamp(-1, 1)


def prepared(path: Path, pictures: int, look: str, batch: int = 8) -> dict[str, Tensor]:
    """Paintings, the same made small and painted again, how much of each is new, and as many samples, from a file."""
    if path.exists():
        pool = torch.load(path, mmap=True, weights_only=True)
        if len(pool["large"]) == len(pool["samples"]) == pictures:
            return pool
    model, generator, rows = catalogue.get(look), torch.Generator().manual_seed(FIRST), []
    seeds = by_day(FIRST, pictures) if look == "engravings" else torch.arange(FIRST, FIRST + pictures)
    for part in tqdm(seeds.split(batch), desc="painting", unit_scale=batch, unit="picture"):
        large = PAINTERS[look](part.to(DEVICE), 64 * FACTOR)
        last = int(torch.randint(LEAST, MOST + 1, (), generator=generator))
        small = repainted(model, reduced(large), last, generator)
        rows.append((stored(large), stored(small), torch.full((len(large),), last / STEPS)))
    pool = dict(zip(("large", "small", "strength"), map(torch.cat, zip(*rows, strict=True)), strict=True))
    samples = (SAMPLED.replace(model=look, seed=FIRST + k) for k in range(pictures))
    pool["samples"] = torch.cat([to_pixels(images(recipe)) for recipe in tqdm(samples, "sampling", pictures)])
    path.parent.mkdir(parents=True, exist_ok=True)
    keep(pool, path)
    return pool


def cut(
    batch: int, crop: int, generator: torch.Generator, *pictures: Tensor
) -> tuple[list[int], list[Tensor]]:  # fmt: skip
    """Random rows of pools of the same pictures, and a place of each row, of `crop` px where its picture has 64."""
    here = {"generator": generator, "device": generator.device}
    chosen = torch.randint(len(pictures[0]), (batch,), **here).tolist()
    places = torch.randint(64 - crop + 1, (batch, 2), **here).tolist()
    parts = []
    for pool in pictures:
        times = pool.shape[-1] // 64
        part = [pool[k, :, times * y : times * (y + crop), times * x : times * (x + crop)]
                for k, (y, x) in zip(chosen, places, strict=True)]  # fmt: skip
        parts.append(scaled(torch.stack(part)))
    return chosen, parts


def drawn(
    pool: dict[str, Tensor], batch: int, generator: torch.Generator, crop: int = CROP
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Random crops: small ones (B, 3, crop, crop), their strengths (B,), what they should become, and paintings."""
    here = {"generator": generator, "device": generator.device}
    chosen, (large, small) = cut(batch, crop, generator, pool["large"], pool["small"])
    strength = pool["strength"][chosen].to(DEVICE)
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
