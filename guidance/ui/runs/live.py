"""A run that follows a visitor's hand, and the handlers of a tab whose runs may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import closing, suppress

from guidance.guides.base import Guide
from guidance.recipe import MODELS, Recipe
from guidance.ui.html.words import Say
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.painting import PLACES, Ask, Compute, Finished, Painting, View, about
from guidance.ui.runs.runner import Runner
from guidance.ui.runs.task import Shown, Task

REST, LINGER = 0.35, 10.0  # seconds without a move until a live run paints in all its steps, and until it ends
LOOK = 0.05  # seconds between looks whether something has moved, or others still paint


def hurried(recipe: Recipe) -> Recipe:
    """The recipe in few steps: the same noise, and much the same pictures."""
    steps = max((guide.hurry for guide in recipe.guides), default=Guide.hurry)
    return recipe.replace(solver="dpm++", steps=min(recipe.steps, steps), travel=0, candidates=1, tries=1, eta=0,
                          size="native")  # fmt: skip


class Live(Task):
    """A run that follows a visitor's hand: at each change the pictures in few steps, and the whole run when it rests.

    It gives way to the runs that wait in a line, and ends when nothing has changed for a while.
    """

    waits = False

    def __init__(self, painting: Painting, jobs: Jobs):
        super().__init__(painting.say)
        self.painting, self.jobs, self.open, self.lock = painting, jobs, True, threading.Lock()
        self.what = f"live:{about(painting.ask.recipe)}"
        self.moved = threading.Event()

    def first(self) -> Future[Shown]:
        """What this one shows first, for who waits for that alone; nothing, if something newer comes before it."""
        self.painting.first = Future()
        return self.painting.first

    def turn(self, other: Live) -> bool:
        """Turn to what another one was to begin with; False if this one has ended."""
        with self.lock:
            if self.open:
                self.answer({})
                self.painting = other.painting
                self.moved.set()
            return self.open

    def answer(self, shown: Shown, painting: Painting | None = None) -> bool:
        """Whether somebody waits for what is shown first, and is told so."""
        if first := (painting or self.painting).first:
            with suppress(InvalidStateError):  # who waited has been told, or waits no more
                first.set_result(shown)
                return True
        return False

    def go(self) -> Iterator[Shown]:
        """What is asked for by now, again and again."""
        try:
            while self.open:
                self.rests = False
                self.moved.clear()
                painting = self.painting
                yield from self.patiently(self.soon(painting), False)  # dropped, it would show nothing to a quick hand
                for part in (self.still(REST), painting.go(), self.resting()):
                    yield from self.patiently(part)
                with self.lock:
                    self.open = self.moved.is_set()
        finally:
            with self.lock:
                self.open = False
                self.answer({})

    def still(self, seconds: float) -> Iterator[Shown]:
        """Nothing, for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.moved.wait(LOOK):
            yield {}

    def resting(self) -> Iterator[Shown]:
        """Nothing, until something has changed or for a while: over the connection that is open, it is shown sooner."""
        self.rests = True
        yield {"rest": ""}  # no place, but who follows it looks
        yield from self.still(LINGER)

    def patiently(self, steps: Iterator[Shown], dropped: bool = True) -> Iterator[Shown]:
        """Steps, if they are to be `dropped` until something has changed; none while others are being painted for."""
        with closing(steps):
            while not (dropped and self.moved.is_set()):
                while self.jobs.line:
                    time.sleep(LOOK)
                    yield {}
                if (shown := next(steps, None)) is None:
                    return
                yield shown

    def soon(self, painting: Painting) -> Iterator[Shown]:
        """The pictures in few steps, beside what is known of the others."""
        recipe, variants, _ = painting.ask
        images = {other: found[0] for other in variants.values() if (found := painting.cache.get(other))}
        with closing(painting.compute(hurried(recipe))) as frames:
            for frame in frames:
                if frame.step == frame.steps:
                    images[recipe] = frame.images()
                yield {}
        shown = {label: other for label, other in variants.items() if other in images}
        seen = View(recipe, shown, images, False, say=self.say)
        shown = {"view": painting.render(seen)} | self.status("running", "Live")
        yield {} if self.answer(shown, painting) else shown

    def release(self) -> None:
        """Only what is shown stays."""
        self.painting.release()

    def end(self, begun: bool) -> Shown:
        """What stays after a stop."""
        return self.status("stopped", "Stopped.")


def runner(compute: Compute, parse: Callable[[dict], Ask], render: Callable[[View], str], jobs: Jobs) -> Runner:
    """The handlers of a tab that paints: how its controls' values become what is asked for, and how that is shown."""
    cache = Finished()

    def ask(say: Say, values: dict, previews: bool = True) -> Painting:
        keep = values.pop("keep") is True  # whether PNGs carry their recipes
        return Painting(compute, render, parse(values), cache, say, keep, previews)

    def live(say: Say, values: dict) -> Live | None:
        painting = ask(say, values, False)
        recipe, _, grid = painting.ask
        ready = recipe.model in MODELS and not grid and not any(guide.bare for guide in recipe.guides)
        return Live(painting, jobs) if ready else None

    return Runner(jobs, ask, PLACES, live)
