"""What the Digits tab has of its own."""

from guidance.fields import choices, whole
from guidance.guides.digits import Digits
from guidance.recipe import Recipe
from guidance.ui.html import boards, welcome
from guidance.ui.runs.painting import Variants, View
from guidance.ui.tabs.guide import Look, beside

MAX_PICTURES, MAX_ROUNDS = 100, 10
STRENGTHS = (0.0, 1.0, 3.0, 10.0)  # what the chosen strength is compared with
EXAMPLES = {
    "10 \N{MULTIPLICATION SIGN} 8 grid": {"digits": "0123456789", "count": 8},
    "2026": {"digits": "2026", "count": 1},
    "Eights": {"digits": "88888888", "count": 4},
    "\N{GREEK SMALL LETTER PI}": {"digits": "31415926535897932384", "count": 1},
}

DRAWING = welcome.drawing("digits", welcome.NUMERALS, ("Not told", "Told: 2026"))


def compared(recipe: Recipe, comparison: object) -> Variants:
    """What is shown: the recipe, or the recipe among others that differ in one field."""
    if comparison == "strength" and recipe.guidance != "none":
        scales = sorted({*STRENGTHS, recipe.scale})
        return {f"Strength {scale:g}": recipe.change(scale=scale) for scale in scales}
    return beside(recipe, comparison) if comparison in ("conditioning", "guidance") else {"": recipe}


def render(view: View) -> str:
    """A board of digits for each variant."""
    made = [boards.board(label, recipe, view) for label, recipe in view.variants.items()]
    legend = "Under each digit: what an independent network reads in it, and how sure it is."
    return boards.stack(view.say(legend) if view.final else "", made, view.final)


def check(recipe: Recipe) -> None:
    """RecipeError for more digits than the page shows."""
    whole("Digits times rounds", len(recipe.seeds), 1, MAX_PICTURES)


LOOK = Look(
    intro=welcome.DIGITS,
    drawing=DRAWING,
    formula=welcome.class_formulas,
    examples=EXAMPLES,
    comparisons={
        "nothing": "Nothing", "strength": "Strengths", "conditioning": "Ways of telling",
        "guidance": "Kinds of guidance",
    },
    compared=compared,
    render=render,
    check=check,
    axes=(("scale", "0; 1; 2; 5"), ("conditioning", "; ".join(choices(Digits.model_fields["conditioning"])))),
    texts={"count": ("Rounds", "How often the digits are drawn, each anew.")},
    most={"steps": 1000, "count": MAX_ROUNDS},
)  # fmt: skip
