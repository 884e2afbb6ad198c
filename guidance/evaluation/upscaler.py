"""The upscaler: is its picture the model's own, can it be told from a painting, and what does it cost."""

import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from guidance.atomic import save
from guidance.cielab import lab
from guidance.engine import generate
from guidance.evaluation.metrics import Table
from guidance.evaluation.samples import grid
from guidance.guides.color import Color
from guidance.models.upscaler import FACTOR, reduced, smooth
from guidance.recipe import Recipe
from guidance.training.diffusion import SEEDS
from guidance.training.landscapes import paint

BATCH, STEPS = 16, 400  # of the training of who tells samples from paintings
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


def paintings(count: int, size: int = 64 * FACTOR) -> Tensor:
    """Paintings of seeds that no network was trained on, (count, 3, size, size)."""
    seeds = torch.arange(count) + SEEDS["evaluation"]
    return rounded(torch.cat([paint(part, size) for part in seeds.split(16)]))


def told_apart(made: Tensor, painted: Tensor) -> float:
    """The share of pictures of which a small network, trained on two thirds of them, tells rightly which they are."""
    torch.manual_seed(0)
    layers = []
    for before, after in ((3, 32), (32, 64), (64, 96), (96, 128)):
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.GroupNorm(8, after), nn.SiLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 1))
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.05)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    known = len(made) * 2 // 3
    for _ in tqdm(range(STEPS), leave=False):
        x = torch.cat([batch[torch.randint(known, (BATCH // 2,))] for batch in (made, painted)])
        x = torch.where(torch.rand(BATCH, 1, 1, 1) < 0.5, x.flip(3), x)
        truth = (torch.arange(BATCH) < BATCH // 2).float()
        loss = binary_cross_entropy_with_logits(network(x)[:, 0], truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    with torch.no_grad():
        right = [(network.eval()(part)[:, 0] > 0) == is_made for batch, is_made in ((made, True), (painted, False))
                 for part in batch[known:].split(32)]  # fmt: skip
    return torch.cat(right).float().mean().item()


def apart(large: Tensor, native: Tensor) -> dict[str, float]:
    """How far enlarged pictures, made small again, are from those that were enlarged; of [0, 1], and CIELAB."""
    difference = (reduced(large) - native) / 2
    means = [lab((batch.mean((2, 3)) + 1) / 2) for batch in (large, native)]
    return {
        "rms at 64 px": difference.square().mean().sqrt().item(), "most at 64 px": difference.abs().max().item(),
        "most dE of the mean colour": (means[0] - means[1]).norm(dim=1).max().item(),
    }  # fmt: skip


def evaluate(out: Path, count: int = 600) -> None:
    """Print the tables of `count` pictures, and save 36 unguided ones, 36 guided ones, and 36 paintings."""
    table, (native, large) = Table(out / "upscaler.json"), drawn(RECIPES["unguided"], count)
    painted = paintings(count)
    for name, batch, others in (
        ("at 64 px", native, rounded(reduced(painted))), ("enlarged smoothly", rounded(smooth(native)), painted),
        ("by the upscaler", large, painted),
    ):  # fmt: skip
        table.add({"samples": name, "told from paintings, %": 100 * told_apart(batch, others)})
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
