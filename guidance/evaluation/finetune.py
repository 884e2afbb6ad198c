"""Fine-tuning: the built-in landscapes become engravings, and are still steered by colour."""

import time
from dataclasses import replace
from pathlib import Path

import torch

from guidance.atomic import save
from guidance.evaluation import metrics
from guidance.evaluation.samples import grid, pictures
from guidance.frame import to_images
from guidance.guides.color import target
from guidance.models import catalogue
from guidance.models.model import Model
from guidance.recipe import ColorRecipe, Recipe
from guidance.training import finetune
from guidance.training.engravings import by_day, engrave

SEEDS = {"training": 60_000_000, "evaluation": 80_000_000}  # where the painter starts
COLORS = ("#2f8f8f", "#d06030")


def evaluate(out: Path, steps: int = 800, given: int = 200, count: int = 128) -> None:
    """Fine-tune on `given` engravings; print the kernel distance of samples to others on the way, and save the grids.

    Time is counted in minutes of one core, which other programs on the machine do not stretch as they do a clock's.
    """
    (out / "engravings").mkdir(parents=True, exist_ok=True)
    drawn = engrave(by_day(SEEDS["training"], given))
    for k, image in enumerate(to_images(drawn)):
        save(image, out / "engravings" / f"{k:03d}.png")
    judge = catalogue.judge()
    others = torch.cat([engrave(part) for part in by_day(SEEDS["evaluation"], 2048 + count).split(256)])
    known = metrics.features(judge, others[:2048])
    table = metrics.Table(out / "finetune.json")
    spent, began = 0.0, time.process_time()

    def row(name: str, batch: torch.Tensor, minutes: float) -> None:
        distance = metrics.kid(metrics.features(judge, batch), known)
        table.add({"pictures": name, "KID x 1000": distance, "contrast": metrics.contrast(batch), "minutes": minutes})

    def watch(model: Model, step: int) -> None:
        nonlocal spent, began
        spent += time.process_time() - began
        name = f"samples after {step:,} steps" if step else "samples before"
        row(name, finetune.sampled(model, count, "dpm++", 15), spent / 60)
        began = time.process_time()

    print(f"{count} pictures against 2,048 engravings; minutes of one core\n")
    row("other engravings (the floor)", others[2048:], 0.0)
    row(f"the {given} that are given", drawn, 0.0)
    bare = Recipe(solver="dpm++", steps=15)
    before = pictures(bare, 12)
    settings = replace(finetune.SETTINGS, out=out / "run", steps=steps, learning_rate=3e-4, every=max(1, steps // 4),
                       ema_decay=0.99)  # fmt: skip
    began = time.process_time()
    finetune.run(settings, data=out / "engravings", watch=watch)

    made = str(out / "run" / "pipeline")
    after = pictures(bare.replace(model=made), 12)
    rows, guided = [drawn[:12], before, after], metrics.Table(out / "finetune-color.json")
    print("\nColour guidance of the result, 12 pictures, 40 steps\n")
    for color in COLORS:
        recipe = ColorRecipe(color=color, model=made)
        batch, plain = pictures(recipe, 12), pictures(recipe.unguided(), 12)
        distances = [metrics.color_distance(part, target(color)).mean().item() for part in (plain, batch)]
        guided.add({
            "colour": color, "distance, unguided": distances[0], "distance, guided": distances[1],
            "contrast / unguided": metrics.contrast(batch) / metrics.contrast(plain),
        })  # fmt: skip
        rows.append(batch)
    save(grid(torch.cat([part[:8] for part in rows]), 8), out / "finetune.png")
