"""ZeroGPU, where a GPU is lent for seconds to a forked worker: arguments and yields travel through pickle."""

from collections.abc import Iterator

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


def itemized(compute: Compute, recipe: Recipe) -> Iterator:
    """A recipe's frames for another process, and at most one sentence, the last."""
    from guidance.engine import SENTENCES

    try:
        yield from compute(recipe)
    except (RecipeError, *SENTENCES) as error:  # as an exception, its name alone may arrive
        yield str(error)


def heard(items: Iterator) -> Iterator:
    """The frames of another process; RecipeError with the sentence that it says."""
    for item in items:
        if isinstance(item, str):
            raise RecipeError(item)
        yield item


def lend(compute: Compute, gpu) -> Compute:
    """A compute function over one that `gpu`, which is spaces.GPU, runs in its worker."""

    @gpu(duration=duration)
    def on_gpu(recipe: Recipe) -> Iterator:
        yield from itemized(compute, recipe)

    return lambda recipe: heard(on_gpu(recipe))


def adapted(compute: Compute) -> Compute:
    """The page's compute function as it must be here: itself, but on ZeroGPU run by a worker."""
    if not settings.ZERO:
        return compute
    import spaces  # before CUDA is touched

    return lend(compute, spaces.GPU)
