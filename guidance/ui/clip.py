"""The Prompt tab: pictures steered toward a sentence by a CLIP."""

from dataclasses import replace
from html import escape

import gradio as gr

from guidance import recipes
from guidance.checks import RecipeError, pack, prompts, unpack
from guidance.recipes import ClipRecipe
from guidance.ui import compare, controls, pictures, run, stage, welcome, words
from guidance.ui.jobs import Jobs
from guidance.ui.run import Variants
from guidance.ui.words import html, t

NAME = "clip"  # the prefix of this tab's element ids
PRESETS = {"fast": "Fast", "quality": "Quality", "course": "The course's"}
CLIPS = {
    "landscapes": "Built in: landscapes", "ViT-B-32/openai": "OpenAI ViT-B-32", "ViT-B-16/openai": "OpenAI ViT-B-16",
    "ViT-L-14/openai": "OpenAI ViT-L-14", "ViT-B-32/laion2b_s34b_b79k": "LAION ViT-B-32",
    "ViT-B-16-SigLIP/webli": "SigLIP ViT-B-16",
}  # fmt: skip
COMPARISONS = {
    "unguided": "Unguided", "method": "Shortcut and full", "preset": "Fast and quality", "rule": "Fast and the course's"
}  # fmt: skip
EXAMPLES = (
    "mountains and a lake at sunset",
    "a red sunset over the sea",
    "a pine forest in the mist at dawn",
    "desert dunes at noon under a bright sun",
    "hills and a lake under northern lights",
    "mountains | stars:0.7 | clouds:-0.5",
)
FIELDS = tuple(ClipRecipe.__dataclass_fields__)
BY_PRESET = tuple(recipes.PRESETS[ClipRecipe.preset])


def legend(view: run.View) -> str:
    """What was asked for, and the loss so far."""
    parts = [f"<b>{escape(text)}</b>" + (f" \N{MULTIPLICATION SIGN} {w:g}" if w != 1 else "")
             for text, w in prompts(view.recipe.prompt)]  # fmt: skip
    shown = f" <span>{view.say('and')}</span> ".join(parts) or f"<b>{view.say('The picture you gave')}</b>"
    values = view.losses.get("prompt", [])
    return f"{shown} {pictures.curve(values, view.recipe.steps, view.say('distance'))}"


def render(view: run.View) -> str:
    """The variants of each seed, side by side, under the prompt and its loss."""
    return pictures.pairs(legend(view), lambda image: "", view)


def compared(recipe: ClipRecipe, comparison: object) -> Variants:
    """What the guided pictures stand beside."""
    if comparison in ("preset", "rule"):
        anew = dict.fromkeys(BY_PRESET)
        other = {name: replace(recipe, preset=name, **anew)
                 for name in ("fast", "quality" if comparison == "preset" else "course")}  # fmt: skip
        return {PRESETS[name]: found for name, found in (other | {recipe.preset: recipe}).items()}
    return controls.beside(recipe, comparison)


def by_preset(preset: str) -> tuple:
    """What a preset brings, in the order of BY_PRESET."""
    values = recipes.PRESETS.get(preset, recipes.PRESETS[ClipRecipe.preset])
    slider = gr.Slider(**controls.scale_slider(values["rule"], values["scale"]))
    return tuple(slider if name == "scale" else values[name] for name in BY_PRESET)


def by_rule(rule: str) -> gr.Slider:
    """The strength under a rule."""
    scale = recipes.PRESETS["course" if rule == "course" else "fast"]["scale"]
    return gr.Slider(**controls.scale_slider(rule if rule in recipes.RULES else "normalized", scale))


def packed(request: gr.Request, path: str | None) -> tuple:
    """A picture that was given as a prompt, as recipes hold it, and a word where it cannot be read."""
    try:
        return pack(path) if path else "", gr.skip()
    except RecipeError as error:
        return "", pictures.status("error", words.speaker(request)(str(error)))


