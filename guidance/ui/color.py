"""The Colour tab: pictures steered toward a colour."""

from collections.abc import Callable, Iterator

import gradio as gr
from PIL import Image

from guidance import recipes
from guidance.recipes import ColorRecipe
from guidance.ui import controls, measure, pictures, run, stage, welcome
from guidance.ui.run import Variants

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
GUIDED = ("color", "loss", "scale", "method", "rule", "weight", "start", "stop")  # what an example sets
# The drawing that stands there at first takes the picked colour.
TINT = """color => {
  const drawing = document.querySelector('#color-view .g-welcome');
  if (drawing && CSS.supports('color', color)) drawing.style.setProperty('--target', color);
}"""


def caption(recipe: ColorRecipe, image: Image.Image) -> str:
    """The mean colour of a picture and its distance to the target."""
    mean = measure.mean(image)
    distance = f"{measure.delta_e(mean, recipe.color):.0f}"
    return (
        f'<span class="g-mean" title="Mean colour {mean}, {distance} from the target {recipe.color} in CIELAB">'
        f"{pictures.swatch(mean, 'mean colour ' + mean)}\N{GREEK CAPITAL LETTER DELTA}E {distance}</span>"
    )


def legend(recipe: ColorRecipe) -> str:
    """The colour that was asked for, and what the numbers mean."""
    return (
        f"Target {pictures.swatch(recipe.color, 'target colour')} <b>{recipe.color}</b> <span>Under each picture: its "
        "mean colour and how far that is from the target (\N{GREEK CAPITAL LETTER DELTA}E).</span>"
    )


def render(view: run.View) -> str:
    """The unguided and guided pictures of each seed, side by side."""
    return pictures.pairs(legend(view.recipe), lambda image: caption(view.recipe, image), view)


def example(event: gr.EventData) -> list:
    """An example's values for the controls, everything it does not name at its default."""
    recipe = ColorRecipe(**list(EXAMPLES.values())[event.index])
    values = {name: getattr(recipe, name) for name in GUIDED}
    values["scale"] = gr.Slider(**controls.scale_slider(recipe.rule, recipe.scale))
    return list(values.values())


def tab(compute: Callable[[ColorRecipe], Iterator]) -> None:
    """Lay out the tab and connect it to a function that turns a recipe into frames."""
    defaults, dots = ColorRecipe(), {name: values["color"] for name, values in EXAMPLES.items()}
    fields: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="g-layout"):
        with gr.Column(scale=0, min_width=320, elem_classes="g-controls"):
            fields["color"] = gr.ColorPicker(
                defaults.color, label="Colour", elem_id="color-target", info="What the pictures are drawn toward."
            )
            picks = stage.examples_row(dots)
            fields["scale"] = gr.Slider(
                **controls.scale_slider(defaults.rule), label="Strength", elem_id="color-scale", buttons=[],
                info="0 leaves the model alone; too much flattens the picture.",
            )  # fmt: skip
            fields |= controls.batch(NAME, defaults)
            paint, stop = stage.buttons(NAME)
            with gr.Accordion("Advanced", open=False, elem_id="color-advanced"):
                fields["loss"] = gr.Radio(
                    controls.labelled(LOSSES, recipes.COLOR_LOSSES), value=defaults.loss, label="What is compared",
                    info="Overall tone leaves light and shade free; Every pixel pulls each one to the colour.",
                )  # fmt: skip
                fields |= controls.steering(defaults, fields["scale"], fields["loss"])
                fields |= controls.sampler(NAME, defaults) | controls.model(defaults)
        here = stage.results(NAME, paint, stop, welcome.COLOR, welcome.placeholder(defaults.color), defaults)

    def parse(*values: object) -> tuple[ColorRecipe, Variants]:
        recipe = ColorRecipe(**controls.check(dict(zip(fields, values, strict=True))))
        return recipe, {"Unguided": recipe.unguided() if recipe.scale else recipe, "Guided": recipe}

    fields["color"].change(None, fields["color"], js=TINT, api_visibility="private")
    stage.examples(here, picks, example, [fields[name] for name in GUIDED])
    stage.wire(here, run.runner(compute, run.Tab(parse, render)), fields)
