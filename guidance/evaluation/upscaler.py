"""The upscaler: is its picture the model's own, how near to paintings is it, and what does it cost."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
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
from guidance.training.looker import Looker, looker, scaled, stored, taught, teller

BATCH, STEPS = 16, 800  # of the trainings of who looks at samples
RECIPES = {"unguided": Recipe(solver="dpm++", steps=15), "a colour": Recipe(guides=Color("teal"))}
TIMED = Recipe(count=4)


def drawn(recipe: Recipe, count: int) -> tuple[Tensor, Tensor]:
    """The first pictures of a recipe, (count, 3, 64, 64) and enlarged, uint8 as files have them."""
    parts = [recipe.replace(seed=k, count=min(4, count - k)) for k in range(0, count, 4)]
    last = [list(generate(part))[-1] for part in tqdm(parts, leave=False)]
    return tuple(torch.cat([stored(pictures.clamp(-1, 1)) for pictures in several]) for several in
                 ([frame.x0 for frame in last], [frame.large for frame in last]))  # fmt: skip


def paintings(seeds: Tensor) -> Tensor:
    """Paintings of seeds (N,) in the size of what is enlarged, (N, 3, 256, 256) uint8."""
    return torch.cat([stored(paint(part, 64 * FACTOR)) for part in tqdm(seeds.split(16), leave=False)])


def changed(pictures: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """What becomes of pictures (N, 3, H, W) uint8 in [-1, 1], as uint8 again."""
    return torch.cat([stored(change(scaled(part)).clamp(-1, 1)) for part in pictures.split(32)])


def told_apart(made: Tensor, painted: Tensor) -> float:
    """The share of pictures of which a small network, trained on five sixths of them, tells rightly which they are."""
    known = len(made) * 5 // 6
    network = teller(made[:known], painted[:known], STEPS, BATCH)
    with torch.no_grad():
        right = [(network(scaled(part))[:, 0] > 0) == is_made for batch, is_made in ((made, True), (painted, False))
                 for part in batch[known:].split(32)]  # fmt: skip
    return torch.cat(right).float().mean().item()


def eye(seeds: Tensor) -> Looker:
    """A network that has learned what paintings of 256 px show, those of seeds (N,), and gives features (B, 128)."""
    pool, truth = paintings(seeds), attributes(seeds).float()

    def drawn() -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(pool), (BATCH,))
        return pool[chosen], truth[chosen]

    return taught(looker(truth.shape[1]), drawn, STEPS)


@torch.no_grad()
def seen(network: Looker, pictures: Tensor) -> Tensor:
    """Its features of uint8 pictures (N, 3, H, W): (N, 128)."""
    return torch.cat([network.features(scaled(part)) for part in pictures.split(32)])


def apart(large: Tensor, native: Tensor) -> dict[str, float]:
    """How far enlarged pictures, made small again, are from those that were enlarged, and what the judge makes of it.

    rms is of [0, 1], colours are of CIELAB, and an attribute's share is that of the pictures in which it is seen.
    """
    before, judge = scaled(native), catalogue.judge()
    after = torch.cat([reduced(scaled(part)) for part in large.split(32)])
    with torch.no_grad():
        shown = [torch.cat([judge(part.to(device())) for part in small.split(256)]) > 0 for small in (before, after)]
    difference, means = (after - before) / 2, [lab((small.mean((2, 3)) + 1) / 2) for small in (before, after)]
    return {
        "rms at 64 px": difference.square().mean().sqrt().item(), "most at 64 px": difference.abs().max().item(),
        "most dE of the mean colour": (means[0] - means[1]).norm(dim=1).max().item(),
        "most change of an attribute's share, points":
            100 * (shown[0].float().mean(0) - shown[1].float().mean(0)).abs().max().item(),
    }  # fmt: skip


def evaluate(out: Path, count: int = 2400) -> None:
    """Print the tables of `count` pictures, and save 36 unguided ones, 36 guided ones, and 36 paintings."""
    table, (native, large) = Table(out / "upscaler.json"), drawn(RECIPES["unguided"], count)
    first, second, third = (torch.arange(count) + SEEDS["evaluation"] + k * count for k in range(3))
    painted, others, network = paintings(first), paintings(third), eye(second)
    known, model = seen(network, painted), catalogue.get("landscapes")
    with torch.no_grad():
        again = changed(changed(others, reduced), model.enlarge)
    for name, batch in (
        ("paintings", others), ("paintings, made small and enlarged by the upscaler", again),
        ("samples, enlarged smoothly", changed(native, smooth)), ("samples, by the upscaler", large),
    ):  # fmt: skip
        near = {"KID x 1000 at 256 px": kid(seen(network, batch), known)}
        table.add({"pictures": name} | near | {"told from paintings, %": 100 * told_apart(batch, painted)})
    small = told_apart(native, changed(painted, reduced))
    print(f"\nthe native pictures, told from paintings of 64 px: {small:.0%}")
    print()
    same = Table(out / "upscaler-same.json")
    sets = {"unguided": (native, large), "a colour": drawn(RECIPES["a colour"], 36)}
    for name, (small, made) in sets.items():
        same.add({"pictures": name} | apart(made, small))
        save(grid(scaled(made[:36]), 6), out / f"upscaler-{name.split()[-1]}.png")
    save(grid(scaled(painted[:36]), 6), out / "upscaler-painted.png")
    seconds = {}
    for size in ("native", "full"):
        began = time.perf_counter()
        list(generate(TIMED.replace(size=size)))
        seconds[size] = time.perf_counter() - began
    print(f"\nfour pictures in {TIMED.steps} steps: {seconds['full'] / seconds['native'] - 1:+.1%} of the time")
