"""The upscaler: is its picture the model's own, how near to paintings is it, and what does it cost."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from guidance.atomic import save
from guidance.cielab import lab
from guidance.engine import generate
from guidance.evaluation.metrics import Table, kid
from guidance.evaluation.samples import grid
from guidance.guides.color import Color
from guidance.models import catalogue
from guidance.models.device import device
from guidance.models.upscaler import FACTOR, reduced, smooth
from guidance.recipe import Recipe
from guidance.training.diffusion import SEEDS
from guidance.training.landscapes import attributes, paint

BATCH, STEPS = 16, 400  # of the trainings of who looks at samples
RECIPES = {"unguided": Recipe(solver="dpm++", steps=15), "a colour": Recipe(guides=Color("teal"))}
TIMED = Recipe(count=4)


def rounded(pictures: Tensor) -> Tensor:
    """Pictures in [-1, 1] as files have them, of 256 values."""
    return ((pictures.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def drawn(recipe: Recipe, count: int) -> tuple[Tensor, Tensor]:
    """The first pictures of a recipe, (count, 3, 64, 64) and enlarged."""
    parts = [recipe.replace(seed=k, count=min(4, count - k)) for k in range(0, count, 4)]
    last = [list(generate(part))[-1] for part in tqdm(parts, leave=False)]
    return tuple(rounded(torch.cat([pictures.cpu() for pictures in several])) for several in
                 ([frame.x0 for frame in last], [frame.large for frame in last]))  # fmt: skip


def paintings(seeds: Tensor) -> Tensor:
    """Paintings of seeds (N,) in the size of what is enlarged, (N, 3, 256, 256)."""
    return rounded(torch.cat([paint(part, 64 * FACTOR) for part in tqdm(seeds.split(16), leave=False)]))


def looker(answers: int) -> nn.Sequential:
    """A small network that looks at pictures of any size, its features (B, 128) before its last two layers."""
    torch.manual_seed(0)
    layers = []
    for before, after in ((3, 32), (32, 64), (64, 96), (96, 128)):
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.GroupNorm(8, after), nn.SiLU()]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, answers)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def taught(network: nn.Module, drawn: Callable[[], tuple[Tensor, Tensor]]) -> nn.Module:
    """The network after STEPS batches of pictures (B, 3, H, W) and their answers (B, A) of 0 and 1."""
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.05)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in tqdm(range(STEPS), leave=False):
        x, truth = drawn()
        x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
        loss = binary_cross_entropy_with_logits(network(x), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    return network.eval()


def told_apart(made: Tensor, painted: Tensor) -> float:
    """The share of pictures of which a small network, trained on two thirds of them, tells rightly which they are."""
    known, truth = len(made) * 2 // 3, (torch.arange(BATCH) < BATCH // 2).float()[:, None]

    def drawn() -> tuple[Tensor, Tensor]:
        return torch.cat([batch[torch.randint(known, (BATCH // 2,))] for batch in (made, painted)]), truth

    network = taught(looker(1), drawn)
    with torch.no_grad():
        right = [(network(part)[:, 0] > 0) == is_made for batch, is_made in ((made, True), (painted, False))
                 for part in batch[known:].split(32)]  # fmt: skip
    return torch.cat(right).float().mean().item()


def eye(seeds: Tensor) -> nn.Module:
    """A network that has learned what paintings of 256 px show, those of seeds (N,), and gives features (B, 128)."""
    pool, truth = paintings(seeds), attributes(seeds).float()

    def drawn() -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(pool), (BATCH,))
        return pool[chosen], truth[chosen]

    return taught(looker(truth.shape[1]), drawn)[:-2]


@torch.no_grad()
def seen(network: nn.Module, pictures: Tensor) -> Tensor:
    """Its features of pictures (N, 3, H, W): (N, 128)."""
    return torch.cat([network(part) for part in pictures.split(32)])


def apart(large: Tensor, native: Tensor) -> dict[str, float]:
    """How far enlarged pictures, made small again, are from those that were enlarged, and what the judge makes of it.

    rms is of [0, 1], colours are of CIELAB, and an attribute's share is that of the pictures in which it is seen.
    """
    difference, judge = (reduced(large) - native) / 2, catalogue.judge()
    with torch.no_grad():
        before, after = (torch.cat([judge(part.to(device())).cpu() for part in pictures.split(256)]) > 0
                         for pictures in (native, reduced(large)))  # fmt: skip
    means = [lab((batch.mean((2, 3)) + 1) / 2) for batch in (large, native)]
    return {
        "rms at 64 px": difference.square().mean().sqrt().item(), "most at 64 px": difference.abs().max().item(),
        "most dE of the mean colour": (means[0] - means[1]).norm(dim=1).max().item(),
        "most change of an attribute's share, points":
            100 * (before.float().mean(0) - after.float().mean(0)).abs().max().item(),
    }  # fmt: skip


def evaluate(out: Path, count: int = 600) -> None:
    """Print the tables of `count` pictures, and save 36 unguided ones, 36 guided ones, and 36 paintings."""
    table, (native, large) = Table(out / "upscaler.json"), drawn(RECIPES["unguided"], count)
    first, second, third = (torch.arange(count) + SEEDS["evaluation"] + k * count for k in range(3))
    painted, network = paintings(first), eye(second)
    known = seen(network, painted)
    for name, batch in (
        ("paintings", paintings(third)), ("enlarged smoothly", rounded(smooth(native))), ("by the upscaler", large),
    ):  # fmt: skip
        near = {"KID x 1000 at 256 px": kid(seen(network, batch), known)}
        table.add({"pictures": name} | near | {"told from paintings, %": 100 * told_apart(batch, painted)})
    small = told_apart(native, rounded(reduced(painted)))
    print(f"\nthe native pictures, told from paintings of 64 px: {small:.0%}")
    print()
    same = Table(out / "upscaler-same.json")
    sets = {"unguided": (native, large), "a colour": drawn(RECIPES["a colour"], 36)}
    for name, (small, made) in sets.items():
        same.add({"pictures": name} | apart(made, small))
        save(grid(made[:36], 6), out / f"upscaler-{name.split()[-1]}.png")
    save(grid(painted[:36], 6), out / "upscaler-painted.png")
    seconds = {}
    for size in ("native", "full"):
        began = time.perf_counter()
        list(generate(TIMED.replace(size=size)))
        seconds[size] = time.perf_counter() - began
    print(f"\nfour pictures in {TIMED.steps} steps: {seconds['full'] / seconds['native'] - 1:+.1%} of the time")
