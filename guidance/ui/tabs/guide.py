"""The tab of a guide: its own fields, what all have, and where the pictures appear."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import gradio as gr
from gradio.components import Component
from PIL import Image

from guidance import guides
from guidance.codec import pack, unpack
from guidance.fields import PICTURES, RecipeError, look, whole
from guidance.guides.base import Guide
from guidance.recipe import Recipe, about, form, from_flat, to_flat
from guidance.ui.html import pictures, welcome, words
from guidance.ui.html.words import Say, html, t
from guidance.ui.runs import grids, painting
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.live import runner
from guidance.ui.runs.painting import Ask, Variants, View
from guidance.ui.server.doors import Event
from guidance.ui.server.limits import visitor
from guidance.ui.tabs import controls, stage

GRID = "grid"
COUNT = 4  # pictures unless told
opening, waiting = threading.Lock(), set[str]()  # of pictures, and whose they are
PAINTED = ("sketch", "mask")  # controls that the Blend tab alone has
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
    drawing: Callable[[Say], str] | None = None  # what stands there first, unless pictures of the guide and a text
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


def tab(kind: type[Guide], own: Look, compute: painting.Compute, jobs: Jobs) -> stage.Panel:
    """Lay out the tab of a guide and connect it to a function that turns a recipe into frames."""
    name = guides.endpoint(kind)
    names = [key for key in form(kind) if look(about(kind, key)).get("control") not in PAINTED]
    values = to_flat(from_flat(kind, {})) | {"count": COUNT}
    made: dict[str, Component] = {}

    def add(*fields: str) -> None:
        for key in fields:
            info = about(kind, key)
            label, meaning = own.texts.get(key, (info.title, info.description))
            more = {"label": t(label), "info": t(meaning)}
            if key in own.most:
                more |= {"maximum": own.most[key]}
            if key == "scale":
                more |= controls.scale_slider(kind, values.get(kind.ruled_by, ""), values["scale"])
                del more["value"]
            made[key] = controls.control(info, values[key], f"{name}-{key}", **more)

    front = [key for key in names if look(about(kind, key)).get("front")]
    mine = [key for key in front if key not in ("scale", "seed", "count")]
    hidden = [key for key in names if look(about(kind, key)).get("control") in PICTURES]
    rest = [key for key in names if key not in (*front, *hidden, *LAST)]
    with gr.Row(elem_classes="g-layout"):
        with gr.Column(scale=0, min_width=320, elem_classes="g-controls"):
            add(*mine)
            if not own.last:
                picks = stage.examples_row(own.examples, own.dots)
            add("scale")
            if own.formula:
                gr.HTML(html(own.formula), js_on_load=None)
            add("count", "seed")
            paint, stop = stage.buttons(name)
            live = stage.follow(name)
            join = gr.Button(t("Add to blend"), size="sm", elem_id=f"{name}-join")
            if own.last:
                picks = stage.examples_row(own.examples, own.dots, wide=True)
            compare = comparison(name, kind, own)
            given = [(key, folded_picture(name, about(kind, key), key)) for key in hidden]
            for key, _ in given:
                add(key)
            with gr.Accordion(t("Advanced"), open=False, elem_id=f"{name}-advanced") as advanced:
                add(*rest)
                drawn = gr.HTML("", elem_classes="g-course", js_on_load=None) if "weight" in names else None
                if "model" in names:
                    add("model")
                    with gr.Accordion(t("A model that takes a text"), open=False):
                        add(*LAST[1:])
        drawing = html(own.drawing or welcome.drawing(kind.name, welcome.LANDSCAPES))
        here = stage.results(name, paint, stop, live, own.intro, drawing, from_flat(kind, {}))

    def takes(recipe: Recipe) -> bool:
        if [type(guide) for guide in recipe.guides] != [kind]:
            return False
        flat = to_flat(recipe)
        return from_flat(kind, {key: flat[key] for key in names}).replace(weights=recipe.weights) == recipe

    def restored(recipe: Recipe) -> list:
        flat = to_flat(recipe, kind)
        return controls.restored(kind, {key: flat[key] for key in names})

    def joined(cards: gr.HTML, tabs: gr.Tabs) -> None:
        stage.join(join, here, lambda flat: from_flat(kind, flat).guides[0], panel.fields, cards, tabs)

    def parse(asked: dict[str, object]) -> Ask:
        flat = {key: asked[key] for key in names}
        if "model" in flat:
            controls.offered(flat["model"])
        for key in ("steps", "count"):
            most = own.most.get(key) or int(look(about(kind, key))["slider"][0])
            whole(own.texts.get(key, (key.capitalize(),))[0], flat[key], 1, most)
        recipe = from_flat(kind, flat)
        own.check(recipe)
        if asked["compare"] != GRID:
            return Ask(recipe, own.compared(recipe, asked["compare"]))
        grid = grids.cross(recipe, *(asked[axis] for axis in ("x", "xs", "y", "ys")))
        cells = [cell for row in grid.rows for cell in row]
        return Ask(cells[0], {str(k): cell for k, cell in enumerate(cells)}, grid)

    def example(event: Event) -> list:
        wanted = event.picked("index", list(own.examples.values()))
        flat = to_flat(from_flat(kind, {"count": COUNT} | wanted))
        updates = dict(zip(form(kind), controls.restored(kind, flat), strict=True))
        found = [updates[key] for key in touched]
        return found if len(found) > 1 else found[0]  # of one control, Gradio takes a list for its value

    guided = [key for key in kind.model_fields if key not in hidden]
    touched = [key for key in names if key in guided] if own.dots else sorted(
        {key for values in own.examples.values() for key in values}, key=names.index)  # fmt: skip
    panel = stage.Panel(name, {key: made[key] for key in names}, here.live, takes, restored, join=joined)
    for key, image in given:
        # What was given goes into the hidden field; what a restored recipe holds is shown.
        image.input(packed, image, [made[key], here.places["status"]], preprocess=False, **stage.WATCH)
        made[key].change(unpacked, made[key], image, **stage.WATCH)
    leads(kind, made)
    suits(kind, made)
    if drawn:
        inputs = [made[key] for key in ("model", "solver", "steps", "weight", "start", "stop")]
        gr.on([advanced.expand, *(one.change for one in inputs)], controls.plot, inputs, drawn, **stage.QUICK)
    if own.examples:
        stage.examples(here, picks, example, [made[key] for key in touched])
    stage.wire(here, runner(compute, parse, own.render, jobs), panel, compare)
    return panel


def leads(kind: type[Guide], made: dict[str, Component]) -> None:
    """Have the leading field bring its defaults to the controls, and the rule its range to the strength's slider."""
    brought = [name for name in dict.fromkeys([*kind.led(), "scale"]) if name in made]

    def lead(value: object) -> list:
        updates = controls.led(kind, value)
        return [updates[name] for name in brought]

    # input, not change: an example that sets the leading field sets the others as well.
    if kind.leading in made:
        made[kind.leading].input(lead, made[kind.leading], [made[name] for name in brought], **stage.QUICK)
    if kind.ruled_by in made and kind.ruled_by != kind.leading:

        def ranged(rule: str) -> gr.Slider:
            values = next((row for row in kind.brings.values() if row[kind.ruled_by] == rule), None)
            return gr.Slider(**controls.scale_slider(kind, rule, values["scale"])) if values else gr.skip()

        made[kind.ruled_by].input(ranged, made[kind.ruled_by], made["scale"], **stage.QUICK)


