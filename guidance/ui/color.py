"""The Colour tab: pictures steered toward a colour."""

from dataclasses import replace

import gradio as gr
from PIL import Image

from guidance import recipes
from guidance.recipes import ColorRecipe
from guidance.ui import compare, controls, measure, pictures, run, stage, welcome
from guidance.ui.jobs import Jobs
from guidance.ui.run import Variants
from guidance.ui.words import Say, html, t

NAME = "color"  # the prefix of this tab's element ids
LOSSES = {"tone": "Overall tone", "pixel": "Every pixel", "pixel-l1": "Every pixel, L1 (the course)"}
EXAMPLES = {
    "Teal": {"color": "#13808a"},
    "Crimson": {"color": "#a8142f"},
    "Gold": {"color": "#dba520"},
    "Violet": {"color": "#43238f"},
    "Forest": {"color": "#2c6638"},
    "Peach": {"color": "#f4b795"},
}
COMPARISONS = {"unguided": "Unguided", "method": "Shortcut and full", "rule": "Both rules"}
GUIDED = ("color", "loss", "scale", "method", "rule", "weight", "start", "stop")  # what an example sets
FIELDS = tuple(ColorRecipe.__dataclass_fields__)
# The drawing that stands there at first takes the picked colour.
TINT = """color => {
  const drawing = document.querySelector('#color-view .g-welcome');
  if (drawing && CSS.supports('color', color)) drawing.style.setProperty('--target', color);
}"""


def caption(recipe: ColorRecipe, image: Image.Image, say: Say) -> str:
    """The mean colour of a picture and its distance to the target."""
    mean = measure.mean(image)
    distance = f"{measure.delta_e(mean, recipe.color):.0f}"
    title = say(f"Mean colour {mean}, {distance} from the target {recipe.color} in CIELAB")
    return (
        f'<span class="g-mean" title="{title}">{pictures.swatch(mean, title)}\N{GREEK CAPITAL LETTER DELTA}E '
        f"{distance}</span>"
    )


def legend(recipe: ColorRecipe, say: Say) -> str:
    """The colour that was asked for, and what the numbers mean."""
    meaning = say(
        "Under each picture: its mean colour and how far that is from the target (\N{GREEK CAPITAL LETTER DELTA}E)."
    )
    return (
        f"{say('Target')} {pictures.swatch(recipe.color, say('Target'))} <b>{recipe.color}</b> <span>{meaning}</span>"
    )


def render(view: run.View) -> str:
    """The variants of each seed, side by side."""
    return pictures.pairs(legend(view.recipe, view.say), lambda image: caption(view.recipe, image, view.say), view)


def compared(recipe: ColorRecipe, comparison: object) -> Variants:
    """What the guided pictures stand beside."""
    if comparison == "rule":
        other = {rule: replace(recipe, rule=rule, scale=None, loss=None, weight=None) for rule in recipes.RULES}
        return {controls.RULES[rule]: found for rule, found in (other | {recipe.rule: recipe}).items()}
    return controls.beside(recipe, comparison)


def example(event: gr.EventData) -> list:
    """An example's values for the controls, everything it does not name at its default."""
    recipe = ColorRecipe(**list(EXAMPLES.values())[event.index])
    return [update for name, update in zip(FIELDS, controls.show(recipe), strict=True) if name in GUIDED]


def tab(compute: run.Compute, jobs: Jobs) -> stage.Panel:
    """Lay out the tab and connect it to a function that turns a recipe into frames."""
    defaults, dots = ColorRecipe(), {name: values["color"] for name, values in EXAMPLES.items()}
    made: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="g-layout"):
        with gr.Column(scale=0, min_width=320, elem_classes="g-controls"):
            made["color"] = gr.ColorPicker(
                defaults.color, label=t("Colour"), elem_id="color-target", info=t("What the pictures are drawn toward.")
            )
            picks = stage.examples_row(dots)
            made["scale"] = gr.Slider(
                **controls.scale_slider(defaults.rule), label=t("Strength"), elem_id="color-scale", buttons=[],
                info=t("0 leaves the model alone; too much flattens the picture."),
            )  # fmt: skip
            gr.HTML(html(welcome.steered(NAME, ("loss", "What is compared", "color-loss"))), js_on_load=None)
            made |= controls.batch(NAME, defaults)
            paint, stop = stage.buttons(NAME)
            more = compare.choices(
                NAME, COMPARISONS, ColorRecipe, ("scale", "0.2; 0.5; 0.8"), ("color", "#13808a; #a8142f; #dba520")
            )
            with gr.Accordion(t("Advanced"), open=False, elem_id="color-advanced"):
                made["loss"] = gr.Radio(
                    controls.labelled(LOSSES, recipes.COLOR_LOSSES), value=defaults.loss, label=t("What is compared"),
                    elem_id="color-loss",
                    info=t("Overall tone leaves light and shade free; Every pixel pulls each one to the colour."),
                )  # fmt: skip
                made |= controls.steering(NAME, defaults, made["scale"], made["loss"])
                made |= controls.sampler(NAME, defaults) | controls.model(defaults)
        drawing = html(lambda say: welcome.placeholder(defaults.color, say))
        here = stage.results(NAME, paint, stop, welcome.COLOR, drawing, defaults)

    def parse(comparison: object, x: object, xs: object, y: object, ys: object, *values: object) -> run.Ask:
        recipe = ColorRecipe(**controls.check(dict(zip(FIELDS, values, strict=True))))
        return compare.ask(recipe, comparison, (x, xs, y, ys), compared)

    panel = stage.Panel(NAME, ColorRecipe, {name: made[name] for name in FIELDS}, controls.show)
    made["color"].change(None, made["color"], js=TINT, api_visibility="private")
    stage.examples(here, picks, example, [made[name] for name in FIELDS if name in GUIDED])
    stage.wire(here, run.runner(compute, run.Tab(parse, render), jobs), panel, more)
    return panel
