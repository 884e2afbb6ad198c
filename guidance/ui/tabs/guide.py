"""The tab of a guide: its own fields, what all have, and where the pictures appear."""

from collections.abc import Callable
from dataclasses import dataclass, field

import gradio as gr
from gradio.components import Component

from guidance import guides
from guidance.codec import pack, unpack
from guidance.fields import RecipeError, look, whole
from guidance.guides.base import Guide
from guidance.recipe import Recipe, about, form, from_flat, to_flat
from guidance.ui.html import pictures, welcome, words
from guidance.ui.html.words import Say, html, t
from guidance.ui.runs import grids, painting
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.painting import Ask, Variants, View
from guidance.ui.tabs import controls, stage

GRID = "grid"
COUNT = 4  # pictures unless told
LAST = ("model", "text", "negative", "text_scale")  # of the advanced fields, in this order


def shown(view: View) -> str:
    """The variants of each seed side by side, under the losses so far."""
    curves = [pictures.curve(values, view.recipe.steps, view.say(name)) for name, values in view.losses.items()]
    return pictures.pairs(" ".join(curves), lambda image: "", view)


def beside(recipe: Recipe, comparison: object) -> Variants:
    """What guided pictures stand beside: the unguided ones, or those of other values of one field."""
    (guide,) = recipe.guides
    if isinstance(comparison, str) and comparison in type(guide).model_fields and comparison != "unguided":
        labels = look(about(type(guide), comparison)).get("labels", {})
        mine = getattr(guide, comparison)
        others = {value: recipe if value == mine else recipe.change(**{comparison: value}) for value in labels}
        return {labels[value]: other for value, other in others.items()}
    return {"Unguided": recipe.unguided() if recipe.guided else recipe, "Guided": recipe}


@dataclass(frozen=True)
class Look:
    """What a tab has of its own."""

    intro: welcome.Welcome = welcome.PLAIN
    drawing: Callable[[Say], str] = lambda say: welcome.placeholder("#3f5f8f", say)
    formula: Callable[[Say], str] | None = None
    examples: dict[str, dict] = field(default_factory=dict)  # a name: values of fields; the others go to their defaults
    dots: dict[str, str] = field(default_factory=dict)  # a colour beside an example's name
    last: bool = False  # whether the examples stand below the buttons, one under another
    comparisons: dict[str, str] = field(default_factory=lambda: {"unguided": "Unguided", "method": "Shortcut and full"})
    compared: Callable[[Recipe, object], Variants] = beside
    axes: tuple = (("scale", "0.1; 0.3; 0.6"), ("seed", "0; 1; 2"))  # of a grid, with their values
    render: Callable[[View], str] = shown
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)  # label and help of fields that have others here
    most: dict[str, int] = field(default_factory=dict)  # the page's limits, where not the ends of the sliders
    check: Callable[[Recipe], None] = lambda recipe: None  # what else the page does not take
    wire: Callable[[dict[str, Component]], None] = lambda made: None


