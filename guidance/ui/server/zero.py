"""ZeroGPU, where a GPU is lent for seconds to a forked worker: arguments and yields travel through pickle."""

from collections.abc import Iterator
from dataclasses import fields, replace

from guidance import settings
from guidance.fields import RecipeError
from guidance.recipe import MODELS, Recipe
from guidance.ui.runs.painting import Compute
from guidance.ui.server.limits import work

LEAST, MOST = 15, 120  # seconds: a worker may have to start and load a model; more than MOST is not lent to visitors
SECONDS = {"shortcut": 0.01, "full": 0.03}  # for one picture of 256 px and one step
BUILT_IN = 0.25  # the share of that which a built-in model takes


def duration(recipe: Recipe) -> int:
    """The seconds for which the GPU is asked for."""
    each = [SECONDS[getattr(guide, "method", "shortcut")] * (1 + getattr(guide, "cuts", 0) / 16)
            for guide in recipe.guides]  # fmt: skip
    seconds = max(each, default=SECONDS["shortcut"]) * work(recipe) * (BUILT_IN if recipe.model in MODELS else 1)
    return min(MOST, round(LEAST + seconds))


def on_cpu(value: object) -> object:
    """A tensor, or a dict of them, off the GPU; anything else as it is."""
    if isinstance(value, dict):
        return {name: part.cpu() for name, part in value.items()}
    return value.cpu() if hasattr(value, "cpu") else value


def lend(compute: Compute, gpu) -> Compute:
    """A compute function over one that `gpu`, which is spaces.GPU, runs in its worker."""

    @gpu(duration=duration)
    def on_gpu(recipe: Recipe) -> Iterator:  # frames on the CPU, and at most one sentence, the last
        from guidance.engine import SENTENCES

        try:
            for frame in compute(recipe):
                yield replace(frame, **{field.name: on_cpu(getattr(frame, field.name)) for field in fields(frame)})
        except (RecipeError, *SENTENCES) as error:  # the worker would tell the name of its class alone
            yield str(error)

    def run(recipe: Recipe) -> Iterator:
        for item in on_gpu(recipe):
            if isinstance(item, str):
                raise RecipeError(item)
            yield item

    return run


def adapted(compute: Compute) -> Compute:
    """The page's compute function as it must be here: itself, but on ZeroGPU run by a worker."""
    if not settings.ZERO:
        return compute
    import spaces  # before CUDA is touched

    return lend(compute, spaces.GPU)
