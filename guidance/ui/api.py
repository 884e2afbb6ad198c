"""The API: what the tabs do, for programs.

The endpoints are generators, so that a run ends when its caller cancels or goes away; they are annotated with what each
yield is, because that is where Gradio's documentation has it from.
"""

import io
import time
from collections.abc import Callable, Iterator

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from guidance import metadata
from guidance.checks import whole
from guidance.recipes import ClipRecipe, ColorRecipe, DigitRecipe, Recipe
from guidance.ui import agents, controls, run
from guidance.ui.runner import sentence

D, C, N = ColorRecipe(), ClipRecipe(), DigitRecipe()
MAX_PICTURES = 200  # in one call


def color(compute: run.Compute) -> None:
    """Add the endpoint /color over a function that turns a recipe into frames."""

    def color(
        color: str = D.color, model: str = D.model, text: str = D.text, negative: str = D.negative,
        text_scale: float = D.text_scale, loss: str | None = None, scale: float | None = None, method: str = D.method,
        rule: str = D.rule, weight: str | None = None, start: float = D.start, stop: float = D.stop,
        solver: str = D.solver, steps: int = D.steps, seed: int = D.seed, count: int = D.count,
    ) -> list[gr.FileData]:  # fmt: skip
        """Paint pictures steered toward a colour; gives PNG files, each with its recipe inside.

        Every parameter is a field of the recipe. A scale of 0 leaves the model alone;
        no scale, loss or weight takes the rule's default.
        """
        yield from paint(lambda: ColorRecipe(
            color=color, model=model, loss=loss, scale=scale, method=method, rule=rule, weight=weight, start=start,
            stop=stop, solver=solver, steps=steps, seed=seed, count=count,
            text=text, negative=negative, text_scale=text_scale,
        ), compute)  # fmt: skip

    gr.api(agents.described(color), api_name="color", **run.SLOTS)


def clip(compute: run.Compute) -> None:
    """Add the endpoint /clip over a function that turns a recipe into frames."""

    def clip(
        prompt: str = C.prompt, image: str = C.image, clip: str = C.clip, model: str = C.model, text: str = C.text,
        negative: str = C.negative, text_scale: float = C.text_scale, preset: str = C.preset, rule: str | None = None,
        scale: float | None = None, method: str | None = None, weight: str | None = None, cuts: int | None = None,
        travel: int | None = None, candidates: int | None = None, start: float = C.start, stop: float | None = None,
        solver: str = C.solver, eta: float | None = None, steps: int | None = None,
        seed: int = C.seed, count: int = C.count,
    ) -> list[gr.FileData]:  # fmt: skip
        """Paint pictures steered toward a prompt by a CLIP; gives PNG files, each with its recipe inside.

        Every parameter is a field of the recipe. The prompt may have parts with weights, as in "snow:1 | clouds:-0.5";
        image is a picture as a prompt, base64 of a WebP of at most 256 px; what is not given comes from the preset.
        """
        yield from paint(lambda: ClipRecipe(
            prompt=prompt, image=image, clip=clip, model=model, preset=preset, rule=rule, scale=scale, method=method,
            weight=weight, cuts=cuts, travel=travel, candidates=candidates, start=start, stop=stop, solver=solver,
            eta=eta, steps=steps, seed=seed, count=count, text=text, negative=negative, text_scale=text_scale,
        ), compute)  # fmt: skip

    gr.api(agents.described(clip), api_name="clip", **run.SLOTS)


def digits(compute: run.Compute) -> None:
    """Add the endpoint /digits over a function that turns a recipe into frames."""

    def digits(
        digits: str = N.digits, guidance: str = N.guidance, scale: float | None = None,
        conditioning: str = N.conditioning, start: float | None = None, stop: float | None = None,
        solver: str = N.solver, steps: int = N.steps, seed: int = N.seed, count: int = N.count,
    ) -> list[gr.FileData]:  # fmt: skip
        """Draw the digits asked for, `count` times in the order given; gives 28 px PNG files with their recipes inside.

        Every parameter is a field of the recipe. With classifier-free guidance a scale of 0 ignores the digit and 1 is
        the network alone; no scale takes the default.
        """
        yield from paint(lambda: DigitRecipe(
            digits=digits, guidance=guidance, scale=scale, conditioning=conditioning, start=start, stop=stop,
            solver=solver, steps=steps, seed=seed, count=count,
        ), compute)  # fmt: skip

    gr.api(agents.described(digits), api_name="digits", **run.SLOTS)


def paint(recipe: Callable[[], Recipe], compute: run.Compute) -> Iterator[list[dict]]:
    """The files of a recipe, or a sentence; before that nothing, now and then, so that a run can be given up."""
    try:
        made = recipe()
        whole("Count", len(made.seeds), 1, MAX_PICTURES)
        controls.offered(getattr(made, "model", "landscapes"))
        shown = time.monotonic()
        for frame in compute(made):
            if frame.step < frame.steps and time.monotonic() - shown >= run.PREVIEW:
                shown = time.monotonic()
                yield []
    except Exception as error:
        raise gr.Error(sentence(error), print_exception=False) from None
    yield [png(image, made.picture(k)) for k, image in enumerate(frame.images())]


def png(image: Image.Image, recipe: Recipe) -> dict:
    """A file in Gradio's cache, as its clients know files."""
    buffer, name = io.BytesIO(), f"{recipe.slug}.png"
    image.save(buffer, "PNG", pnginfo=metadata.png_info(recipe))
    path = save_bytes_to_cache(buffer.getvalue(), name, get_upload_folder())
    return gr.FileData(path=path, orig_name=name, mime_type="image/png").model_dump()