def tab(compute: run.Compute, jobs: Jobs) -> stage.Panel:
    """Lay out the tab and connect it to a function that turns a recipe into frames."""
    defaults = ClipRecipe()
    made: dict[str, gr.components.Component] = {}
    with gr.Row(elem_classes="g-layout"):
        with gr.Column(scale=0, min_width=320, elem_classes="g-controls"):
            made["prompt"] = gr.Textbox(
                defaults.prompt, label=t("Prompt"), lines=2, max_lines=4, elem_id="clip-prompt",
                info=t("Lands, times of day, weather, colours. Weights: snow:1 | clouds:-0.5"),
            )  # fmt: skip
            made["preset"] = gr.Radio(
                controls.labelled(PRESETS, tuple(recipes.PRESETS)), value=defaults.preset, label=t("Preset"),
                info=t("Quality takes twice the steps and more cuts: some twice as long."),
            )  # fmt: skip
            made["scale"] = gr.Slider(
                **controls.scale_slider(defaults.rule, defaults.scale), label=t("Strength"), buttons=[],
                elem_id="clip-scale", info=t("0 leaves the model alone; too much breaks the picture."),
            )  # fmt: skip
            gr.HTML(html(welcome.steered(NAME, ("loss", "CLIP", "clip-clip"))), js_on_load=None)
            made |= controls.batch(NAME, defaults)
            paint, stop = stage.buttons(NAME)
            picks = stage.examples_row(dict.fromkeys(EXAMPLES, ""), wide=True)
            more = compare.choices(
                NAME, COMPARISONS, ClipRecipe, ("prompt", "; ".join(EXAMPLES[:2])), ("scale", "0.02; 0.08; 0.32")
            )
            with gr.Accordion(t("A picture as a prompt"), open=False, elem_id="clip-image"):
                given = gr.Image(
                    label=t("Picture"), type="filepath", sources=["upload", "clipboard"], height=180, buttons=[]
                )
                made["image"] = gr.Textbox("", visible=False)  # the picture as recipes hold it, restored bit for bit
            with gr.Accordion(t("Advanced"), open=False, elem_id="clip-advanced"):
                made["clip"] = gr.Dropdown(
                    controls.labelled(CLIPS, recipes.CLIPS), value=defaults.clip, label=t("CLIP"), elem_id="clip-clip",
                    info=t("Who judges. The built-in one knows the landscapes' words alone; others are downloaded."),
                )  # fmt: skip
                made["cuts"] = gr.Slider(
                    1, 64, defaults.cuts, step=1, label=t("Cuts"), buttons=[],
                    info=t("Random crops that CLIP judges a step."),
                )  # fmt: skip
                made["travel"] = gr.Slider(
                    0, 10, defaults.travel, step=1, label=t("Time travel"), buttons=[],
                    info=t("How often the early steps are taken again."),
                )  # fmt: skip
                made["candidates"] = gr.Slider(
                    1, 16, defaults.candidates, step=1, label=t("Candidates"), buttons=[],
                    info=t("Each picture is the one of so many that CLIP finds nearest."),
                )  # fmt: skip
                made |= controls.rules(NAME, defaults)
                made |= controls.course(defaults, made)
                made |= controls.sampler(NAME, defaults)
                made["eta"] = gr.Slider(
                    0, 1, defaults.eta, step=0.05, label=t("Eta"), buttons=[],
                    info=t("How much noise each step of DDIM adds: 1 is as much as DDPM."),
                )  # fmt: skip
                made |= controls.model(defaults)
        drawing = html(lambda say: welcome.placeholder("#3f5f8f", say))
        here = stage.results(NAME, paint, stop, welcome.CLIP, drawing, defaults)

    def parse(comparison: object, x: object, xs: object, y: object, ys: object, *values: object) -> run.Ask:
        recipe = ClipRecipe(**controls.check(dict(zip(FIELDS, values, strict=True))))
        return compare.ask(recipe, comparison, (x, xs, y, ys), compared)

    def example(event: gr.EventData) -> str:
        return EXAMPLES[event.index]

    panel = stage.Panel(NAME, ClipRecipe, {name: made[name] for name in FIELDS}, controls.show)
    # What was given goes into the hidden field; what a restored recipe holds is shown.
    given.input(packed, given, [made["image"], here.places["status"]], **stage.QUICK)
    made["image"].change(lambda image: unpack(image) if image else None, made["image"], given, **stage.QUICK)
    made["preset"].input(by_preset, made["preset"], [made[name] for name in BY_PRESET], **stage.QUICK)
    made["rule"].input(by_rule, made["rule"], made["scale"], **stage.QUICK)
    stage.examples(here, picks, example, [made["prompt"]])
    stage.wire(here, run.runner(compute, run.Tab(parse, render), jobs), panel, more)
    return panel
