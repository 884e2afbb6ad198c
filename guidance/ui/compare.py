"""What a run is compared with in one click, on the same noise: other rules, other settings, or a grid of two."""

from collections.abc import Callable
from dataclasses import fields

import gradio as gr
from gradio.components import Component

from guidance.recipes import Recipe
from guidance.ui import grids
from guidance.ui.run import Ask, Variants
from guidance.ui.stage import QUICK
from guidance.ui.words import t

GRID = "grid"


def choices(name: str, kinds: dict[str, str], recipe: type[Recipe], x: tuple[str, str], y: tuple[str, str]) -> tuple:
    """The controls: what to compare with, and for a grid two settings, each with its values."""
    compare = gr.Radio(
        [(t(label), kind) for kind, label in (kinds | {GRID: "A grid"}).items()], value=next(iter(kinds)),
        label=t("Compare"), elem_id=f"{name}-compare", info=t("The same noise, painted several ways."),
    )  # fmt: skip
    names = [(t(grids.SETTINGS[field.name]), field.name) for field in fields(recipe) if field.name in grids.SETTINGS]
    with gr.Group(visible=False, elem_id=f"{name}-grid") as group:
        axes: list[Component] = []
        for label, (setting, values) in (("Across", x), ("Down", y)):
            axes.append(gr.Dropdown(names, value=setting, label=t(label), info=t("Which setting goes this way.")))
            axes.append(gr.Textbox(
                values, label=t(f"Values {label.lower()}"), max_lines=1, elem_id=f"{name}-{label.lower()}",
                info=t("With semicolons between; at most 36 pictures in all."),
            ))  # fmt: skip
    compare.input(lambda kind: gr.Group(visible=kind == GRID), compare, group, **QUICK)
    return (compare, *axes)


def ask(recipe: Recipe, comparison: object, axes: tuple, variants: Callable[[Recipe, object], Variants]) -> Ask:
    """A recipe among what it is compared with."""
    if comparison != GRID:
        return Ask(recipe, variants(recipe, comparison))
    grid = grids.cross(recipe, *axes)
    cells = [cell for row in grid.rows for cell in row]
    return Ask(cells[0], {str(k): cell for k, cell in enumerate(cells)}, grid)
