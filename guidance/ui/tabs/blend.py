"""The Blend tab: any number of guides at once, each a card, painted together."""

import json

import gradio as gr
from gradio.components import Component

from guidance import guides
from guidance.fields import RecipeError, choices, kind, limits, look, whole
from guidance.guides.base import Guide
from guidance.recipe import MODELS, NO_RECIPE, SAMPLER, Recipe, from_json
from guidance.ui.html import welcome
from guidance.ui.html.words import html, t
from guidance.ui.runs import painting
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.live import runner
from guidance.ui.runs.painting import Ask, Variants
from guidance.ui.server.doors import Event
from guidance.ui.tabs import controls, stage
from guidance.ui.tabs.guide import COUNT, LAST, shown

NAME = "blend"
ON_LOAD = "guidance.blend(element, props, trigger, watch)"  # triggers 'input' and 'change', as other controls do
REST = tuple(name for name in Recipe.model_fields if name not in ("guides", "weights"))
FRONT, MOST = ("count", "seed"), 100  # pictures
PLACED = ("where",)  # fields that stand in front here: where a guide acts matters among several
# Orange above, the sun, dark blue below.
SUNSET = (
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABABAMAAABYR2ztAAAAD1BMVEUSNVvgcDzyuIAAAAD/9MjIVs7fAAAABXRSTlP///8A/0WQHKwAAABUSURB"
    "VHjaYxRkwA+YGEYVDB8FLAMW3UpK+BUoMTAo4VPAxMDAwKBAiRsUkGQGKi4eMDAwMPyjxIR/cGNwmXCPgeEelMmoNGjTw6gCkhWMglEw2AAAb6gG"
    "9MrDmw8AAAAASUVORK5CYII="
)
GOLD = "#3a2412 0.3, #8a5a1c 0.25, #dba520 0.3, #fff0c0 0.15"


def prompt(words: str, where: str = "everywhere") -> dict:
    """A card of a prompt."""
    return {"guide": "prompt", "prompt": words, "where": where}


def color(color: str, where: str = "everywhere") -> dict:
    """A card of a colour."""
    return {"guide": "color", "color": color, "where": where}


EXAMPLES: dict[str, list[dict]] = {
    "A golden lake": [prompt("mountains and a lake at sunset"), {"guide": "palette", "colors": GOLD, "scale": 0.3}],
    "Night left, day right": [
        color("#101a40", "left"), color("#a8dcf5", "right") | {"scale": 0.35},
        prompt("stars at night", "left"), prompt("clouds at noon", "right") | {"scale": 0.16},
    ],
    "A sketch of a sunset": [{"guide": "sketch", "image": SUNSET}, prompt("a sunset over the sea")],
    "Rose over green": [color("#e58fa5", "sky"), color("#2c5530", "ground"), prompt("hills and clouds")],
    "Mountains in a mirror": [prompt("mountains and a lake at sunset"), {"guide": "symmetry"}],
    "Teal mountains": [prompt("mountains and a lake"), color("#13808a")],
}  # fmt: skip


def card(kind: type[Guide]) -> dict[str, object]:
    """What the browser makes the cards of a guide of."""
    return {
        "guide": kind.name, "label": kind.label, "about": kind.about, "leading": kind.leading,
        "lead": next(iter(kind.brings)), "led": [name for name in kind.led() if name in kind.model_fields],
        "defaults": {value: dict(kind(**{kind.leading: value} if value else {})) for value in kind.brings},
        "ruled": kind.ruled_by, "sliders": {by: kind.slider(by) for by in ruling(kind)},
        "fields": [described(kind, name) for name in kind.names()],
    }  # fmt: skip


def ruling(kind: type[Guide]) -> tuple[str, ...]:
    """The values of the field on which the range of a guide's strength depends."""
    return choices(kind.model_fields[kind.ruled_by]) if kind.ruled_by in kind.model_fields else ()


def described(guide: type[Guide], name: str) -> dict[str, object]:
    """A field of a guide for the browser: its words, its range or choices, and which control it has."""
    info = guide.model_fields[name]
    given, ends, among = look(info), limits(info), choices(info)
    by_type = {"switch": kind(info) is bool, "choice": among, "slider": "slider" in given, "number": ends, "text": True}
    return {
        "name": name, "title": info.title, "help": info.description,
        "front": given.get("front", False) or name in PLACED,
        "control": given.get("control") or next(control for control, so in by_type.items() if so),
        "options": [(value, given.get("labels", {}).get(value, value)) for value in among],
        "low": ends and ends[0], "high": ends and ends[1], "whole": kind(info) is int,
        "end": given.get("slider", (0, 0))[0], "step": given.get("slider", (0, 0))[1], "lines": given.get("lines", 1),
    }  # fmt: skip


def schema() -> str:
    """All guides for the browser, as JSON."""
    return json.dumps([card(kind) for kind in guides.every().values()]).replace("</", "<\\/")  # it stands in a script


def cards(recipe: Recipe) -> str:
    """The cards of a recipe's guides."""
    return json.dumps([{"guide": guide.name} | dict(guide) for guide in recipe.guides])


