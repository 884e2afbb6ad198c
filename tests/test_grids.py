"""Grids of two settings, and what else a run is compared with."""

import re

import pytest
from PIL import Image

from guidance.checks import RecipeError
from guidance.recipes import DEFAULTS, PRESETS, ClipRecipe, ColorRecipe, DigitRecipe
from guidance.sampling.schedule import Schedule, strengths
from guidance.ui import clip, color, compare, digits, grids, weights


def test_a_grid_has_a_recipe_for_each_pair():
    grid = grids.cross(ColorRecipe(seed=4, count=3), "scale", "0.2; 0.5", "method", "shortcut;full ;")
    assert [[(cell.scale, cell.method) for cell in row] for row in grid.rows] == [
        [(0.2, "shortcut"), (0.5, "shortcut")], [(0.2, "full"), (0.5, "full")],
    ]  # fmt: skip
    assert {(cell.seed, cell.count) for row in grid.rows for cell in row} == {(4, 1)}


def test_a_rule_brings_its_own_defaults_but_not_over_the_other_axis():
    (plain, course), *_ = grids.cross(ColorRecipe(), "rule", "normalized; course", "seed", "1").rows
    assert (plain.scale, course.scale) == (DEFAULTS["normalized"]["scale"], DEFAULTS["course"]["scale"])
    (one, two), *_ = grids.cross(ColorRecipe(), "rule", "normalized; course", "scale", "0.7").rows
    assert (one.scale, two.scale) == (0.7, 0.7)


def test_prompts_and_digits_have_grids_too():
    row = grids.cross(ClipRecipe(), "prompt", "snow | moon:0.5; hills", "preset", "quality").rows[0]
    assert [(cell.prompt, cell.method, cell.cuts) for cell in row] == [
        ("snow | moon:0.5", "shortcut", 4), ("hills", "shortcut", 4),
    ]  # fmt: skip
    assert all(getattr(cell, name) == value for cell in row for name, value in PRESETS["quality"].items())
    row = grids.cross(DigitRecipe(digits="20", count=5), "guidance", "none;classifier", "seed", "0").rows[0]
    assert [(cell.scale, len(cell.seeds)) for cell in row] == [(1.0, 2), (30.0, 2)]


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        (("scale", "0.1", "scale", "0.2"), "Across and down must be two different settings."),
        (("scale", " ; ", "seed", "1"), "A grid needs values for both settings"),
        (("scale", None, "seed", "1"), "A grid needs values for both settings"),
        (("image", "1", "seed", "1"), "Across must be one of"),
        (("__class__", "1", "seed", "1"), "Across must be one of"),
        (("scale", "0.1;0.2;0.3;0.4;0.5;0.6;0.7", "seed", "1;2;3;4;5;6"), "Cells of a grid must be a whole number"),
        (("scale", "0.1; nan", "seed", "1"), "Scale must be a number"),
    ],
)
def test_a_bad_grid_is_answered_by_a_sentence(axes, expected):
    with pytest.raises(RecipeError, match=expected):
        grids.cross(ColorRecipe(), *axes)


def test_a_grid_is_kept_as_one_picture_with_labels_and_as_a_table():
    grid = grids.cross(ColorRecipe(), "scale", "0.2;0.5;0.8", "seed", "1;2")
    images = {cell: [Image.new("RGB", (64, 64), "red")] for row in grid.rows for cell in row}
    whole = grids.drawn(grid, images)
    red = sum(count for count, pixel in whole.getcolors(10_000) if pixel == (255, 0, 0))
    assert red == 6 * 128 * 128
    table = grids.table(grid, images, True, str, True)
    assert table.count("<img") == 6
    assert re.findall(r"scope='col'>([^<]+)", table) == ["0.2", "0.5", "0.8"]
    assert "<script>" not in grids.table(
        grids.cross(ClipRecipe(), "prompt", "<script>x", "seed", "1"), {}, False, str, True
    )


@pytest.mark.parametrize(
    ("kind", "comparison", "compared", "number"),
    [
        (ColorRecipe(), "unguided", color.compared, 2),
        (ColorRecipe(), "method", color.compared, 2),
        (ColorRecipe(), "rule", color.compared, 2),
        (ClipRecipe(), "method", clip.compared, 2),
        (ClipRecipe(), "preset", clip.compared, 2),
        (ClipRecipe(), "rule", clip.compared, 2),
        (DigitRecipe(), "conditioning", digits.compared, 3),
        (ClipRecipe(preset="quality"), "rule", clip.compared, 3),
        (ColorRecipe(), ["nonsense"], color.compared, 2),
    ],
)
def test_the_recipe_is_among_what_it_is_compared_with(kind, comparison, compared, number):
    asked = compare.ask(kind, comparison, ("scale", "1", "seed", "1"), compared)
    assert asked.recipe == kind
    assert kind in asked.variants.values()
    assert len(asked.variants) == number


@pytest.mark.parametrize("kind", list(weights.SHAPES))
def test_the_plotted_strength_is_the_one_that_is_used(kind):
    schedule = Schedule({"beta_schedule": "linear", "timestep_spacing": "trailing"}, "ddim", 40)
    assert weights.weights(kind, 0.1, 0.8, 40) == pytest.approx(strengths(schedule, kind, 0.1, 0.8), abs=1e-3)
    assert "polyline" in weights.plot(kind, 0.1, 0.8)
    assert weights.plot("nonsense", 0, 1) == weights.plot(kind, None, 1) == ""
