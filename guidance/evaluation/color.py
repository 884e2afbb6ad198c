"""Colour guidance: how close it lands, and what that costs the picture, over the scale; our rule and the course's."""

from pathlib import Path

import torch
from torch import Tensor

from guidance.atomic import save
from guidance.evaluation import metrics
from guidance.evaluation.samples import data, grid, pictures
from guidance.guides.color import Color, target
from guidance.models import catalogue
from guidance.recipe import ColorRecipe, Recipe
from guidance.training.trainer import plot

# The pure corners of the RGB cube that have a hue, and six colours inside it.
COLORS = ("#ff0000", "#00ff00", "#0000ff", "#ffff00", "#00ffff", "#ff00ff",
          "#2080ff", "#ff8040", "#40a060", "#8040a0", "#c0a080", "#305070")  # fmt: skip
OURS = (0.1, Color().scale, 0.3, 0.5, 0.8)
FIRST = {"start": 0.0, "solver": "ddim", "steps": 40}  # as version 0.1 had it
THEIRS = (3.0, 10.0, 30.0, 100.0)
SETTINGS = {
    "normalized, tone": [ColorRecipe(scale=scale) for scale in OURS],
    "..., from the first step on": [ColorRecipe(scale=scale, start=0) for scale in OURS[:4]],
    "..., 40 steps of DDIM": [ColorRecipe(scale=scale, **FIRST) for scale in (0.2, 0.5)],
    "normalized, tone, full": [ColorRecipe(scale=scale, method="full") for scale in OURS[1:2]],
    "normalized, pixel": [ColorRecipe(scale=scale, loss="pixel") for scale in (0.2, 0.5)],
    "course, L1 (the notebook)": [ColorRecipe(rule="course", scale=scale) for scale in THEIRS],
    "course, tone": [ColorRecipe(rule="course", scale=scale, loss="tone") for scale in THEIRS[1::2]],
}


def measure(judge: torch.nn.Module, known: Tensor, bare: Tensor, sets: dict[str, Tensor]) -> dict[str, float]:
    """The figures of guided pictures, by target colour, beside the unguided ones of the same seeds."""
    guided = torch.cat(list(sets.values()))
    before = torch.cat([metrics.color_distance(bare, target(color)) for color in sets]).mean()
    after = torch.cat([metrics.color_distance(batch, target(color)) for color, batch in sets.items()]).mean()
    contrast, distance = metrics.contrast(guided), metrics.kid(metrics.features(judge, guided), known)
    return {
        "distance": after.item(), "distance / unguided": (after / before).item(),
        "contrast": contrast, "contrast / unguided": contrast / metrics.contrast(bare),
        "KID x 1000": distance, "confidence": metrics.confidence(judge, guided),
    }  # fmt: skip


def evaluate(out: Path, seeds: int = 8) -> None:
    """Print the table over COLORS x seeds, save the plot, and a sheet of the default's pictures, a colour a row."""
    judge = catalogue.judge()
    known = metrics.features(judge, data(2048, skip=2048))
    bare = pictures(Recipe(), seeds)
    # As many unguided pictures as guided ones, so that the kernel distances compare.
    many = pictures(Recipe(), seeds * len(COLORS))
    unguided = measure(judge, known, bare, dict.fromkeys(COLORS, bare))
    unguided["KID x 1000"] = metrics.kid(metrics.features(judge, many), known)
    print(f"{len(COLORS)} colours x {seeds} seeds\n")
    table = metrics.Table(out / "color.json")
    table.add({"setting": "unguided", "scale": 0.0, **unguided})
    for setting, recipes in SETTINGS.items():
        for recipe in recipes:
            sets = {color: pictures(recipe.change(color=color), seeds) for color in COLORS}
            table.add({"setting": setting, "scale": recipe.scale, **measure(judge, known, bare, sets)})
            if recipe == ColorRecipe():
                save(grid(torch.cat([bare, *sets.values()]), seeds), out / "color.png")
    rows = sorted(table.rows, key=lambda row: row["scale"])
    curves = {setting: [row for row in rows if row["setting"] == setting] for setting in SETTINGS}
    plot(out / "color-plot.png", curves, "distance / unguided", "contrast / unguided", "KID x 1000", mark=0.45,
         xlabel="colour distance / unguided (CIELAB)")  # fmt: skip
