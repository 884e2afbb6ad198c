"""Controls that every tab has: how many pictures, which seed, and how the sampler goes."""

from dataclasses import fields, replace

import gradio as gr
from gradio.components import Component

from guidance import checks, recipes, settings
from guidance.checks import RecipeError
from guidance.recipes import ClipRecipe, ColorRecipe, Recipe
from guidance.ui import weights
from guidance.ui.words import t

COUNT, MAX_COUNT, MAX_STEPS = 4, 16, 250  # the page's own limits; the API and the command line go on to the recipe's
SOLVERS = {"ddim": "DDIM", "dpm++": "DPM-Solver++", "ddpm": "DDPM"}
METHODS = {"shortcut": "Shortcut", "full": "Full"}
RULES = {"normalized": "Normalised", "course": "The course's"}
WEIGHTS = {"constant": "Constant", "early": "Early", "late": "Late", "counter": "The course's counter"}
MODELS = {
    "landscapes": "Landscapes, 64 px, built in",
    "johnowhitaker/sd-class-wikiart-from-bedrooms": "WikiArt (the course's), 256 px, 455 MB, licence: see its card",
    "google/ddpm-celebahq-256": "Faces, 256 px, 455 MB, Apache-2.0",
    "google/ddpm-bedroom-256": "Bedrooms, 256 px, 455 MB, Apache-2.0",
    "google/ddpm-church-256": "Churches, 256 px, 455 MB, Apache-2.0",
    "google/ddpm-cat-256": "Cats, 256 px, 455 MB, Apache-2.0",
    "johnowhitaker/ddpm-butterflies-32px": "Butterflies, 32 px, licence: see its card",
}
SCALES = {"normalized": (1.0, 0.005), "course": (1000.0, 1.0)}  # each rule's slider: its end and its step
OFFERED = "Model must be one of those that the page lists, or where it is not public one on the Hub by owner/name."
DICE = "() => Math.floor(Math.random() * 1000000)"


def labelled(names: dict[str, str], values: tuple[str, ...]) -> list[tuple]:
    """Choices as (label, value), for every value that recipes know."""
    return [(t(names.get(value, value)), value) for value in values]


def scale_slider(rule: str, scale: float | None = None) -> dict:
    """The strength slider's range under a rule, set to `scale` or the rule's default."""
    end, step = SCALES[rule]
    value = recipes.DEFAULTS[rule]["scale"] if scale is None else scale
    return {"minimum": 0, "maximum": end, "step": step, "value": value}


def batch(name: str, defaults: Recipe) -> dict[str, Component]:
    """How many pictures and from which seed."""
    count = gr.Slider(
        1, MAX_COUNT, COUNT, step=1, label=t("Pictures"), buttons=[], info=t("Each from its own noise."),
        elem_id=f"{name}-count",
    )  # fmt: skip
    return {"count": count, "seed": seed(defaults)}


def seed(defaults: Recipe) -> gr.Number:
    """The seed, with a die to roll."""
    with gr.Row(elem_classes="g-seed"):
        seed = gr.Number(
            defaults.seed, precision=0, minimum=0, maximum=recipes.MAX_SEED, label=t("Seed"), scale=1,
            info=t("The same number, the same pictures; each picture adds one."),
        )  # fmt: skip
        dice = gr.Button(t("Random seed"), elem_classes="g-dice", scale=0, min_width=40)
    dice.click(None, None, seed, js=DICE, api_visibility="private")
    return seed


def by_rule(rule: str) -> tuple:
    """What goes with a rule: (scale slider, loss, weight)."""
    rule = rule if rule in SCALES else ColorRecipe.rule
    return gr.Slider(**scale_slider(rule)), recipes.DEFAULTS[rule]["loss"], recipes.DEFAULTS[rule]["weight"]


def steering(name: str, defaults: ColorRecipe, scale: gr.Slider, loss: gr.Radio) -> dict[str, Component]:
    """How the gradient of a loss bends the steps; the rule brings a scale and a loss."""
    fields = rules(name, defaults)
    # input, not change: an example that sets the rule sets the others as well.
    fields["rule"].input(
        by_rule, fields["rule"], [scale, loss, fields["weight"]], queue=False, show_progress="hidden",
        api_visibility="private",
    )  # fmt: skip
    return fields | course(defaults, fields)


def rules(name: str, defaults: ColorRecipe | ClipRecipe) -> dict[str, Component]:
    """The method, the rule and the weight."""
    method = gr.Radio(
        labelled(METHODS, recipes.METHODS), value=defaults.method, label=t("Gradient"), elem_id=f"{name}-method",
        info=t("Shortcut leaves the network out of the gradient and is fast; Full goes through it and is truer."),
    )  # fmt: skip
    rule = gr.Radio(
        labelled(RULES, recipes.RULES), value=defaults.rule, label=t("Rule"),
        info=t("Normalised means the same strength for every model and step; the course's is the notebook's update."),
    )  # fmt: skip
    weight = gr.Dropdown(
        labelled(WEIGHTS, recipes.WEIGHTS), value=defaults.weight, label=t("Weight over the steps"),
        elem_id=f"{name}-weight",
        info=t("Where the strength goes: evenly, to the first steps, to the last, or as the notebook has it."),
    )  # fmt: skip
    return {"method": method, "rule": rule, "weight": weight}


