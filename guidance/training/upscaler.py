"""Train a built-in model's upscaler on paintings, or engravings, of 256 px and what becomes of them at 64 px.

It learns from their pixels first, then from a critic too, which tells what it makes from paintings (arXiv:1406.2661),
and last, for a while, from one that tells from paintings what it makes of the model's samples.
"""

import copy
import dataclasses
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import avg_pool2d, pad, relu, softplus
from tqdm import tqdm

from guidance.atomic import save
from guidance.engine import images
from guidance.frame import sheet, to_images, to_pixels
from guidance.models import catalogue
from guidance.models.model import Model
from guidance.models.upscaler import FACTOR, Upscaler, enlarged, fitted, near, reduced, smooth
from guidance.recipe import Recipe
from guidance.sampling.guides import network as unguided
from guidance.sampling.sample import sample
from guidance.sampling.schedule import Schedule
from guidance.settings import ASSETS
from guidance.training.engravings import by_day, engrave
from guidance.training.landscapes import paint
from guidance.training.looker import Critic, Looker, looker, scaled, stored, teller
from guidance.training.trainer import DEVICE, Settings, keep, train

FIRST = 100_000_000  # the seeds of its paintings begin here
STEPS, LEAST, MOST = 12, 1, 3  # of so many steps of DDIM, the least and the most that paint a painting again
CROP = 24  # px of the small pictures
SLACK = 0.0195  # in [-1, 1]; the grain of samples comes to as much
PLAIN = 1 / 3  # of the inputs are not painted again: clean ones, blurred and noisy ones
SHARES = {"pixels": 0.61, "contest": 0.34, "samples": 0.05}  # of steps and time, of the parts of a training
WEIGHT = 0.02  # of a critic's word beside the pixels
SAMPLED = Recipe(solver="dpm++", steps=12, size="native")  # samples as people make them
LOOKED = 1000  # batches of 16 in which the critic of samples learns before it is asked
WIDER = 32  # px of the small pictures that it sees
HELD = 0.3  # the weight of how far samples are from what they were before, beside that of paintings
SMOOTH = 0.01  # the weight of its slope at paintings
QUICKER = 3  # times the upscaler's rate, at which it learns (arXiv:1706.08500)
BETAS = (0.5, 0.99)  # of Adam, then; of a critic that moves, what is long past says little
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


def apart(y: Tensor, wanted: Tensor) -> Tensor:
    """How far pictures are from others: L1 on the pixels, and on their differences from the next ones."""
    error = y - wanted
    return error.abs().mean() + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()


class Contest(nn.Module):
    """An upscaler and its critic."""

    def __init__(self, upscaler: Upscaler, critic: nn.Module):
        super().__init__()
        self.upscaler, self.critic = upscaler, critic.to(memory_format=torch.channels_last)

    def forward(
        self, small: Tensor, strength: Tensor, paintings: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        """What is made of small pictures, and the critic's word on as many of it as there are paintings.

        That is its word for the upscaler, on the paintings, and on what was made, for itself.
        """
        made = self.upscaler(small, strength)
        judged = made[: len(paintings)]
        still = {name: weight.detach() for name, weight in self.critic.named_parameters()}
        praise = functional_call(self.critic, still, judged)
        real, false = self.critic(torch.cat([paintings, judged.detach()])).chunk(2)
        return made, praise, real, false


def skilled(upscaler: Upscaler, pool: dict[str, Tensor], path: Path) -> Looker:
    """A critic that tells paintings from what an upscaler makes of samples; from a file, or taught and kept there."""
    critic = looker(1, seed=1)
    if path.exists():
        critic.load_state_dict(torch.load(path, map_location=DEVICE, weights_only=True))
    else:
        with torch.no_grad():
            made = torch.cat([stored(upscaler(scaled(part))) for part in pool["samples"].split(8)])
        critic = teller(pool["large"], made, LOOKED, 16, seed=1)
        keep(critic.state_dict(), path)
    return critic.train()


def run(
    settings: Settings = SETTINGS, *, pictures: int = 1_000, batch: int = 8, look: str = "landscapes",
    further: bool = False,
) -> None:  # fmt: skip
    """Train on `pictures` of a look and keep the averaged fp16 upscaler in `settings.out`/upscaler.

    With `further` it begins with the weights that ship, which know pixels and paintings, in the last part.
    """
    torch.manual_seed(settings.seed)
    upscaler = Upscaler(slack=SLACK).to(DEVICE, memory_format=torch.channels_last)
    first = Contest(upscaler, Critic())  # before anything else that draws, or it would not be that of a run with a pool
    pool = prepared(settings.out / f"pool-{look}.pt", pictures, look)
    if further:
        upscaler.load_state_dict(load_file(ASSETS / look / "upscaler" / "model.safetensors"))

    def show(network: nn.Module, path: Path) -> None:
        """Samples and what becomes of them; paintings painted again, what becomes of those, and the paintings."""
        small = scaled(torch.cat([pool[name][:SHOWN] for name in ("samples", "small")]))
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

    def sampled(network: nn.Module, generator: torch.Generator) -> Tensor:
        # No painting belongs to a sample: the critic alone says what it should become, not far from what it was. With
        # paintings painted again nothing should change.
        (_, (samples,)), (_, (paintings,)) = (
            cut(batch, WIDER, generator, pool[name]) for name in ("samples", "large"))  # fmt: skip
        small, strength, *_ = drawn(pool, max(1, batch // 2), generator, WIDER)
        small = torch.cat([samples, small])
        told = torch.cat([strength.new_full((batch,), upscaler.config["strength"]), strength])
        paintings.requires_grad_()
        made, praise, real, false = network(small, told, paintings)
        with torch.no_grad():
            were = before(small, told)
        # The logistic loss (arXiv:1406.2661), and the critic's slope at paintings (arXiv:1801.04406, equation 9).
        (slope,) = torch.autograd.grad(real.sum(), paintings, create_graph=True)
        critic = softplus(-real).mean() + softplus(false).mean() + SMOOTH / 2 * slope.square().sum((1, 2, 3)).mean()
        held = HELD * apart(made[:batch], were[:batch]) + apart(made[batch:], were[batch:])
        return WEIGHT * softplus(-praise).mean() + held + critic

    def part(name: str, rate: float) -> Settings:
        share = SHARES[name]
        return dataclasses.replace(
            settings, out=settings.out / name, steps=max(1, round(settings.steps * share)), learning_rate=rate,
            minutes=settings.minutes if further else settings.minutes * share)  # fmt: skip

    if not further:
        train(upscaler, pixels, part("pixels", settings.learning_rate), show=show)
        train(first, contested, part("contest", settings.learning_rate / 4),
              show=lambda contest, path: show(contest.upscaler, path))  # fmt: skip
    before = copy.deepcopy(upscaler).eval().requires_grad_(False)
    last = Contest(upscaler, skilled(before, pool, settings.out / "critic.pt"))
    groups = [{"params": list(learner.parameters()), "times": times, "betas": BETAS}
              for learner, times in ((last.upscaler, 1), (last.critic, QUICKER))]  # fmt: skip
    train(last, sampled, part("samples", settings.learning_rate / 8), groups=groups,
          show=lambda contest, path: show(contest.upscaler, path))  # fmt: skip
