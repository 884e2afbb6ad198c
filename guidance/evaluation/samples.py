"""The unguided model: how close its samples are to the painted landscapes."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from guidance.atomic import save
from guidance.engine import images
from guidance.evaluation import metrics
from guidance.frame import sheet, to_images, to_pixels
from guidance.models import catalogue
from guidance.models.attributes import ATTRIBUTES
from guidance.recipe import ColorRecipe, Recipe
from guidance.training.diffusion import SEEDS, painted_from
from guidance.training.engravings import by_day, engrave
from guidance.training.landscapes import attributes


def pictures(recipe: Recipe, count: int) -> Tensor:
    """The 8-bit pictures of `count` seeds from the recipe's on, (count, 3, H, W) in [-1, 1]."""
    recipe = recipe.replace(size="native")  # which the judge knows
    parts = [recipe.replace(seed=recipe.seed + k, count=min(32, count - k)) for k in range(0, count, 32)]
    return torch.cat([to_pixels(images(part)) for part in tqdm(parts, leave=False)]).float() / 127.5 - 1


def data(count: int, skip: int = 0) -> Tensor:
    """Painted landscapes that no network was trained on, (count, 3, 64, 64) in [-1, 1]."""
    return painted_from(torch.arange(count) + SEEDS["evaluation"] + skip).float() / 127.5 - 1


def grid(batch: Tensor, columns: int) -> Image.Image:
    """Pictures (N, 3, H, W) in rows of `columns`, at native resolution on white."""
    return sheet(to_images(batch), columns, gap=2)


def measured(model: str, real: Tensor, count: int) -> Tensor:
    """Print KID, confidence and contrast of a model's samples beside those of the data; DDIM's samples."""
    judge = catalogue.judge()
    rows = [(f"what {model} has learned from (floor)", real[:count])]
    rows += [(f"samples, {solver}, {steps} steps", pictures(Recipe(model=model, solver=solver, steps=steps), count))
             for solver, steps in (("ddim", 40), ("dpm++", 15))]  # fmt: skip
    known = metrics.features(judge, real[len(real) // 2 :])
    print(f"\n{model}: {count} pictures against {len(known)} others\n")
    print("| pictures | KID x 1000 | confidence | contrast |\n|---|---|---|---|")
    for name, batch in rows:
        distance = metrics.kid(metrics.features(judge, batch), known)
        print(f"| {name} | {distance:.2f} | {metrics.confidence(judge, batch):.3f} | {metrics.contrast(batch):.3f} |")
    return rows[1][1]


def evaluate(out: Path, count: int = 512) -> None:
    """Print the tables of both built-in models and the shares of the landscapes' attributes, and save 6 x 6 grids."""
    out.mkdir(parents=True, exist_ok=True)
    real = data(4096)
    made = measured("landscapes", real, count)
    truth = attributes(torch.arange(4096) + SEEDS["evaluation"]).float().mean(0)
    with torch.no_grad():
        shown = (catalogue.judge()(made) > 0).float().mean(0)
    print("\n| attribute | painted | sampled |\n|---|---|---|")
    for name, painted_share, share in zip(ATTRIBUTES, truth.tolist(), shown.tolist(), strict=True):
        print(f"| {name} | {painted_share:.3f} | {share:.3f} |")
    drawn = torch.cat([engrave(part) for part in by_day(SEEDS["evaluation"], 4096).split(64)])
    measured("engravings", drawn, count)
    save(grid(made[:36], 6), out / "samples.png")
    save(grid(real[:36], 6), out / "painted.png")
    steered = ColorRecipe(color="teal", model="engravings", count=6, seed=3)
    save(sheet([*images(steered.unguided()), *images(steered)], 6, gap=2), out / "engravings.webp")
