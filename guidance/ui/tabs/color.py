"""What the Colour tab has of its own."""

from PIL import Image

from guidance import cielab
from guidance.recipe import Recipe
from guidance.ui.html import pictures, welcome
from guidance.ui.html.words import Say
from guidance.ui.runs.painting import View
from guidance.ui.tabs.guide import Look

COLORS = {
    "Teal": "#13808a", "Crimson": "#a8142f", "Gold": "#dba520", "Violet": "#43238f", "Forest": "#2c6638",
    "Peach": "#f4b795",
}  # fmt: skip


def caption(recipe: Recipe, image: Image.Image, say: Say) -> str:
    """The mean colour of a picture and its distance to the target."""
    mean, target = cielab.mean(image), recipe.color
    distance = f"{cielab.delta_e(mean, target):.0f}"
    title = say(f"Mean colour {mean}, {distance} from the target {target} in CIELAB")
    return (
        f'<span class="g-mean" title="{title}">{pictures.swatch(mean, title)}\N{GREEK CAPITAL LETTER DELTA}E '
        f"{distance}</span>"
    )


def render(view: View) -> str:
    """The variants of each seed side by side, under the colour that was asked for and what the numbers mean."""
    recipe, say = view.recipe, view.say
    meaning = say(
        "Under each picture: its mean colour and how far that is from the target (\N{GREEK CAPITAL LETTER DELTA}E)."
    )
    legend = (
        f"{say('Target')} {pictures.swatch(recipe.color, say('Target'))} <b>{recipe.color}</b> <span>{meaning}</span>"
    )
    return pictures.pairs(legend, lambda image: caption(recipe, image, say), view)


LOOK = Look(
    intro=welcome.COLOR,
    formula=welcome.loss_formula("color", ("loss", "What is compared", "color-loss")),
    examples={name: {"color": color} for name, color in COLORS.items()},
    dots=COLORS,
    comparisons={"unguided": "Unguided", "method": "Shortcut and full", "rule": "Both rules"},
    axes=(("scale", "0.2; 0.5; 0.8"), ("color", "#13808a; #a8142f; #dba520")),
    render=render,
)