def suits(kind: type[Guide], made: dict[str, Component]) -> None:
    """Have a model that is chosen bring its solver and number of steps."""
    brought = [name for name in ("solver", "steps") if name in made]

    def suit(model: object) -> list:
        with suppress(RecipeError):
            flat = to_flat(from_flat(kind, {"model": model}))
            return [flat[name] for name in brought]
        return [gr.skip()] * len(brought)

    if "model" in made:
        made["model"].input(suit, made["model"], [made[name] for name in brought], **stage.QUICK)


def packed(file: dict | None, request: gr.Request) -> tuple:
    """A picture that was given, as recipes hold it, or a sentence."""
    try:
        with one_after_another(visitor()):
            return pack(file["path"] or "") if file else "", gr.skip()
    except RecipeError as error:
        return "", pictures.status("error", words.speaker(request)(str(error)))


@contextmanager
def one_after_another(who: str) -> Iterator[None]:
    """One picture is opened at a time; RecipeError for a visitor of whom one waits already."""
    if who and who in waiting:
        raise RecipeError("One picture after another: the last one is still being opened.")
    waiting.add(who)
    try:
        with opening:
            yield
    finally:
        waiting.discard(who)


def unpacked(held: object) -> Image.Image | None:
    """The picture that a recipe holds, if it is one."""
    with suppress(RecipeError):
        return unpack(held) if held else None


def folded_picture(name: str, info, key: str) -> gr.Image:
    """Where a picture can be given."""
    with gr.Accordion(t(info.title), open=False, elem_id=f"{name}-{key}", elem_classes="g-given"):
        return gr.Image(
            label=t("Picture"), type="filepath", image_mode=None, sources=["upload", "clipboard"], height=180,
            buttons=[],
        )  # fmt: skip


def comparison(name: str, kind: type[Guide], own: Look) -> dict[str, Component]:
    """What a run is compared with in one click, and for a grid two settings, each with its values."""
    options = [(t(label), value) for value, label in (own.comparisons | {GRID: "A grid"}).items()
               if value != "method" or value in kind.model_fields]  # fmt: skip
    made: dict[str, Component] = {"compare": gr.Radio(
        options, value=options[0][1], label=t("Compare"), elem_id=f"{name}-compare",
        info=t("The same noise, painted several ways."),
    )}  # fmt: skip
    with gr.Group(visible=False, elem_id=f"{name}-grid") as group:
        for label, axis, (setting, values) in zip(("Across", "Down"), "xy", own.axes, strict=True):
            made[axis] = gr.Dropdown(
                controls.titles(kind), value=setting, label=t(label), info=t("Which setting goes this way.")
            )
            made[f"{axis}s"] = gr.Textbox(
                values, label=t(f"Values {label.lower()}"), max_lines=1, elem_id=f"{name}-{label.lower()}",
                info=t("With semicolons between; at most 36 pictures in all."),
            )  # fmt: skip
    made["compare"].input(lambda value: gr.Group(visible=value == GRID), made["compare"], group, **stage.QUICK)
    return made
