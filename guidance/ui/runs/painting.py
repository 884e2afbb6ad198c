"""One run on the page: from the controls to previews, pictures and a sentence about how it went."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from PIL import Image

from guidance import progress
from guidance.guides.base import Guide, Reading
from guidance.recipe import MODELS, Recipe, to_json
from guidance.ui.html import pictures
from guidance.ui.html.film import Film
from guidance.ui.html.grids import table
from guidance.ui.html.words import Say
from guidance.ui.runs.grids import Grid
from guidance.ui.runs.jobs import Jobs, Shown, Task
from guidance.ui.runs.runner import Runner

PREVIEW = 1 / 6  # seconds between previews; more often only costs bandwidth
SHARE = 20  # of a run's time that previews may take: one in so many seconds
REST, LINGER = 0.35, 10.0  # seconds without a move until a live run paints in all its steps, and until it ends
LOOK = 0.05  # seconds between looks whether something has moved, or others still paint
PLACES = ("view", "status", "recipe", "film")  # of what a run shows

Compute = Callable[[Recipe], Iterator]  # a recipe to its frames
Seen = dict[str, float]  # what an independent network saw in a picture: the chance of all that it knows
Variants = dict[str, Recipe]  # what stands beside one another, by its label


class Ask(NamedTuple):
    """What a visitor asked for."""

    recipe: Recipe
    variants: Variants  # the recipe among them
    grid: Grid | None = None


@dataclass(frozen=True)
class View:
    """What a run has to show at some step."""

    recipe: Recipe
    variants: Variants
    images: dict[Recipe, list[Image.Image]]
    final: bool
    losses: dict[str, list[float]] = field(default_factory=dict)  # for each step, the mean over pictures
    say: Say = str
    keep: bool = True  # whether PNGs carry their recipes
    weights: dict[Recipe, str] = field(default_factory=dict)  # the fingerprints of the networks that painted
    seen: dict[Recipe, list[Seen]] = field(default_factory=dict)  # when it is finished

    def readings(self, recipe: Recipe, k: int) -> tuple[Reading, ...]:
        """What was asked for, and what of it is in the k-th picture of a variant, once that is known."""
        return self.recipe.readings(k, self.seen[recipe][k]) if recipe in self.seen else ()

    def made(self, recipe: Recipe) -> Recipe:
        """A recipe with the fingerprint of the networks that painted it."""
        return recipe.replace(weights=self.weights.get(recipe, ""))


class Finished:
    """The last pictures that something was compared with: a moved slider needs no second run of them."""

    def __init__(self, size: int = 256):
        self.size, self.lock = size, threading.Lock()
        self.held = OrderedDict[Recipe, tuple[Image.Image, Seen, str]]()  # with the fingerprint of what painted it

    def get(self, recipe: Recipe) -> tuple[list[Image.Image], list[Seen], str] | None:
        """The recipe's pictures, what was seen in them, and the fingerprint of what painted them, if all are here."""
        with self.lock:
            found = [self.held.get(recipe.picture(k)) for k in range(len(recipe.seeds))]
        if None in found:
            return None
        images, seen, weights = map(list, zip(*found, strict=True))
        return images, seen, weights[0]

    def put(self, recipe: Recipe, images: list[Image.Image], seen: list[Seen], weights: str) -> None:
        """Keep pictures, and let the oldest go."""
        with self.lock:
            for k, (image, chances) in enumerate(zip(images, seen, strict=True)):
                self.held[recipe.picture(k)] = image, chances, weights
                self.held.move_to_end(recipe.picture(k))
            while len(self.held) > self.size:
                self.held.popitem(last=False)


def pretty(recipe: Recipe) -> str:
    """The recipe as JSON to read."""
    return json.dumps(json.loads(to_json(recipe)), indent=2)


def about(recipe: Recipe) -> str:
    """What a run is, for the log, without what it was told."""
    return "+".join(guide.name for guide in recipe.guides) or "unguided"


def mean(losses: dict) -> dict[str, float]:
    """Losses (B,) of one step as their means over pictures."""
    return {name: value.mean().item() for name, value in losses.items()}