def read(values: dict[str, object]) -> Recipe:
    """The recipe that the controls make; RecipeError if they make none."""
    try:
        given = json.loads(values["guides"])
        on = [{name: value for name, value in card.items() if name != "off"} for card in given if not card.get("off")]
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise RecipeError(NO_RECIPE) from None
    if not on:
        raise RecipeError("Add something to blend first.")
    rest = {name: values[name] for name in REST if values["own"] is True or name not in SAMPLER}
    told = [card.get("guide") for card in on]
    if rest["model"] == MODELS[0] and any(kind.inner and kind.name in told for kind in guides.every().values()):
        rest["model"] = None  # what is drawn by its class brings the model that knows it
    return from_json(json.dumps({"guides": on} | rest))


def restored(recipe: Recipe) -> list:
    """The updates of the tab's controls for a recipe."""
    brought = recipe.replace(**dict.fromkeys(SAMPLER))
    rest = {name: getattr(recipe, name) for name in REST}
    if any(guide.inner for guide in recipe.guides) and recipe.replace(model=None).model == recipe.model:
        rest["model"] = MODELS[0]
    return [cards(recipe), brought != recipe, *rest.values()]


def left(values: dict[str, object]) -> list:
    """The updates for what a visitor left here, cards that are off and half typed among it; RecipeError for others."""
    rest = Recipe(**{name: values[name] for name in REST if name in values})
    given = values.get("guides")
    return [given if isinstance(given, str) else "[]", values.get("own") is True, *restored(rest)[2:]]


def compared(recipe: Recipe, comparison: object) -> Variants:
    """What a blend stands beside: nothing that steers, or all but one of its guides, each in turn."""
    if comparison != "without":
        return {"Unguided": recipe.unguided() if recipe.guided else recipe, "Together": recipe}
    labels = [guide.label for guide in recipe.guides]
    others = {}
    for k, guide in enumerate(recipe.guides):
        if not guide.inner:  # without that the pictures are others
            number = f" ({labels[: k + 1].count(guide.label)})" if labels.count(guide.label) > 1 else ""
            rest = recipe.guides[:k] + recipe.guides[k + 1 :]
            others[f"Without {guide.label}{number}"] = recipe.replace(guides=rest, weights="")
    return others | {"Together": recipe}


def parse(asked: dict[str, object]) -> Ask:
    """What is asked for; RecipeError for what is no recipe, or more than the page takes."""
    controls.offered(asked["model"])
    recipe = read(asked)
    for key in ("steps", "count"):
        whole(key.capitalize(), getattr(recipe, key), 1, int(look(Recipe.model_fields[key])["slider"][0]))
    whole("Pictures", len(recipe.seeds), 1, MOST)
    return Ask(recipe, compared(recipe, asked["compare"]))


def tab(compute: painting.Compute, jobs: Jobs) -> stage.Panel:
    """Lay out the tab and connect it to a function that turns a recipe into frames."""
    plain = Recipe(count=COUNT)
    made: dict[str, Component] = {}

    def add(*names: str) -> None:
        for name in names:
            made[name] = controls.control(Recipe.model_fields[name], getattr(plain, name), f"{NAME}-{name}")

    with gr.Row(elem_classes="g-layout"):
        with gr.Column(scale=0, min_width=320, elem_classes="g-controls"):
            picks = stage.examples_row(EXAMPLES, {})
            made["guides"] = gr.HTML("[]", html_template="", js_on_load=ON_LOAD, elem_id=f"{NAME}-guides")
            add(*FRONT)
            paint, stop = stage.buttons(NAME)
            live = stage.follow(NAME)
            compare = gr.Radio(
                [(t("Unguided"), "unguided"), (t("One left out"), "without")], value="unguided", label=t("Compare"),
                info=t("The same noise, painted several ways."), elem_id=f"{NAME}-compare",
            )  # fmt: skip
            with gr.Accordion(t("Advanced"), open=False, elem_id=f"{NAME}-advanced"):
                made["own"] = gr.Checkbox(
                    False, label=t("A sampler of my own"), elem_id=f"{NAME}-own",
                    info=t("Otherwise solver and steps are those of the guide that needs the most."),
                )  # fmt: skip
                with gr.Group(visible=False) as sampler:
                    add(*SAMPLER)
                add(*(name for name in REST if name not in (*made, *LAST)), "model")
                with gr.Accordion(t("A model that takes a text"), open=False):
                    add(*LAST[1:])
        invitation = html(welcome.drawing(NAME, welcome.MIXTURES, ("Unguided", "Together")))
        here = stage.results(NAME, paint, stop, live, welcome.BLEND, invitation, plain)
    made["own"].change(lambda own: gr.Group(visible=own is True), made["own"], sampler, preprocess=False, **stage.QUICK)
    panel = stage.Panel(
        NAME, {name: made[name] for name in ("guides", "own", *REST)}, here.live, lambda recipe: True, restored, left
    )

    def example(event: Event) -> list:
        chosen = event.picked("index", list(EXAMPLES.values()))
        return restored(from_json(json.dumps({"guides": chosen, "count": COUNT})))

    stage.examples(here, picks, example, list(panel.fields.values()))
    stage.wire(here, runner(compute, parse, shown, jobs), panel, {"compare": compare})
    return panel
