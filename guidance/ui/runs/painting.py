"""One run on the page: from the controls to previews, pictures and a sentence about how it went."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from PIL import Image

from guidance import progress
from guidance.guides.base import Reading
from guidance.recipe import Recipe, to_json
from guidance.ui.html import pictures
from guidance.ui.html.film import Film
from guidance.ui.html.grids import table
from guidance.ui.html.words import Say
from guidance.ui.runs.grids import Grid
from guidance.ui.runs.task import Shown, Task

PREVIEW = 1 / 6  # seconds between previews; more often only costs bandwidth
SHARE = 20  # of a run's time that previews may take: one in so many seconds
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