class Painting(Task):
    """One run: all that was asked for goes on a step at a time, so one sees the same noise become different things."""

    def __init__(self, compute: Compute, render: Callable[[View], str], ask: Ask, cache: Finished, say: Say = str,
                 keep: bool = True, previews: bool = True):  # fmt: skip
        super().__init__(say)
        self.what, self.previews = f"page:{about(ask.recipe)}", previews
        self.compute, self.ask, self.cache, self.keep = compute, ask, cache, keep
        self.render = partial(table, ask.grid) if ask.grid else render
        self.step, self.steps = 0, 0
        self.images: dict[Recipe, list[Image.Image]] = {}
        self.weights: dict[Recipe, str] = {}
        self.judged: dict[Recipe, list[Seen]] = {}
        self.losses: dict[str, list[float]] = {}
        self.film = Film(ask.recipe)
        self.doing = ""
        self.first: Future[Shown] | None = None  # of a live run, if somebody waits for that

    def go(self) -> Iterator[Shown]:
        """The steps of all variants in turn, then the pictures."""
        recipe, others = self.ask.recipe, self.ask.variants.values()
        for other in others:
            if other != recipe and (found := self.cache.get(other)):
                self.images[other], self.judged[other], self.weights[other] = found
        began = time.monotonic()
        with ExitStack() as stack:
            runs = {other: stack.enter_context(closing(self.compute(other))) for other in [recipe, *others]
                    if other not in self.images}  # fmt: skip
            going, latest, shown, first, cost = dict(runs), {}, 0.0, 0.0, 0.0
            while going:
                for other, run in list(going.items()):
                    frame = latest[other] = next(run)
                    if frame.step == frame.steps:
                        del going[other]
                        self.weights[other], self.judged[other] = frame.weights, frame.seen
                    if other == recipe:
                        losses = mean(frame.losses)
                        if not frame.latent:
                            self.film.add(frame, losses)
                        for name, value in losses.items():
                            self.losses.setdefault(name, []).append(value)
                    yield {}
                now = time.monotonic()
                first = first or now  # a first step may have loaded the model, so time is told from its end
                self.step, self.steps = frame.step, max(frame.steps for frame in latest.values())
                if not going or now - shown >= max(PREVIEW, SHARE * cost):
                    shown = now
                    self.images |= {other: frame.images() for other, frame in latest.items()}
                    if latest[recipe].latent:  # decoded for the preview just now
                        self.film.add(latest[recipe], mean(latest[recipe].losses))
                if going and shown == now:
                    view = {"view": self.render(self.seen(False))} if self.previews else {}
                    yield view | self.running(now - first)
                    cost = time.monotonic() - now
        for other in runs.keys() - {recipe}:
            self.cache.put(other, self.images[other], self.judged[other], self.weights[other])
        seconds = f"{time.monotonic() - began:.1f} s."
        number = "1 picture" if len(recipe.seeds) == 1 else f"{len(recipe.seeds)} pictures"
        done = f"Done: {number} in {self.steps} steps, {seconds}"
        if self.ask.grid:
            done = f"Done: {len(self.ask.variants)} pictures, {seconds}"
        done, seen = " ".join(map(self.say, [done, *latest[recipe].notes])), self.seen(True)
        yield {"view": self.render(seen), "status": pictures.status("done", done), "recipe": pretty(seen.made(recipe))}
        yield {"film": self.film.html(self.say)}  # nobody need wait for it

    def seen(self, final: bool) -> View:
        """What there is to see."""
        recipe, variants, _ = self.ask
        judged = self.judged if final else {}
        return View(recipe, variants, self.images, final, self.losses, self.say, self.keep, self.weights, judged)

    def running(self, elapsed: float) -> Shown:
        """The status line `elapsed` seconds after the first step."""
        text = f"Step {self.step} of {self.steps}"
        if self.step > 1:
            left = elapsed / (self.step - 1) * (self.steps - self.step)
            text += f", {left:.{int(left < 10)}f} s left"
        return self.status("running", text, self.step / self.steps)

    def pulse(self) -> Shown:
        """What is being loaded, while the first step waits for it."""
        before, self.doing = self.doing, "" if self.steps else progress.doing()
        if self.doing in ("", before):
            return {}
        return self.status("running", self.doing)

    def release(self) -> None:
        """Only what is shown stays: the pictures of all steps take ten times as much."""
        self.images, self.judged, self.losses, self.film = {}, {}, {}, None

    def end(self, begun: bool) -> Shown:
        """What stays after a stop; the last preview does."""
        text = f"Stopped at step {self.step} of {self.steps}." if self.step else "Stopped."
        return self.status("stopped", text if begun else "The run did not begin.")


def hurried(recipe: Recipe) -> Recipe:
    """The recipe in few steps: the same noise, and much the same pictures."""
    steps = max((guide.hurry for guide in recipe.guides), default=Guide.hurry)
    return recipe.replace(solver="dpm++", steps=min(recipe.steps, steps), travel=0, candidates=1, eta=0, size="native")


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
