"""Digits: are they what was asked for, and how close are they to MNIST; by conditioning, guidance, scale and steps."""

from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from guidance.engine import images, plan
from guidance.evaluation import metrics
from guidance.fields import choices
from guidance.frame import to_pixels
from guidance.guides.digits import Digits
from guidance.models import catalogue
from guidance.models.model import Model
from guidance.models.networks import DENOISERS, SCHEDULER
from guidance.recipe import DigitRecipe, Recipe
from guidance.sampling.guides import classifier_free
from guidance.sampling.sample import sample
from guidance.sampling.schedule import Schedule
from guidance.training.digits import DATA, mnist, scaled
from guidance.training.digits import NOTEBOOK as NOTEBOOK_RUN
from guidance.training.trainer import plot

DEFAULT = DigitRecipe()
SCALES = {
    "classifier-free": (0.0, 1.5, 2.0, 3.0, 5.0), "classifier": (3.0, 10.0, 30.0), "blind-classifier": (10.0, 30.0)
}  # fmt: skip
RECIPES = [
    *(DigitRecipe(guidance=guidance, scale=scale) for guidance, scales in SCALES.items() for scale in scales),
    *(DigitRecipe(conditioning=name, guidance=kind) for name in choices(Digits.model_fields["conditioning"])
      for kind in ("none", "classifier-free")),
    *(DigitRecipe(steps=steps) for steps in (5, 8, 25, 50)),
    *(DigitRecipe(solver="ddim", steps=steps) for steps in (15, 30)),
]
# As the course samples.
NOTEBOOK = {"conditioning": "channels", "scale": 1.0, "solver": "ddpm", "steps": 1000, "passes": 1000}


def passes(recipe: Recipe) -> int:
    """How often the denoiser sees a picture, both halves of classifier-free guidance counted."""
    (guide,) = recipe.guides
    doubled = guide.guidance == "classifier-free" and guide.scale not in (0, 1)
    return recipe.steps + doubled * sum(weight > 0 for weight in plan(recipe.picture(0)).weights)


def drawn(recipe: Recipe, labels: list[int]) -> Tensor:
    """The 8-bit pictures of these labels, (N, 1, 28, 28) uint8, picture k from seed k."""
    firsts = tqdm(range(0, len(labels), 100), leave=False, unit="hundred")
    parts = (recipe.change(digits="".join(map(str, labels[first : first + 100])), seed=first) for first in firsts)
    return torch.cat([to_pixels(images(part)) for part in parts])


def notebook_drawn(weights: Path, labels: list[int]) -> Tensor:
    """The same by the course's network, trained by the course's recipe, in its 1,000 steps without guidance."""
    model = Model(catalogue.read(DENOISERS["channels"], weights), SCHEDULER | {"prediction_type": "epsilon"})
    generators = [torch.Generator().manual_seed(seed) for seed in range(len(labels))]
    schedule, told = Schedule(model.config, "ddpm", 1000, generators), torch.tensor(labels)
    predict = classifier_free(model.eps, told, told, schedule, scale=1, weights=[1.0] * 1000)
    for step in tqdm(sample(predict, model.noise(generators), schedule), total=1000, leave=False):
        x_t = step.x_t
    return ((x_t.clamp(-1, 1) + 1) * 127.5).round().byte()


def judged(judge: nn.Module, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The judge's features (N, 128) and chances of each class (N, 10) for uint8 pictures."""
    with torch.no_grad():
        features = torch.cat([judge.features(scaled(part)) for part in pictures.split(500)])
        return features, judge.head(features).softmax(1)


def evaluate(out: Path, data: Path = DATA, count: int = 10_000) -> None:
    """Print the table and save the plot: the default over `count` pictures, the others over a tenth of them.

    The course's own recipe stands beside them if `train notebook-digits` has been run, over a fiftieth.
    """
    judge = catalogue.digit_judge().cpu()
    (train, classes), (test, truth) = mnist(data, "train"), mnist(data, "test")
    known, chances = judged(judge, test)
    print(f"The judge reads {100 * (chances.argmax(1) == truth).float().mean():.2f} % of the test split as labelled.\n")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    table = metrics.Table(out / "digits.json", digits=4)

    def add(name: str, pictures: Tensor, labels: list[int], row: dict) -> None:
        features, chances = judged(judge, pictures)
        right = chances.argmax(1) == torch.tensor(labels)
        table.add({
            "what": name, **row, "pictures": len(labels), "accuracy %": 100 * right.float().mean().item(),
            "confidence %": 100 * chances.amax(1).mean().item(), "Frechet": metrics.frechet(features, known),
            "coverage": metrics.coverage(features, known),
        })  # fmt: skip

    for first in (order[:size] for size in (count, count // 10, count // 50)):
        add("training split (the floor)", train[first], classes[first].tolist(), dict.fromkeys(NOTEBOOK, ""))
    # Classes come as often as in the test split, in its order.
    for size, recipe in [(count, DEFAULT), *((count // 10, recipe) for recipe in RECIPES)]:
        labels = truth[:size].tolist()
        row = {name: getattr(recipe, name) for name in ("conditioning", "scale", "solver", "steps")}
        add(recipe.guidance, drawn(recipe, labels), labels, row | {"passes": passes(recipe)})
    if (weights := NOTEBOOK_RUN.out / "model.safetensors").exists():
        labels = truth[: count // 50].tolist()
        add("the course's recipe", notebook_drawn(weights, labels), labels, NOTEBOOK)
    # A curve per kind of guidance over the scale, of recipes that differ in nothing else.
    alike = {name: getattr(DEFAULT, name) for name in ("conditioning", "solver", "steps")} | {"pictures": count // 10}
    rows = sorted((row for row in table.rows[3:] if row | alike == row), key=lambda row: row["scale"])
    curves = {guidance: [row for row in rows if row["what"] == guidance] for guidance in SCALES}
    plot(out / "digits-plot.png", curves, "scale", "accuracy %", "Frechet")
