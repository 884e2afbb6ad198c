"""The Prompt tab: pictures steered toward a sentence by a CLIP."""

from collections.abc import Callable, Iterator
from html import escape

import gradio as gr

from guidance import recipes
from guidance.checks import pack, prompts
from guidance.recipes import ClipRecipe
from guidance.ui import controls, pictures, run, stage, welcome
from guidance.ui.run import Variants

NAME = "clip"  # the prefix of this tab's element ids
PRESETS = {"fast": "Fast", "quality": "Quality", "course": "The course's"}
CLIPS = {
    "landscapes": "Built in: landscapes", "ViT-B-32/openai": "OpenAI ViT-B-32", "ViT-B-16/openai": "OpenAI ViT-B-16",
    "ViT-L-14/openai": "OpenAI ViT-L-14", "ViT-B-32/laion2b_s34b_b79k": "LAION ViT-B-32",
    "ViT-B-16-SigLIP/webli": "SigLIP ViT-B-16",
}  # fmt: skip
EXAMPLES = (
    "a snowy mountain at night with a moon",
    "a red sunset over the sea with a boat",
    "a pine forest in the mist at dawn",
    "desert dunes at noon under a bright sun",
    "hills and a lake under northern lights",
    "mountains | stars:0.7 | clouds:-0.5",
)
BY_PRESET = ("rule", "scale", "method", "weight", "cuts", "travel")


def legend(view: run.View) -> str:
    """What was asked for, and the loss so far."""
    parts = [f"<b>{escape(text)}</b>" + (f" \N{MULTIPLICATION SIGN} {w:g}" if w != 1 else "")
             for text, w in prompts(view.recipe.prompt)]  # fmt: skip
    shown = " <span>and</span> ".join(parts) or "<b>The picture you gave</b>"
    values = view.losses.get("prompt", [])
    return f"{shown} {pictures.curve(values, view.recipe.steps, 'distance')}"


def render(view: run.View) -> str:
    """The unguided and guided pictures of each seed, side by side, under the prompt and its loss."""
    return pictures.pairs(legend(view), lambda image: "", view)


def by_preset(preset: str) -> tuple:
    """What a preset brings, in the order of BY_PRESET."""
    values = recipes.PRESETS.get(preset, recipes.PRESETS[ClipRecipe.preset])
    slider = gr.Slider(**controls.scale_slider(values["rule"], values["scale"]))
    return tuple(slider if name == "scale" else values[name] for name in BY_PRESET)


def by_rule(rule: str) -> gr.Slider:
    """The strength under a rule."""
    scale = recipes.PRESETS["course" if rule == "course" else "fast"]["scale"]
    return gr.Slider(**controls.scale_slider(rule if rule in recipes.RULES else "normalized", scale))


def tab(compute: Callable[[ClipRecipe], Iterator]) -> None:
    """Lay out the tab and connect it to a function that turns a recipe into frames."""
    defaults = ClipRecipe()
    fields: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="g-layout"):
        with gr.Column(scale=0, min_width=320, elem_classes="g-controls"):
            fields["prompt"] = gr.Textbox(
                defaults.prompt, label="Prompt", lines=2, max_lines=4, elem_id="clip-prompt",
                info="Lands, times of day, weather, colours. Weights: snow:1 | clouds:-0.5",
            )  # fmt: skip
            fields["preset"] = gr.Radio(
                controls.labelled(PRESETS, tuple(recipes.PRESETS)), value=defaults.preset, label="Preset",
                info="Quality goes back and asks again; it takes several times as long.",
            )  # fmt: skip
            fields["scale"] = gr.Slider(
                **controls.scale_slider(defaults.rule, defaults.scale), label="Strength", buttons=[],
                info="0 leaves the model alone; too much breaks the picture.",
            )  # fmt: skip
            fields |= controls.batch(NAME, defaults)
            paint, stop = stage.buttons(NAME)
            picks = stage.examples_row(dict.fromkeys(EXAMPLES, ""), wide=True)
            with gr.Accordion("A picture as a prompt", open=False, elem_id="clip-image"):
                fields["image"] = gr.Image(
                    label="Picture", type="filepath", sources=["upload", "clipboard"], height=180, buttons=[]
                )
            with gr.Accordion("Advanced", open=False, elem_id="clip-advanced"):
                fields["clip"] = gr.Dropdown(
                    controls.labelled(CLIPS, recipes.CLIPS), value=defaults.clip, label="CLIP",
                    info="Who judges. The built-in one knows the landscapes' words alone; the others are downloaded on "
                    "first use.",
                )  # fmt: skip
                fields["cuts"] = gr.Slider(
                    1, 64, defaults.cuts, step=1, label="Cuts", buttons=[], info="Random crops that CLIP judges a step."
                )
                fields["travel"] = gr.Slider(
                    0, 10, defaults.travel, step=1, label="Time travel", buttons=[],
                    info="How often the middle steps are taken again.",
                )  # fmt: skip
                fields |= controls.rules(defaults) | controls.interval(defaults)
                fields |= controls.sampler(NAME, defaults) | controls.model(defaults)
        here = stage.results(NAME, paint, stop, welcome.CLIP, welcome.placeholder("#3f5f8f"), defaults)

    def parse(*values: object) -> tuple[ClipRecipe, Variants]:
        given = controls.check(dict(zip(fields, values, strict=True)))
        given["image"] = pack(given["image"]["path"]) if given["image"] else ""
        recipe = ClipRecipe(**given)
        return recipe, {"Unguided": recipe.unguided() if recipe.scale else recipe, "Guided": recipe}

    def example(event: gr.EventData) -> str:
        return EXAMPLES[event.index]

    fields["preset"].input(by_preset, fields["preset"], [fields[name] for name in BY_PRESET], **stage.QUICK)
    fields["rule"].input(by_rule, fields["rule"], fields["scale"], **stage.QUICK)
    stage.examples(here, picks, example, [fields["prompt"]])
    stage.wire(here, run.runner(compute, run.Tab(parse, render)), fields)
