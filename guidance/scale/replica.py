"""A process of Ray Serve that paints for a page."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from ray import serve

from guidance import progress, settings
from guidance.engine import generate, held
from guidance.frame import Frame
from guidance.models import catalogue
from guidance.recipe import Recipe
from guidance.ui.server import zero

NETWORKS = 16  # that a painter is known to hold; its own cache keeps to its memory
TOLD = 0.5  # seconds between two times that it is said what is being loaded
Loading = tuple[str, int, int]  # a name, bytes that are here, and of how many


def step(steps: Iterator[Frame | str]) -> Frame | str | None:
    """The next item of a run, with all that the device has to do for it done: packed, it waits for no other run."""
    if isinstance(item := next(steps, None), Frame):
        vars(item).update(x0=item.x0, seen=item.seen)
    return item


class Painter:
    """A process that holds networks and paints. All runs take turns, a step at a time, on one thread."""

    def __init__(self):
        self.thread, self.since = ThreadPoolExecutor(1, "painter"), math.inf

    async def work(self, function: Callable, *values: object) -> object:
        """Call a function on the thread that works on the device."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, self.timed, function, *values)

    def timed(self, function: Callable, *values: object) -> object:
        """Call a function, and know since when it is at work."""
        self.since = time.monotonic()
        try:
            return function(*values)
        finally:
            self.since = math.inf

    async def check_health(self) -> None:
        """RuntimeError when a step takes longer than a whole run may: Ray puts another painter in this one's place."""
        if time.monotonic() - self.since > settings.DEADLINE:
            raise RuntimeError("A step does not end.")

    @serve.multiplexed(max_num_models_per_replica=NETWORKS)
    async def network(self, name: str) -> object:
        """A network, loaded; by this it is known who holds it."""
        return await self.work(catalogue.get, name)

    async def frames(self, recipe: Recipe) -> AsyncIterator[Frame | str | Loading]:
        """A recipe's frames, and at most one sentence, the last; before them what is being loaded for it, if anything.

        A run that is given up ends within a step.
        """
        steps = zero.itemized(partial(generate, deadline=settings.DEADLINE), recipe)
        first = asyncio.ensure_future(self.first(steps))
        try:
            while not (await asyncio.wait([first], timeout=TOLD))[0]:
                if loading := progress.latest():
                    yield loading
            item = await first
            while item is not None:
                yield item
                item = await self.work(step, steps)
        finally:
            first.cancel()
            self.thread.submit(steps.close)

    async def first(self, steps: Iterator[Frame | str]) -> Frame | str | None:
        """The first frame of a run, once its network is there."""
        with suppress(Exception):  # the run will meet the same and say so
            await self.network(serve.get_multiplexed_model_id())
        return await self.work(step, steps)

    async def held(self) -> tuple[list[tuple[str, int]], int]:
        """The networks in this painter's memory, and what they may take."""
        return held()
