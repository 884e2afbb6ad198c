"""The API: an endpoint for each guide, and one for whole recipes, made of their fields.

The endpoints are generators, so that a run ends when its caller cancels or goes away; they are annotated with what each
yield is, because that is where Gradio's documentation has it from. Their runs stand in one line with the page's.
"""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from inspect import Parameter, Signature

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from guidance import guides
from guidance.codec import UNKEPT
from guidance.fields import RecipeError, choices, limits, whole
from guidance.fields import kind as kind_of
from guidance.guides.base import Guide, Reading
from guidance.recipe import AS_PNG, Recipe, about, form, from_flat, from_json, png_info, to_flat
from guidance.ui.runs import jobs, painting
from guidance.ui.runs.heard import listener
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.task import Shown, Task, sentence

MAX_PICTURES = 200  # in one call
NOBODY = "The run was stopped: nobody listened to what it says."
EVERY = (
    "Gives PNG files, each with its recipe inside, and what an independent network sees of it. "
    "Every parameter is a field of the recipe."
)
Files = list[gr.FileData]


def add(compute: painting.Compute, line: Jobs) -> None:
    """Add all endpoints over a function that turns a recipe into frames."""
    for kind in guides.every().values():
        gr.api(endpoint(kind, compute, line), api_name=guides.endpoint(kind), concurrency_limit=None)

    async def paint(recipe: str) -> Files:
        """Paint pictures by a whole recipe, which may have several guides; gives PNG files with their recipes inside.

        Args:
            recipe: JSON as the page and the PNGs have it, {"guides": [{"guide": "color", "color": "teal"}, ...], ...}
        """
        async with aclosing(painted(lambda: from_json(recipe), compute, line)) as made:
            async for files in made:
                yield files

    gr.api(paint, api_name="paint", concurrency_limit=None)


def endpoint(kind: type[Guide], compute: painting.Compute, line: Jobs) -> Callable:
    """The function behind a guide's endpoint, its parameters those of the flat form."""
    names, defaults = form(kind), to_flat(from_flat(kind, {}))
    defaults |= dict.fromkeys(kind.led())  # what is not given comes with the leading field's value

    async def function(*values: object) -> Files:
        flat = dict(zip(names, values, strict=True))
        async with aclosing(painted(lambda: from_flat(kind, flat), compute, line)) as made:
            async for files in made:
                yield files

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


class Call(Task):
    """A program's run: nobody sees its steps."""

    def __init__(self, compute: painting.Compute, recipe: Recipe):
        super().__init__(str)
        self.compute, self.recipe, self.what = compute, recipe, f"api:{painting.about(recipe)}"
        self.files: list[dict] = []
        self.wrong = NOBODY  # unless it comes to something

    def go(self) -> Iterator[Shown]:
        """The steps, then the files."""
        with closing(self.compute(self.recipe)) as frames:
            for frame in frames:  # noqa: B007
                yield {}
        made = self.recipe.replace(weights=frame.weights)
        self.files, self.wrong = [png(image, made.picture(k), made.readings(k, seen))
                                  for k, (image, seen) in enumerate(zip(frame.images(), frame.seen, strict=True))], ""

    def failed(self, error: Exception) -> Shown:
        """A failure is told at the end."""
        self.wrong = sentence(error)
        return {}

    def end(self, begun: bool) -> Shown:
        """Nothing stays after a stop."""
        return {}


async def painted(recipe: Callable[[], Recipe], compute: painting.Compute, line: Jobs) -> AsyncIterator[list[dict]]:
    """The files of a recipe, or a sentence; before that nothing, now and then, so that a run can be given up."""
    try:
        made = recipe()
        whole("Count", len(made.seeds), 1, MAX_PICTURES)
        job = line.start(work := Call(compute, made))
    except Exception as error:
        raise gr.Error(sentence(error), print_exception=False) from None
    listens, told, heard = listener(), time.monotonic(), False
    try:
        while job.state != "over":
            await asyncio.sleep(jobs.TICK)
            if listens():
                job.look()
                heard = True
            if heard and time.monotonic() - told >= painting.PREVIEW:
                told = time.monotonic()
                yield []
    finally:
        line.forget(job.key)
    if work.wrong:
        raise gr.Error(work.wrong, print_exception=False)
    yield work.files


def png(image: Image.Image, recipe: Recipe, readings: tuple[Reading, ...]) -> dict:
    """A file in Gradio's cache, as its clients know files."""
    buffer, name = io.BytesIO(), f"{recipe.slug}.png"
    image.save(buffer, **AS_PNG, pnginfo=png_info(recipe, readings))
    try:
        path = save_bytes_to_cache(buffer.getvalue(), name, get_upload_folder())
    except OSError as error:
        raise RecipeError(UNKEPT) from error
    return gr.FileData(path=path, orig_name=name, mime_type="image/png").model_dump()
