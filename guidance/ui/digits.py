"""The Digits tab: the digits that were asked for, each with what an independent network reads in it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import gradio as gr
from PIL import Image

from guidance import recipes
from guidance.checks import whole
from guidance.recipes import DigitRecipe
from guidance.ui import boards, compare, controls, run, stage, welcome
from guidance.ui.jobs import Jobs
from guidance.ui.run import Variants
from guidance.ui.words import html, t

NAME = "digits"  # the prefix of this tab's element ids
MAX_PICTURES, MAX_ROWS = 100, 10
GUIDANCES = {
    "classifier-free": "Classifier-free", "classifier": "Classifier", "blind-classifier": "Classifier, noise-blind",
    "none": "None",
}  # fmt: skip
CONDITIONINGS = {"embedding": "With the timestep", "channels": "Input channels", "attention": "Cross-attention"}
COMPARISONS = {
    "nothing": "Nothing", "strength": "Strengths", "conditioning": "Ways of telling", "guidance": "Kinds of guidance"
}  # fmt: skip
MEANINGS = {  # of the strength
    "classifier-free": t("0: any digit; 1: the network alone; more: surer digits, less variety."),
    "classifier": t("0: any digit; more: the classifier pulls harder."),
    "blind-classifier": t("0: any digit; more: the classifier pulls harder, but where?"),
    "none": t("Without guidance there is nothing to set."),
}
STRENGTHS = (0.0, 1.0, 3.0, 10.0)  # what the chosen strength is compared with
EXAMPLES = {
    "10 \N{MULTIPLICATION SIGN} 8 grid": {"digits": "0123456789", "count": 8},
    "2026": {"digits": "2026", "count": 1},
    "Eights": {"digits": "88888888", "count": 4},
    "\N{GREEK SMALL LETTER PI}": {"digits": "31415926535897932384", "count": 1},
}
FIELDS = tuple(DigitRecipe.__dataclass_fields__)
Read = Callable[[list[Image.Image]], list[tuple[int, float]]]  # pictures to (digit, confidence) each


def compared(recipe: DigitRecipe, comparison: str) -> Variants:
    """What is shown: the recipe, or the recipe among others that differ in one field."""
    if comparison == "conditioning":
        return {CONDITIONINGS[name]: replace(recipe, conditioning=name) for name in recipes.CONDITIONINGS}
    if comparison == "guidance":
        others = {name: replace(recipe, guidance=name, scale=None, start=None, stop=None) for name in recipes.GUIDANCES}
        return {GUIDANCES[name]: other for name, other in (others | {recipe.guidance: recipe}).items()}
    if comparison == "strength" and recipe.guidance != "none":
        scales = sorted({*STRENGTHS, recipe.scale})
        return {f"Strength {scale:g}": replace(recipe, scale=scale) for scale in scales}
    return {"": recipe}


def render(read: Read, view: run.View) -> str:
    """A board of digits for each variant, with the readings once they are finished."""
    boards_html = []
    for label, recipe in view.variants.items():
        boards_html.append(boards.board(label, recipe, read(view.images[recipe]) if view.final else [], view))
    legend = "Under each digit: what an independent network reads in it, and how sure it is."
    return boards.stack(view.say(legend) if view.final else "", boards_html, view.final)


def example(event: gr.EventData) -> list:
    """An example's values for the controls."""
    return list(list(EXAMPLES.values())[event.index].values())


def scale_slider(guidance: str, scale: float | None = None) -> dict:
    """The strength slider under a kind of guidance, set to `scale` or its default, and what the strength means."""
    end = 50 if guidance in ("classifier", "blind-classifier") else 20
    value = recipes.DIGIT_DEFAULTS[guidance]["scale"] if scale is None else scale
    return {
        "value": value, "maximum": max(end, value), "info": MEANINGS[guidance], "interactive": guidance != "none"
    }  # fmt: skip


