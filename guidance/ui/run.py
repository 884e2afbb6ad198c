"""One run on the page: from the controls to previews, pictures and a sentence about how it went."""

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import gradio as gr
from PIL import Image

from guidance import recipes
from guidance.recipes import ColorRecipe, RecipeError
from guidance.ui import pictures
from guidance.ui.pictures import Shot

log = logging.getLogger(__name__)
PREVIEW = 1 / 6  # seconds between previews; more often only costs bandwidth
WENT_WRONG = "Something went wrong on our side; the run was stopped."
SLOTS = {"concurrency_limit": 8, "concurrency_id": "runs"}  # on every event that runs: the group takes its lowest limit

Compute = Callable[[ColorRecipe], Iterator]


def sentence(error: Exception) -> str:
    """What the user is told about an error; what is not theirs goes to the log."""
    if isinstance(error, RecipeError):
        return str(error)
    from guidance.generation import GuidanceError  # imports torch, which a run that got here has done

    if isinstance(error, GuidanceError):
        return str(error)
    log.error("A run failed.", exc_info=error)
    return WENT_WRONG


class Unguided:
    """The last unguided pictures: they depend on these fields alone, so a moved slider needs no second run."""

    FIELDS = ("model", "solver", "steps", "seed")

    def __init__(self, size: int = 256):
        self.size, self.images, self.lock = size, OrderedDict[tuple, Image.Image](), threading.Lock()

    def keys(self, recipe: ColorRecipe) -> list[tuple]:
        """One key for each of the recipe's pictures."""
        singles = [recipe.picture(k) for k in range(recipe.count)]
        return [tuple(getattr(single, name) for name in self.FIELDS) for single in singles]

    def get(self, recipe: ColorRecipe) -> list[Image.Image] | None:
        """The recipe's unguided pictures if all are here."""
        with self.lock:
            found = [self.images.get(key) for key in self.keys(recipe)]
            return None if None in found else found

    def put(self, recipe: ColorRecipe, images: list[Image.Image]) -> None:
        """Keep pictures, and let the oldest go."""
        with self.lock:
            for key, image in zip(self.keys(recipe), images, strict=True):
                self.images[key] = image
                self.images.move_to_end(key)
            while len(self.images) > self.size:
                self.images.popitem(last=False)


@dataclass
class Progress:
    """Where a session's run stands. It outlives the run, so what follows a stop can tell how far it came."""

    state: str = "done"  # or "waiting", "running", "stopped"
    step: int = 0
    steps: int = 0


@dataclass(frozen=True)
class Tab:
    """What a tab brings to a run: how its controls become a recipe and what is said under a picture."""

    parse: Callable[..., ColorRecipe]
    legend: Callable[[ColorRecipe], str]  # HTML
    caption: Callable[[ColorRecipe, Image.Image], str]  # HTML
    filename: Callable[[ColorRecipe], str]


def pairs(tab: Tab, recipe: ColorRecipe, before: list[Image.Image], after: list[Image.Image], final: bool) -> str:
    """The unguided and guided pictures of a run as HTML."""
    rows = []
    for k, images in enumerate(zip(before, after, strict=True)):
        single = recipe.picture(k)
        shots = [
            Shot(label, image, tab.caption(single, image), made_by if final else None, tab.filename(made_by))
            for label, image, made_by in zip(("Unguided", "Guided"), images, (single.unguided(), single), strict=True)
        ]
        rows.append((single.seed, shots))
    return pictures.gallery(tab.legend(recipe), rows, final)


def pretty(recipe: ColorRecipe) -> str:
    """The recipe as JSON to read."""
    return json.dumps(json.loads(recipes.to_json(recipe)), indent=2)


def runner(compute: Compute, tab: Tab) -> Callable[..., Iterator[tuple]]:
    """The handler of a run: (progress, *control values) to (pictures, status, recipe as JSON), again and again."""
    cache = Unguided()

    def paint(recipe: ColorRecipe, progress: Progress) -> Iterator[tuple]:
        before = cache.get(recipe)
        with ExitStack() as stack:
            guided = stack.enter_context(closing(compute(recipe)))
            # Both go on a step at a time, so that one sees the same noise become two pictures.
            unguided = None
            if before is None and recipe.scale > 0:
                unguided = stack.enter_context(closing(compute(recipe.unguided())))
            started = shown = time.monotonic()
            for frame in guided:
                plain = next(unguided) if unguided else frame
                now, progress.step, progress.steps = time.monotonic(), frame.step, frame.steps
                if frame.step == 1:  # a first step may have loaded the model, so time is told from its end
                    started = now
                if frame.step < frame.steps and (frame.step == 1 or now - shown >= PREVIEW):
                    shown = now
                    html = pairs(tab, recipe, before or plain.images(), frame.images(), final=False)
                    yield html, running(progress, now - started), gr.skip()
        before = before or plain.images()
        cache.put(recipe, before)
        html = pairs(tab, recipe, before, frame.images(), final=True)
        number = "1 picture" if recipe.count == 1 else f"{recipe.count} pictures"
        done = f"Done: {number} in {frame.steps} steps, {time.monotonic() - started:.1f} s."
        yield html, pictures.status("done", done), pretty(recipe)

    def handler(progress: Progress, *values: object) -> Iterator[tuple]:
        progress.state, progress.step, progress.steps = "running", 0, 0
        try:
            recipe = tab.parse(*values)
            yield gr.skip(), pictures.status("running", "Getting the model ready"), gr.skip()
            yield from paint(recipe, progress)
            progress.state = "done"
        except GeneratorExit:  # Stop, or the page was closed; compute's iterators are closed by now
            progress.state = "stopped"
            raise
        except Exception as error:
            progress.state = "done"
            yield gr.skip(), pictures.status("error", sentence(error)), gr.skip()

    return handler


def running(progress: Progress, elapsed: float) -> str:
    """The status line of a run `elapsed` seconds after its first step."""
    text = f"Step {progress.step} of {progress.steps}"
    if progress.step > 1:
        left = elapsed / (progress.step - 1) * (progress.steps - progress.step)
        text += f", {left:.{int(left < 10)}f} s left"
    return pictures.status("running", text, progress.step / progress.steps)
