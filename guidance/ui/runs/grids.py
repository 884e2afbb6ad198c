"""Labelled X/Y grids: any setting of a recipe against any other."""

from dataclasses import dataclass

from guidance.fields import PICTURES, RecipeError, choice, look, whole
from guidance.guides.base import Guide
from guidance.recipe import Recipe, about, form

MOST = 36  # cells


@dataclass(frozen=True)
class Grid:
    """Recipes by row and column."""

    x: str
    y: str
    xs: list[str]
    ys: list[str]
    rows: list[list[Recipe]]


def values(text: object) -> list[str]:
    """What was typed for an axis, as in "0.1; 0.3; 0.5"."""
    parts = [part.strip() for part in text.split(";")] if isinstance(text, str) and len(text) <= 2000 else []
    return [part for part in parts if part]


def settings(kind: type[Guide]) -> dict[str, str]:
    """The fields of a guide's recipes that can be an axis, with their names on the page."""
    names = [name for name in form(kind) if name != "count" and look(about(kind, name)).get("control") not in PICTURES]
    return {name: about(kind, name).title for name in names}


def cross(recipe: Recipe, x: object, xs: object, y: object, ys: object) -> Grid:
    """The grid of a recipe, one picture or round a cell; RecipeError when it is none or too large."""
    names = tuple(settings(type(recipe.guides[0])))
    x, y, xs, ys = choice("Across", x, names), choice("Down", y, names), values(xs), values(ys)
    if x == y:
        raise RecipeError("Across and down must be two different settings.")
    if not xs or not ys:
        raise RecipeError("A grid needs values for both settings, such as 0.1; 0.3; 0.5.")
    whole("Cells of a grid", len(xs) * len(ys), 1, MOST)
    one = {"count": 1, "tries": 1}  # of one noise, or a cell would not be what its setting makes of that
    return Grid(x, y, xs, ys, [[recipe.change(**one | {x: across, y: down}) for across in xs] for down in ys])
