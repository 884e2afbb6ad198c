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
from torch.nn.functional import relu, softplus

from guidance.atomic import save
from guidance.frame import sheet, to_images
from guidance.models.upscaler import Upscaler, enlarged
from guidance.settings import ASSETS
from guidance.training.looker import Critic, Looker, looker, scaled, stored, teller
from guidance.training.pairs import SLACK, cut, drawn, prepared
from guidance.training.trainer import DEVICE, Settings, keep, train

SHARES = {"pixels": 0.61, "contest": 0.34, "samples": 0.05}  # of steps and time, of the parts of a training
WEIGHT = 0.02  # of a critic's word beside the pixels
LOOKED = 1000  # batches of 16 in which the critic of samples learns before it is asked
WIDER = 32  # px of the small pictures that it sees
HELD = 0.3  # the weight of how far samples are from what they were before, beside that of paintings
SMOOTH = 0.01  # the weight of its slope at paintings
QUICKER = 3  # times the upscaler's rate, at which it learns (arXiv:1706.08500)
BETAS = (0.5, 0.99)  # of Adam, then; of a critic that moves, what is long past says little
SHOWN = 6  # pictures in a row of a sheet
SETTINGS = Settings(Path("runs/upscaler"), steps=20_000, learning_rate=8e-4, ema_decay=0.998, every=250)


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
