"""Controls made of fields: what a field is decides how it looks."""

from collections.abc import Callable

import gradio as gr
from gradio.components import Component
from pydantic.fields import FieldInfo

from guidance import settings
from guidance.fields import PICTURES, RecipeError, choices, kind, limits, look
from guidance.guides.base import Guide
from guidance.recipe import MAX_SEED, REPOSITORY, Recipe, form, model_name
from guidance.ui.html import pictures
from guidance.ui.html.words import t
from guidance.ui.runs import grids

FEW = 4  # so many values stand side by side; more are folded away
MODELS = {
    "landscapes": "Landscapes, 256 px, built in",
    "engravings": "Engravings, 256 px, built in",
    "johnowhitaker/sd-class-wikiart-from-bedrooms": "WikiArt (the course's), 256 px, 455 MB, licence: see its card",
    "google/ddpm-celebahq-256": "Faces, 256 px, 455 MB, Apache-2.0",
    "google/ddpm-bedroom-256": "Bedrooms, 256 px, 455 MB, Apache-2.0",
    "google/ddpm-church-256": "Churches, 256 px, 455 MB, Apache-2.0",
    "google/ddpm-cat-256": "Cats, 256 px, 455 MB, Apache-2.0",
    "johnowhitaker/ddpm-butterflies-32px": "Butterflies, 32 px, licence: see its card",
}
OFFERED = "Model must be one of those that the page lists, or where it is not public one on the Hub by owner/name."
DICE = "() => Math.floor(Math.random() * 1000000)"


def control(about: FieldInfo, value: object, elem_id: str, **more: object) -> Component:
    """The control of a field, at `value`; `more` goes to it."""
    given, ends = look(about), limits(about)
    same = {"label": t(about.title), "info": t(about.description), "elem_id": elem_id} | more
    if special := SPECIAL.get(given.get("control", "")):
        return special(value, same)
    if kind(about) is bool:
        return gr.Checkbox(value, **same)
    if among := choices(about):
        options = [(t(given.get("labels", {}).get(name, name)), name) for name in among]
        return (gr.Radio if len(among) <= FEW else gr.Dropdown)(options, value=value, **same)
    if ends and "slider" in given:
        end, step = given["slider"]
        return gr.Slider(**{"minimum": ends[0], "maximum": end, "value": value, "step": step, "buttons": []} | same)
    if ends:
        return gr.Number(value, minimum=ends[0], maximum=ends[1], **same)
    lines = given.get("lines", 1)
    return gr.Textbox(value, lines=min(lines, 2), max_lines=2 * lines - 1 if lines < 3 else lines, **same)


def color(value: object, same: dict) -> Component:
    """A colour to pick."""
    return gr.ColorPicker(value, **same)


def seed(value: object, same: dict) -> Component:
    """A number with a die to roll."""
    with gr.Row(elem_classes="g-seed"):
        number = gr.Number(value, precision=0, minimum=0, maximum=MAX_SEED, scale=1, **same)
        dice = gr.Button(t("Random seed"), elem_classes="g-dice", scale=0, min_width=40)
    dice.click(None, None, number, js=DICE, api_visibility="private")
    return number


def model(value: object, same: dict) -> Component:
    """A model to choose, or where the page is not public to name."""
    own = "" if settings.PUBLIC else " Or type the name of any unconditional or Stable-Diffusion-like model on the Hub."
    info = t(Recipe.model_fields["model"].description + own)
    return gr.Dropdown(models(), value=value, allow_custom_value=not settings.PUBLIC, **same | {"info": info})


def picture(value: object, same: dict) -> Component:
    """A picture as recipes hold it, in a field that nobody sees."""
    return gr.Textbox(value, visible=False)


SPECIAL: dict[str, Callable[[object, dict], Component]] = {
    "color": color, "seed": seed, "model": model, **dict.fromkeys(PICTURES, picture)
}  # fmt: skip


def scale_slider(kind: type[Guide], by: str, value: float | None = None) -> dict:
    """The range of the strength's slider under a rule or kind of guidance, at `value` or the default there."""
    end, step, meaning = kind.slider(by)
    value = kind.brings.get(by, {}).get("scale", 0) if value is None else value
    return {
        "minimum": 0, "maximum": max(end, value), "step": step, "value": value, "info": t(meaning),
        "interactive": end > 0,
    }  # fmt: skip


def led(kind: type[Guide], value: object) -> dict[str, object]:
    """What a value of the leading field brings to the controls, by name."""
    leading = value if isinstance(value, str) and value in kind.brings else next(iter(kind.brings))
    brought = kind.brings[leading]
    slider = gr.Slider(**scale_slider(kind, brought.get(kind.ruled_by, leading), brought["scale"]))
    return {name: brought[name] for name in kind.led() if name in form(kind)} | {"scale": slider}


def restored(kind: type[Guide], flat: dict[str, object]) -> list:
    """The updates of a tab's controls, in the order of the form, for a recipe's flat form."""
    slider = gr.Slider(**scale_slider(kind, flat.get(kind.ruled_by, ""), flat["scale"]))
    return list((flat | {"scale": slider}).values())


def plot(name: object, solver: object, steps: object, weight: object, start: object, stop: object) -> str:
    """The strength over the steps of a model's noise schedule, or nothing where the controls give none."""
    from guidance.models import catalogue
    from guidance.models.device import ModelError
    from guidance.sampling.schedule import SOLVERS, WEIGHTS, Schedule, strengths

    numbers = all(isinstance(value, (int, float)) for value in (start, stop, steps)) and 1 <= steps <= 1000
    if not numbers or weight not in WEIGHTS or solver not in SOLVERS:
        return ""
    try:
        config = catalogue.noise_schedule(model_name(name))
    except (RecipeError, ModelError):
        return ""
    weights = strengths(Schedule(config, solver, int(steps)), weight, start, stop)
    return pictures.curve(weights, len(weights), "w(t)", low=0.0, high=1.0)


def listed() -> dict[str, str]:
    """The models that anybody may have, by name: the page's own, and the one it was told to begin with."""
    own = settings.MODEL
    return MODELS | ({own: MODELS.get(own, own)} if own else {})


def models() -> list[tuple]:
    """The models to choose from: the listed ones, and those that were made here."""
    made = [] if settings.PUBLIC else sorted(settings.TRAINED.glob("[!.]*/pipeline"))
    return [(t(label), name) for name, label in listed().items()] + [
        (folder.parent.name, f"trained/{folder.parent.name}") for folder in made
    ]


def offered(model: object) -> None:
    """RecipeError for a model that visitors may not have: a folder here, and in public any that is not listed."""
    known = model in listed() or model == "digits" if isinstance(model, str) else False
    if not known and (settings.PUBLIC or not isinstance(model, str) or not REPOSITORY.fullmatch(model)):
        raise RecipeError(OFFERED)


def titles(kind: type[Guide]) -> list[tuple]:
    """Names of a form's fields with their labels, for choosing one."""
    return [(t(title), name) for name, title in grids.settings(kind).items()]
