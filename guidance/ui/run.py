"""One run on the page: from the controls to previews, pictures and a sentence about how it went."""

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import gradio as gr
from PIL import Image

from guidance import metadata
from guidance.checks import RecipeError
from guidance.recipes import Recipe
from guidance.ui import pictures

log = logging.getLogger(__name__)
PREVIEW = 1 / 6  # seconds between previews; more often only costs bandwidth
WENT_WRONG = "Something went wrong on our side; the run was stopped."
SLOTS = {"concurrency_limit": 8, "concurrency_id": "runs"}  # on every event that runs: the group takes its lowest limit

Compute = Callable[[Recipe], Iterator]


def sentence(error: Exception) -> str:
    """What the user is told about an error; what is not theirs goes to the log."""
    if isinstance(error, RecipeError):
        return str(error)
    from guidance.generation import TOLD  # imports torch, which a run that got here has done

    if isinstance(error, TOLD):
        return str(error)
    log.error("A run failed.", exc_info=error)
    return WENT_WRONG


class Finished:
    """The last pictures that something was compared with: a moved slider needs no second run of them."""

    def __init__(self, size: int = 256):
        self.size, self.images, self.lock = size, OrderedDict[Recipe, Image.Image](), threading.Lock()

    def get(self, recipe: Recipe) -> list[Image.Image] | None:
        """The recipe's pictures if all are here."""
        with self.lock:
            found = [self.images.get(recipe.picture(k)) for k in range(len(recipe.seeds))]
            return None if None in found else found

    def put(self, recipe: Recipe, images: list[Image.Image]) -> None:
        """Keep pictures, and let the oldest go."""
        with self.lock:
            for k, image in enumerate(images):
                self.images[recipe.picture(k)] = image
                self.images.move_to_end(recipe.picture(k))
            while len(self.images) > self.size:
                self.images.popitem(last=False)


@dataclass
class Progress:
    """Where a session's run stands. It outlives the run, so what follows a stop can tell how far it came."""

    state: str = "done"  # or "waiting", "running", "stopped"
    step: int = 0
    steps: int = 0


Variants = dict[str, Recipe]  # what stands beside one another, by its label


@dataclass(frozen=True)
class View:
    """What a run has to show at some step."""

    recipe: Recipe
    variants: Variants  # the recipe among them
    images: dict[Recipe, list[Image.Image]]
    final: bool
    losses: dict[str, list[float]] = field(default_factory=dict)  # for each step, the mean over pictures


@dataclass(frozen=True)
class Tab:
    """What a tab brings to a run: how its controls become a recipe, what to compare it with, and how both are shown."""

    parse: Callable[..., tuple[Recipe, Variants]]  # control values to the recipe and what is shown, itself among them
    render: Callable[[View], str]  # HTML


def pretty(recipe: Recipe) -> str:
    """The recipe as JSON to read."""
    return json.dumps(json.loads(metadata.to_json(recipe)), indent=2)


def runner(compute: Compute, tab: Tab) -> Callable[..., Iterator[tuple]]:
    """The handler of a run: (progress, *control values) to (pictures, status, recipe as JSON), again and again."""
    cache = Finished()

    def paint(recipe: Recipe, variants: Variants, progress: Progress) -> Iterator[tuple]:
        images = {other: found for other in variants.values() if other != recipe and (found := cache.get(other))}
        with ExitStack() as stack:
            runs = {other: stack.enter_context(closing(compute(other))) for other in [recipe, *variants.values()]
                    if other not in images}  # fmt: skip
            started = shown = time.monotonic()
            losses: dict[str, list[float]] = {}
            # All go on a step at a time, so that one sees the same noise become different pictures.
            for frame in runs[recipe]:
                frames = {other: frame if other == recipe else next(run, None) for other, run in runs.items()}
                now, progress.step, progress.steps = time.monotonic(), frame.step, frame.steps
                for name, value in getattr(frame, "losses", {}).items():
                    losses.setdefault(name, []).append(value.mean().item())
                if frame.step == 1:  # a first step may have loaded the model, so time is told from its end
                    started = now
                last = frame.step == frame.steps
                if last or frame.step == 1 or now - shown >= PREVIEW:
                    shown = now
                    images |= {other: frame.images() for other, frame in frames.items() if frame}
                if shown == now and not last:
                    html = tab.render(View(recipe, variants, images, False, losses))
                    yield html, running(progress, now - started), gr.skip()
        for other in runs.keys() - {recipe}:
            cache.put(other, images[other])
        html = tab.render(View(recipe, variants, images, True, losses))
        number = "1 picture" if len(recipe.seeds) == 1 else f"{len(recipe.seeds)} pictures"
        done = f"Done: {number} in {frame.steps} steps, {time.monotonic() - started:.1f} s."
        done = " ".join([done, *getattr(frame, "notes", ())])
        yield html, pictures.status("done", done), pretty(recipe)

    def handler(progress: Progress, *values: object) -> Iterator[tuple]:
        progress.state, progress.step, progress.steps = "running", 0, 0
        try:
            recipe, variants = tab.parse(*values)
            yield gr.skip(), pictures.status("running", "Getting the model ready"), gr.skip()
            yield from paint(recipe, variants, progress)
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
