"""From a recipe to pictures: the one place where model, losses and guides meet."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from guidance import settings
from guidance.losses.color import COLOR_LOSSES, target
from guidance.models import catalogue
from guidance.models.model import Model
from guidance.recipes import ColorRecipe
from guidance.sampling.guides import GuidanceError, loss_guide, network
from guidance.sampling.sample import Predict, sample
from guidance.sampling.schedule import Schedule, strengths

_device = threading.Lock()  # one step at a time on the device, whoever asks; runs take turns


@dataclass(frozen=True)
class Frame:
    """One step of a run. In the last frame, where step == steps, x0 is the picture itself."""

    step: int
    steps: int
    x0: Tensor  # (B, C, H, W) float32 in [-1, 1]
    losses: dict[str, Tensor]  # each (B,)

    def images(self) -> list[Image.Image]:
        """The pictures at native resolution."""
        return to_images(self.x0)


def to_images(x0: Tensor) -> list[Image.Image]:
    """Pictures (B, C, H, W) in [-1, 1], C = 1 or 3, as PIL images."""
    array = ((x0.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture) for picture in array]


def guide_color(recipe: ColorRecipe, model: Model, schedule: Schedule, predict: Predict) -> Predict:
    """The network, steered toward the recipe's colour."""
    loss = COLOR_LOSSES[recipe.loss](target(recipe.color, model.channels))
    weights = strengths(schedule, recipe.weight, recipe.start, recipe.stop)
    return loss_guide(
        predict, loss, schedule, scale=recipe.scale, weights=weights, name="colour", method=recipe.method,
        rule=recipe.rule, fade=True,
    )  # fmt: skip


GUIDES: dict[type, Callable[..., Predict]] = {ColorRecipe: guide_color}


def generate(recipe: ColorRecipe) -> Iterator[Frame]:
    """Make the recipe's pictures, a frame per step; closing the iterator stops the run within one step.

    Raises GuidanceError, with a sentence for the user, when guidance blows up or the run outlasts its deadline.
    """
    started = time.monotonic()
    model = catalogue.get(recipe.model)
    schedule = Schedule(model.config, recipe.solver, recipe.steps)
    predict = network(model.eps, schedule)
    if recipe.scale > 0:
        predict = GUIDES[type(recipe)](recipe, model, schedule, predict)
    steps = len(schedule.timesteps)
    run = sample(predict, model.noise([recipe.seed + k for k in range(recipe.count)]), schedule)
    for i in range(steps):
        with _device:
            step = next(run)
        last = i + 1 == steps
        yield Frame(i + 1, steps, step.x_t.clamp(-1, 1) if last else step.x0, step.losses)
        if not last and time.monotonic() - started > settings.DEADLINE:
            raise GuidanceError(
                f"The run was stopped after {settings.DEADLINE:g} seconds: ask for fewer pictures or fewer steps."
            )


def images(recipe: ColorRecipe) -> list[Image.Image]:
    """The recipe's pictures as PIL images, without the steps between."""
    *_, last = generate(recipe)
    return last.images()