def by_guidance(guidance: str) -> tuple[gr.Slider, float, float]:
    """The strength and where guidance begins and ends, under a kind of guidance."""
    guidance = guidance if guidance in GUIDANCES else DigitRecipe.guidance
    defaults = recipes.DIGIT_DEFAULTS[guidance]
    return gr.Slider(**scale_slider(guidance)), defaults["start"], defaults["stop"]


def show(recipe: DigitRecipe) -> list:
    """The values of all controls for a recipe."""
    values = {name: getattr(recipe, name) for name in FIELDS}
    values["scale"] = gr.Slider(**scale_slider(recipe.guidance, recipe.scale))
    return list(values.values())


def tab(compute: run.Compute, jobs: Jobs, read: Read) -> stage.Panel:
    """Lay out the tab over a function that turns a recipe into frames and one that reads digits."""
    defaults = DigitRecipe()
    made: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="g-layout"):
        with gr.Column(scale=0, min_width=320, elem_classes="g-controls"):
            made["digits"] = gr.Textbox(
                defaults.digits, label=t("Digits"), info=t("One, several, or a number such as 2026."), max_lines=1,
                elem_id="digits-text",
            )  # fmt: skip
            picks = stage.examples_row(dict.fromkeys(EXAMPLES, ""))
            made["scale"] = gr.Slider(
                0, 20, defaults.scale, step=0.1, label=t("Strength"), buttons=[], info=MEANINGS[defaults.guidance],
                elem_id="digits-scale",
            )  # fmt: skip
            gr.HTML(html(welcome.told), js_on_load=None)
            made["count"] = gr.Slider(
                1, MAX_ROWS, 4, step=1, label=t("Rounds"), buttons=[], elem_id="digits-count",
                info=t("How often the digits are drawn, each anew."),
            )  # fmt: skip
            made["seed"] = controls.seed(defaults)
            paint, stop = stage.buttons(NAME)
            more = compare.choices(
                NAME, COMPARISONS, DigitRecipe, ("scale", "0; 1; 2; 5"), ("conditioning", "; ".join(CONDITIONINGS))
            )
            with gr.Accordion(t("Advanced"), open=False, elem_id="digits-advanced"):
                made["guidance"] = gr.Radio(
                    controls.labelled(GUIDANCES, recipes.GUIDANCES), value=defaults.guidance, label=t("Guidance"),
                    elem_id="digits-guidance",
                    info=t("Classifier-free: the network told the digit against the network told nothing. Classifier: "
                           "the gradient of one that reads noisy digits, or of one that never saw noise."),
                )  # fmt: skip
                made["conditioning"] = gr.Radio(
                    controls.labelled(CONDITIONINGS, recipes.CONDITIONINGS), value=defaults.conditioning,
                    label=t("How the network is told"),
                    info=t("Three networks of like size; each learned it its own way."),
                )  # fmt: skip
                made |= controls.interval(defaults) | controls.sampler(NAME, defaults, most=1000)
        here = stage.results(NAME, paint, stop, welcome.DIGITS, html(welcome.digit_tiles), defaults)

    def parse(comparison: object, x: object, xs: object, y: object, ys: object, *values: object) -> run.Ask:
        recipe = DigitRecipe(**dict(zip(FIELDS, values, strict=True)))
        whole("Rounds", recipe.count, 1, MAX_ROWS)
        whole("Digits times rounds", len(recipe.seeds), 1, MAX_PICTURES)
        return compare.ask(recipe, comparison, (x, xs, y, ys), compared)

    panel = stage.Panel(NAME, DigitRecipe, {name: made[name] for name in FIELDS}, show)
    led = [made[name] for name in ("scale", "start", "stop")]
    made["guidance"].input(by_guidance, made["guidance"], led, **stage.QUICK)
    stage.examples(here, picks, example, [made["digits"], made["count"]])
    stage.wire(here, run.runner(compute, run.Tab(parse, partial(render, read)), jobs), panel, more)
    return panel
