"""The API: an endpoint for each guide, and one for whole recipes, made of their fields.

The endpoints are generators, so that a run ends when its caller cancels or goes away; they are annotated with what each
yield is, because that is where Gradio's documentation has it from.
"""

import io
import time
from collections.abc import Callable, Iterator
from inspect import Parameter, Signature

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from guidance import guides
from guidance.fields import choices, limits, whole
from guidance.fields import kind as kind_of
from guidance.guides.base import Guide
from guidance.recipe import Recipe, about, form, from_flat, from_json, png_info, to_flat
from guidance.ui.runs import painting
from guidance.ui.runs.jobs import sentence

MAX_PICTURES = 200  # in one call
EVERY = "Gives PNG files, each with its recipe inside. Every parameter is a field of the recipe."
Files = list[gr.FileData]


def add(compute: painting.Compute) -> None:
    """Add all endpoints over a function that turns a recipe into frames."""
    for kind in guides.every().values():
        gr.api(endpoint(kind, compute), api_name=guides.endpoint(kind), **painting.SLOTS)

    def paint(recipe: str) -> Files:
        """Paint pictures by a whole recipe, which may have several guides; gives PNG files with their recipes inside.

        Args:
            recipe: JSON as the page and the PNGs have it, {"guides": [{"guide": "color", "color": "teal"}, ...], ...}
        """
        yield from painted(lambda: from_json(recipe), compute)

    gr.api(paint, api_name="paint", **painting.SLOTS)


def endpoint(kind: type[Guide], compute: painting.Compute) -> Callable:
    """The function behind a guide's endpoint, its parameters those of the flat form."""
    names, defaults = form(kind), to_flat(from_flat(kind, {}))
    defaults |= dict.fromkeys(kind.led())  # what is not given comes with the leading field's value

    def function(*values: object) -> Files:
        yield from painted(lambda: from_flat(kind, dict(zip(names, values, strict=True))), compute)

    types = {name: plain(about(kind, name)) for name in names}
    types |= {name: types[name] | None for name in names if defaults[name] is None}
    function.__name__ = guides.endpoint(kind)
    function.__annotations__ = types | {"return": Files}
    place = Parameter.POSITIONAL_OR_KEYWORD
    parameters = [Parameter(name, place, default=defaults[name], annotation=types[name]) for name in names]
    function.__signature__ = Signature(parameters, return_annotation=Files)
    lines = [f"    {name}: {meaning(kind, name)}" for name in names]
    function.__doc__ = "\n".join([f"{kind.about} {EVERY}", "", "Args:", *lines])
    return function


def plain(info) -> type:
    """The type of a field as JSON has it."""
    return {int: int, float: float}.get(kind_of(info), str)


def meaning(kind: type[Guide], name: str) -> str:
    """What a field is, for programs: its help, the values it takes, and where its default comes from."""
    info = about(kind, name)
    ends = (1, kind.most) if name == "count" else limits(info)
    among = f" From {ends[0]:,} to {ends[1]:,}." if ends else ""
    among = f" One of {', '.join(choices(info))}." if choices(info) else among
    left = f" Nothing: by {kind.leading}." if name in kind.led() else ""
    return f"{info.title}. {info.description}{among}{left}"


def painted(recipe: Callable[[], Recipe], compute: painting.Compute) -> Iterator[list[dict]]:
    """The files of a recipe, or a sentence; before that nothing, now and then, so that a run can be given up."""
    try:
        made = recipe()
        whole("Count", len(made.seeds), 1, MAX_PICTURES)
        shown = time.monotonic()
        for frame in compute(made):
            if frame.step < frame.steps and time.monotonic() - shown >= painting.PREVIEW:
                shown = time.monotonic()
                yield []
    except Exception as error:
        raise gr.Error(sentence(error), print_exception=False) from None
    made = made.replace(weights=frame.weights)
    yield [png(image, made.picture(k)) for k, image in enumerate(frame.images())]


def png(image: Image.Image, recipe: Recipe) -> dict:
    """A file in Gradio's cache, as its clients know files."""
    buffer, name = io.BytesIO(), f"{recipe.slug}.png"
    image.save(buffer, "PNG", pnginfo=png_info(recipe))
    path = save_bytes_to_cache(buffer.getvalue(), name, get_upload_folder())
    return gr.FileData(path=path, orig_name=name, mime_type="image/png").model_dump()
