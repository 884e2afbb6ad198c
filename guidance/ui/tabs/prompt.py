"""What the Prompt tab has of its own."""

from html import escape

from guidance.guides.prompt import parts
from guidance.recipe import Recipe
from guidance.ui.html import pictures, welcome
from guidance.ui.runs.painting import Variants, View
from guidance.ui.tabs.guide import Look, beside

EXAMPLES = (
    "mountains and a lake at sunset",
    "a red sunset over the sea",
    "a pine forest in the mist at dawn",
    "desert dunes at noon under a bright sun",
    "hills and a lake under northern lights",
    "mountains | stars:0.7 | clouds:-0.5",
)
OTHERS = {"preset": ("fast", "quality"), "rule": ("fast", "course")}  # presets that stand beside one another


def render(view: View) -> str:
    """The variants of each seed side by side, under what was asked for and the loss so far."""
    said = [f"<b>{escape(text)}</b>" + (f" \N{MULTIPLICATION SIGN} {w:g}" if w != 1 else "")
            for text, w in parts(view.recipe.prompt)]  # fmt: skip
    legend = f" <span>{view.say('and')}</span> ".join(said) or f"<b>{view.say('The picture you gave')}</b>"
    curve = pictures.curve(view.losses.get("prompt", []), view.recipe.steps, view.say("distance"))
    return pictures.pairs(f"{legend} {curve}", lambda image: "", view)


def compared(recipe: Recipe, comparison: object) -> Variants:
    """What the guided pictures stand beside; a preset brings all that it stands for."""
    if comparison not in tuple(OTHERS):  # whatever was sent
        return beside(recipe, comparison)
    labels = beside(recipe, "preset")
    names = dict(zip(type(recipe.guides[0]).brings, labels, strict=True))
    return {names[name]: labels[names[name]] for name in dict.fromkeys([*OTHERS[comparison], recipe.preset])}


LOOK = Look(
    intro=welcome.CLIP,
    formula=welcome.loss_formula("clip", ("loss", "CLIP", "clip-clip")),
    examples={text: {"prompt": text} for text in EXAMPLES},
    last=True,
    comparisons={
        "unguided": "Unguided", "method": "Shortcut and full", "preset": "Fast and quality",
        "rule": "Fast and the course's",
    },
    compared=compared,
    axes=(("prompt", "; ".join(EXAMPLES[:2])), ("scale", "0.02; 0.08; 0.32")),
    render=render,
)  # fmt: skip
