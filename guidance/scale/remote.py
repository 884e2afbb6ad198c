"""Frames from painters on Ray, as the page takes them from its own process."""

import contextvars
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from ray import exceptions
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from guidance import progress
from guidance.engine import network_of
from guidance.fields import RecipeError
from guidance.frame import Frame
from guidance.recipe import Recipe
from guidance.ui.runs.jobs import FULL
from guidance.ui.runs.painting import Compute
from guidance.ui.server import zero

AGAIN = 2  # times that a run begins anew where its painter has died
GONE = "The machines that paint went away three times: try again in a minute."
LOST = (exceptions.RayActorError, exceptions.WorkerCrashedError, exceptions.ObjectLostError, exceptions.NodeDiedError,
        RayServeException)  # fmt: skip


def anew(begin: Callable[[], Iterator]) -> Iterator:
    """What `begin` gives, begun again on another painter where one dies; RecipeError, with a sentence, at last."""
    for left in reversed(range(1 + AGAIN)):
        try:
            yield from begin()
            return
        except BackPressureError:
            raise RecipeError(FULL) from None
        except LOST:
            if not left:
                raise RecipeError(GONE) from None


def computed(handle: DeploymentHandle) -> Compute:
    """A page's compute function over the painters of a handle."""

    def run(recipe: Recipe) -> Iterator[Frame]:
        seen = 0
        for frame in anew(lambda: zero.heard(streamed(handle, recipe))):
            if frame.step > seen:  # the same steps, the same pixels
                seen = frame.step
                yield frame

    return run


def streamed(handle: DeploymentHandle, recipe: Recipe) -> Iterator[Frame | str]:
    """What a painter gives; closed, it is told to stop. What it loads is loaded here, for whoever asks."""
    ask = handle.options(stream=True, multiplexed_model_id=network_of(recipe)).frames.remote
    items = contextvars.Context().run(ask, recipe)  # not as a part of the request that began the run
    try:
        with ExitStack() as loading:
            for item in items:
                loading.close()
                if isinstance(item, tuple):
                    loading.enter_context(progress.loading(item[0]))
                    progress.downloaded(*item)
                else:
                    yield item
    finally:
        items.cancel()


def asked(handle: DeploymentHandle, name: str) -> Callable:
    """A function over the painter that has the time, or if it dies another one."""

    def ask(*values: object) -> object:
        call = getattr(handle, name).remote
        return next(anew(lambda: iter([contextvars.Context().run(call, *values).result()])))

    return ask