def course(defaults: ColorRecipe | ClipRecipe, fields: dict[str, Component]) -> dict[str, Component]:
    """Which steps are guided, and a plot of the strength over them."""
    weight, ends = fields["weight"], interval(defaults)
    drawn = gr.HTML(
        weights.plot(defaults.weight, defaults.start, defaults.stop), elem_classes="g-course", js_on_load=None
    )
    inputs = [weight, *ends.values()]
    gr.on(
        [component.change for component in inputs], weights.plot, inputs, drawn, queue=False, show_progress="hidden",
        api_visibility="private",
    )  # fmt: skip
    return ends


def interval(defaults: Recipe) -> dict[str, Component]:
    """Which steps are guided."""
    start = gr.Slider(
        0, 1, defaults.start, step=0.01, label=t("Start"), buttons=[], info=t("Begin after this share of the steps.")
    )
    stop = gr.Slider(
        0, 1, defaults.stop, step=0.01, label=t("Stop"), buttons=[], info=t("End after this share of the steps.")
    )
    return {"start": start, "stop": stop}


def sampler(name: str, defaults: Recipe, most: int = MAX_STEPS) -> dict[str, Component]:
    """How the model is sampled, in `most` steps at most."""
    steps = gr.Slider(
        1,
        most,
        defaults.steps,
        step=1,
        label=t("Steps"),
        buttons=[],
        info=t("More: slower, finer."),
        elem_id=f"{name}-steps",
    )
    solver = gr.Radio(
        labelled(SOLVERS, recipes.SOLVERS), value=defaults.solver, label=t("Solver"),
        info=t("DDIM is plain; DPM-Solver++ needs fewer steps; DDPM adds noise at each and needs many."),
    )  # fmt: skip
    return {"steps": steps, "solver": solver}


def listed() -> dict[str, str]:
    """The models that anybody may have, by name: the page's own, and the one it was told to begin with."""
    own = settings.MODEL
    return MODELS | ({own: MODELS.get(own, own)} if own else {})


def models() -> list[tuple]:
    """The models to choose from: the listed ones, and those that were made here."""
    made = [] if settings.PUBLIC else sorted(settings.TRAINED.glob("*/pipeline"))
    return [(t(label), name) for name, label in listed().items()] + [
        (folder.parent.name, f"trained/{folder.parent.name}") for folder in made
    ]


def model(defaults: ColorRecipe | ClipRecipe) -> dict[str, Component]:
    """Which model paints, and what a model that takes a text is told."""
    info = "The network that paints; all but the built-in one are downloaded on first use."
    own = "" if settings.PUBLIC else " Or type the name of any unconditional or Stable-Diffusion-like model on the Hub."
    fields = {
        "model": gr.Dropdown(
            models(), value=defaults.model, label=t("Model"),
            info=t(info + own), allow_custom_value=not settings.PUBLIC,
        )
    }  # fmt: skip
    with gr.Accordion(t("A model that takes a text"), open=False):
        fields["text"] = gr.Textbox(
            defaults.text, label=t("Text for the model"), max_lines=3,
            info=t("What a Stable-Diffusion-like model is told; the others are told nothing."),
        )  # fmt: skip
        fields["negative"] = gr.Textbox(
            defaults.negative, label=t("Not in the text"), max_lines=3, info=t("What it is led away from.")
        )
        fields["text_scale"] = gr.Slider(
            0, 20, defaults.text_scale, step=0.1, label=t("Strength of the text"), buttons=[],
            info=t("Classifier-free guidance: 1 is the model alone."),
        )  # fmt: skip
    return fields


def offered(model: object) -> None:
    """RecipeError for a model that visitors may not have: a folder here, and in public any that is not listed."""
    if not isinstance(model, str) or model not in listed() and (
        settings.PUBLIC or not checks.REPOSITORY.fullmatch(model)
    ):
        raise RecipeError(OFFERED)


def show(recipe: ColorRecipe | ClipRecipe) -> list:
    """The values of a tab's controls for a recipe, in the order of its fields."""
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    return list((values | {"scale": gr.Slider(**scale_slider(recipe.rule, recipe.scale))}).values())


def beside(recipe: ColorRecipe | ClipRecipe, comparison: object) -> dict[str, Recipe]:
    """What guided pictures stand beside: both methods, or the unguided ones."""
    if comparison == "method":
        return {METHODS[method]: replace(recipe, method=method) for method in recipes.METHODS}
    return {"Unguided": recipe.unguided() if recipe.scale else recipe, "Guided": recipe}


def check(values: dict) -> dict:
    """The values if they keep to the page's own limits, else RecipeError."""
    offered(values["model"])
    recipes.whole("Steps", values["steps"], 1, MAX_STEPS)
    recipes.whole("Count", values["count"], 1, MAX_COUNT)
    return values