def tab(kind: type[Guide], look_: Look, compute: painting.Compute, jobs: Jobs) -> stage.Panel:
    """Lay out the tab of a guide and connect it to a function that turns a recipe into frames."""
    name, names = guides.endpoint(kind), form(kind)
    values = to_flat(from_flat(kind, {})) | {"count": COUNT}
    made: dict[str, Component] = {}

    def add(*fields: str) -> None:
        for field_name in fields:
            info = about(kind, field_name)
            label, meaning = look_.texts.get(field_name, (info.title, info.description))
            more = {"label": t(label), "info": t(meaning)}
            if field_name in look_.most:
                more |= {"maximum": look_.most[field_name]}
            if field_name == "scale":
                more |= controls.scale_slider(kind, values[kind.ruled_by], values["scale"])
                del more["value"]
            made[field_name] = controls.control(info, values[field_name], f"{name}-{field_name}", **more)

    front = [field_name for field_name in names if look(about(kind, field_name)).get("front")]
    own = [field_name for field_name in front if field_name not in ("scale", "seed", "count")]
    hidden = [field_name for field_name in names if look(about(kind, field_name)).get("control") == "picture"]
    rest = [field_name for field_name in names if field_name not in (*front, *hidden, *LAST)]
    with gr.Row(elem_classes="g-layout"):
        with gr.Column(scale=0, min_width=320, elem_classes="g-controls"):
            add(*own)
            if not look_.last:
                picks = stage.examples_row(look_.examples, look_.dots)
            add("scale")
            if look_.formula:
                gr.HTML(html(look_.formula), js_on_load=None)
            add("count", "seed")
            paint, stop = stage.buttons(name)
            if look_.last:
                picks = stage.examples_row(look_.examples, look_.dots, wide=True)
            compare = comparison(name, kind, look_)
            given = [(field_name, folded_picture(name, about(kind, field_name), field_name)) for field_name in hidden]
            for field_name, _ in given:
                add(field_name)
            with gr.Accordion(t("Advanced"), open=False, elem_id=f"{name}-advanced") as advanced:
                add(*rest)
                drawn = gr.HTML("", elem_classes="g-course", js_on_load=None) if "weight" in names else None
                if "model" in names:
                    add("model")
                    with gr.Accordion(t("A model that takes a text"), open=False):
                        add(*LAST[1:])
        here = stage.results(name, paint, stop, look_.intro, html(look_.drawing), from_flat(kind, {}))

    def parse(asked: dict[str, object]) -> Ask:
        flat = {field_name: asked[field_name] for field_name in names}
        if "model" in flat:
            controls.offered(flat["model"])
        for field_name in ("steps", "count"):
            most = look_.most.get(field_name) or int(look(about(kind, field_name))["slider"][0])
            whole(look_.texts.get(field_name, (field_name.capitalize(),))[0], flat[field_name], 1, most)
        recipe = from_flat(kind, flat)
        look_.check(recipe)
        if asked["compare"] != GRID:
            return Ask(recipe, look_.compared(recipe, asked["compare"]))
        grid = grids.cross(recipe, *(asked[axis] for axis in ("x", "xs", "y", "ys")))
        cells = [cell for row in grid.rows for cell in row]
        return Ask(cells[0], {str(k): cell for k, cell in enumerate(cells)}, grid)

    def example(event: gr.EventData) -> list:
        wanted = list(look_.examples.values())[event.index]
        flat = to_flat(from_flat(kind, {"count": COUNT} | wanted))
        updates = dict(zip(names, controls.restored(kind, flat), strict=True))
        return [updates[field_name] for field_name in touched]

    guided = [field_name for field_name in kind.model_fields if field_name not in hidden]
    touched = [field_name for field_name in names if field_name in guided] if look_.dots else sorted(
        {field_name for values in look_.examples.values() for field_name in values}, key=names.index)  # fmt: skip
    panel = stage.Panel(name, kind, {field_name: made[field_name] for field_name in names})
    for field_name, image in given:
        # What was given goes into the hidden field; what a restored recipe holds is shown.
        image.input(packed, image, [made[field_name], here.places["status"]], **stage.QUICK)
        made[field_name].change(lambda held: unpack(held) if held else None, made[field_name], image, **stage.QUICK)
    leads(kind, made)
    if drawn:
        inputs = [made[field_name] for field_name in ("model", "solver", "steps", "weight", "start", "stop")]
        gr.on([advanced.expand, *(one.change for one in inputs)], controls.plot, inputs, drawn, **stage.QUICK)
    look_.wire(made)
    if look_.examples:
        stage.examples(here, picks, example, [made[field_name] for field_name in touched])
    stage.wire(here, painting.runner(compute, parse, look_.render, jobs), panel, compare)
    return panel


def leads(kind: type[Guide], made: dict[str, Component]) -> None:
    """Have the leading field bring its defaults to the controls, and the rule its range to the strength's slider."""
    brought = [name for name in dict.fromkeys([*kind.varying(), "scale"]) if name in made]

    def lead(value: object) -> list:
        updates = controls.led(kind, value)
        return [updates[name] for name in brought]

    # input, not change: an example that sets the leading field sets the others as well.
    made[kind.leading].input(lead, made[kind.leading], [made[name] for name in brought], **stage.QUICK)
    if kind.ruled_by != kind.leading:
        def ranged(rule: str) -> gr.Slider:
            values = next((row for row in kind.brings.values() if row[kind.ruled_by] == rule), None)
            return gr.Slider(**controls.scale_slider(kind, rule, values["scale"])) if values else gr.skip()

        made[kind.ruled_by].input(ranged, made[kind.ruled_by], made["scale"], **stage.QUICK)


def packed(path: str | None, request: gr.Request) -> tuple:
    """A picture that was given, as recipes hold it, or a sentence."""
    try:
        return pack(path) if path else "", gr.skip()
    except RecipeError as error:
        return "", pictures.status("error", words.speaker(request)(str(error)))


def folded_picture(name: str, info, field_name: str) -> gr.Image:
    """Where a picture can be given."""
    with gr.Accordion(t(info.title), open=False, elem_id=f"{name}-{field_name}"):
        return gr.Image(label=t("Picture"), type="filepath", sources=["upload", "clipboard"], height=180, buttons=[])


def comparison(name: str, kind: type[Guide], look_: Look) -> dict[str, Component]:
    """What a run is compared with in one click, and for a grid two settings, each with its values."""
    options = [(t(label), value) for value, label in (look_.comparisons | {GRID: "A grid"}).items()]
    made: dict[str, Component] = {"compare": gr.Radio(
        options, value=options[0][1], label=t("Compare"), elem_id=f"{name}-compare",
        info=t("The same noise, painted several ways."),
    )}  # fmt: skip
    with gr.Group(visible=False, elem_id=f"{name}-grid") as group:
        for label, axis, (setting, values) in zip(("Across", "Down"), "xy", look_.axes, strict=True):
            made[axis] = gr.Dropdown(
                controls.titles(kind), value=setting, label=t(label), info=t("Which setting goes this way.")
            )
            made[f"{axis}s"] = gr.Textbox(
                values, label=t(f"Values {label.lower()}"), max_lines=1, elem_id=f"{name}-{label.lower()}",
                info=t("With semicolons between; at most 36 pictures in all."),
            )  # fmt: skip
    made["compare"].input(lambda value: gr.Group(visible=value == GRID), made["compare"], group, **stage.QUICK)
    return made
