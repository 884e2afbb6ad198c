"""The API: what the tabs do, for programs."""

import io
from collections import deque
from collections.abc import Callable, Iterator

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from guidance import recipes
from guidance.recipes import ColorRecipe
from guidance.ui import run

D = ColorRecipe()


def color(compute: Callable[[ColorRecipe], Iterator]) -> None:
    """Add the endpoint /color over a function that turns a recipe into frames."""

    def color(
        color: str = D.color, model: str = D.model, loss: str | None = None, scale: float | None = None,
        method: str = D.method, rule: str = D.rule, weight: str | None = None, start: float = D.start,
        stop: float = D.stop, solver: str = D.solver, steps: int = D.steps, seed: int = D.seed, count: int = D.count,
    ) -> list[gr.FileData]:  # fmt: skip
        """Paint pictures steered toward a colour; gives PNG files, each with its recipe inside.

        Every parameter is a field of the recipe. A scale of 0 leaves the model alone;
        no scale, loss or weight takes the rule's default.
        """
        try:
            recipe = ColorRecipe(
                color=color, model=model, loss=loss, scale=scale, method=method, rule=rule, weight=weight, start=start,
                stop=stop, solver=solver, steps=steps, seed=seed, count=count,
            )  # fmt: skip
            frame = deque(compute(recipe), maxlen=1).pop()
        except Exception as error:
            raise gr.Error(run.sentence(error), print_exception=False) from None
        return [png(image, recipe.picture(k)) for k, image in enumerate(frame.images())]

    gr.api(color, api_name="color", **run.SLOTS)


def png(image: Image.Image, recipe: ColorRecipe) -> dict:
    """A file in Gradio's cache, as its clients know files."""
    buffer, name = io.BytesIO(), f"guidance-{recipe.color[1:]}-{recipe.seed}.png"
    image.save(buffer, "PNG", pnginfo=recipes.png_info(recipe))
    path = save_bytes_to_cache(buffer.getvalue(), name, get_upload_folder())
    return gr.FileData(path=path, orig_name=name, mime_type="image/png").model_dump()
