"""Grids of two settings, and what else a run is compared with."""

import re
from base64 import b64decode

import pytest
from PIL import Image

from guidance import guides
from guidance.engine import plan
from guidance.fields import RecipeError
from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.guides.prompt import Prompt
from guidance.recipe import ClipRecipe, ColorRecipe, DigitRecipe, Recipe, form, read_png
from guidance.sampling.schedule import WEIGHTS
from guidance.ui.html import boards
from guidance.ui.html import grids as drawing
from guidance.ui.html.pictures import curve
from guidance.ui.runs import grids
from guidance.ui.runs.painting import View
from guidance.ui.tabs import controls, digits, prompt
from guidance.ui.tabs.guide import beside


def view(recipe: Recipe, variants: dict | None = None, images: dict | None = None, final: bool = True, **more) -> View:
    """What a run shows."""
    return View(recipe, variants or {"": recipe}, images or {}, final, **more)


def test_a_grid_has_a_recipe_for_each_pair():
    grid = grids.cross(ColorRecipe(seed=4, count=3), "scale", "0.2; 0.5", "method", "shortcut;full ;")
    assert [[(cell.scale, cell.method) for cell in row] for row in grid.rows] == [
        [(0.2, "shortcut"), (0.5, "shortcut")], [(0.2, "full"), (0.5, "full")],
    ]  # fmt: skip
    assert {(cell.seed, cell.count) for row in grid.rows for cell in row} == {(4, 1)}


def test_a_rule_brings_its_own_defaults_but_not_over_the_other_axis():
    (plain, course), *_ = grids.cross(ColorRecipe(), "rule", "normalized; course", "seed", "1").rows
    assert (plain.scale, course.scale) == (Color.brings["normalized"]["scale"], Color.brings["course"]["scale"])
    (one, two), *_ = grids.cross(ColorRecipe(), "rule", "normalized; course", "scale", "0.7").rows
    assert (one.scale, two.scale) == (0.7, 0.7)


def test_prompts_digits_and_guides_of_any_kind_have_grids_too():
    row = grids.cross(ClipRecipe(), "prompt", "snow | moon:0.5; hills", "preset", "quality").rows[0]
    assert [(cell.prompt, cell.method, cell.cuts) for cell in row] == [
        ("snow | moon:0.5", "shortcut", 8), ("hills", "shortcut", 8),
    ]  # fmt: skip
    brought = Prompt.brings["quality"] | {"tries": 1}  # of one noise, whatever comes of it
    assert all(getattr(cell, name) == value for cell in row for name, value in brought.items())
    row = grids.cross(DigitRecipe(digits="20", count=5), "guidance", "none;classifier", "seed", "0").rows[0]
    assert [(cell.scale, len(cell.seeds)) for cell in row] == [(1.0, 2), (30.0, 2)]
    row = grids.cross(Recipe(guides=(Brightness(),), count=3), "level", "0.2; 0.8", "steps", "5").rows[0]
    assert [(cell.level, cell.steps, cell.count) for cell in row] == [(0.2, 5, 1), (0.8, 5, 1)]


@pytest.mark.parametrize("kind", guides.every().values())
def test_every_field_but_pictures_and_their_number_can_be_an_axis(kind):
    assert set(grids.settings(kind)) == set(form(kind)) - {"count", "image", "mask"}
    assert [name for _, name in controls.titles(kind)] == list(grids.settings(kind))


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        (("scale", "0.1", "scale", "0.2"), "Across and down must be two different settings."),
        (("scale", " ; ", "seed", "1"), "A grid needs values for both settings, such as 0.1; 0.3; 0.5."),
        (("scale", None, "seed", "1"), "A grid needs values for both settings, such as 0.1; 0.3; 0.5."),
        (("image", "1", "seed", "1"), "Across must be one of: {}."),
        (("__class__", "1", "seed", "1"), "Across must be one of: {}."),
        (("seed", "1", ["x"], "1"), "Down must be one of: {}."),
        (("scale", "0.1;0.2;0.3;0.4;0.5;0.6;0.7", "seed", "1;2;3;4;5;6"),
         "Cells of a grid must be a whole number from 1 to 36."),
        (("scale", "0.1; nan", "seed", "1"), "Scale must be a number from 0 to 1."),
    ],
)  # fmt: skip
def test_a_bad_grid_is_answered_by_a_sentence(axes, expected):
    with pytest.raises(RecipeError) as error:
        grids.cross(ColorRecipe(), *axes)
    assert str(error.value) == expected.format(", ".join(grids.settings(Color)))


def test_a_grid_is_kept_as_one_picture_with_labels_and_as_a_table():
    grid = grids.cross(ColorRecipe(), "scale", "0.2;0.5;0.8", "seed", "1;2")
    images = {cell: [Image.new("RGB", (64, 64), "red")] for row in grid.rows for cell in row}
    whole = drawing.drawn(grid, images)
    red = sum(count for count, pixel in whole.getcolors(10_000) if pixel == (255, 0, 0))
    assert red == 6 * 128 * 128
    table = drawing.table(grid, view(grid.rows[0][0], images=images))
    assert table.count("<img") == 6
    assert re.findall(r"scope='col'>([^<]+)", table) == ["0.2", "0.5", "0.8"]
    assert re.findall(r'data-save="([^"]+)"', table) == [
        f"guidance-e0703c-{seed}.png" for seed in (1, 1, 1, 2, 2, 2)
    ] + ["grid-scale-seed.png"]  # fmt: skip
    assert "Seed \N{DOWNWARDS ARROW} Strength \N{RIGHTWARDS ARROW}" in table
    hostile = grids.cross(ClipRecipe(), "prompt", "<script>x", "seed", "1")
    assert "<script>" not in drawing.table(hostile, view(hostile.rows[0][0], final=False))


@pytest.mark.parametrize(
    ("recipe", "comparison", "compared", "number"),
    [
        (ColorRecipe(), "unguided", beside, 2),
        (ColorRecipe(), "method", beside, 2),
        (ColorRecipe(), "rule", beside, 2),
        (ClipRecipe(), "unguided", prompt.compared, 2),
        (ClipRecipe(), "method", prompt.compared, 2),
        (ClipRecipe(), "preset", prompt.compared, 2),
        (ClipRecipe(), "rule", prompt.compared, 2),
        (ClipRecipe(preset="quality"), "rule", prompt.compared, 3),
        (DigitRecipe(), "nothing", digits.compared, 1),
        (DigitRecipe(), "strength", digits.compared, 5),
        (DigitRecipe(guidance="none"), "strength", digits.compared, 1),
        (DigitRecipe(), "conditioning", digits.compared, 3),
        (DigitRecipe(), "guidance", digits.compared, 4),
        (Recipe(guides=(Brightness(),)), "method", beside, 2),
        (ColorRecipe(), ["nonsense"], beside, 2),
        (ClipRecipe(), ["nonsense"], prompt.compared, 2),
        (DigitRecipe(), ["nonsense"], digits.compared, 1),
    ],
)
def test_the_recipe_is_among_what_it_is_compared_with(recipe, comparison, compared, number):
    variants = compared(recipe, comparison)
    assert recipe in variants.values()
    assert len(variants) == len(set(variants.values())) == number


def test_what_a_rule_a_preset_or_a_kind_of_guidance_stands_beside_has_its_own_defaults():
    custom = ColorRecipe(scale=0.9, weight="early")
    assert beside(custom, "rule") == {"Normalised": custom, "The course's": ColorRecipe(rule="course")}
    assert prompt.compared(ClipRecipe(cuts=9), "preset") == {"Fast": ClipRecipe(cuts=9),
                                                             "Quality": ClipRecipe(preset="quality")}  # fmt: skip
    several, course = ClipRecipe(candidates=3, steps=20, seed=4), ClipRecipe(preset="course", seed=4)
    assert prompt.compared(several, "rule") == {"Fast": several, "The course's": course}
    assert grids.cross(several, "preset", "fast; course", "seed", "4").rows[0] == [several.replace(tries=1), course]
    kinds = digits.compared(DigitRecipe(scale=2, steps=9), "guidance")
    assert kinds["Classifier-free"] == DigitRecipe(scale=2, steps=9)
    assert kinds["Classifier"] == DigitRecipe(guidance="classifier", steps=9)


def test_a_board_saves_each_digit_and_all_of_them_with_what_was_read(tmp_path):
    recipe = DigitRecipe(digits="29", seed=5)
    images = {recipe: [Image.new("L", (28, 28), 20 * digit) for digit in (2, 9)]}
    seen = {recipe: [{"2": 0.5, "4": 0.3}, {"4": 0.5, "9": 0.4}]}
    shown = digits.render(view(recipe, images=images, weights={recipe: "0123456789ab"}, seen=seen))
    assert re.findall(r'data-save="([^"]+)"', shown) == ["digits-2-5.png", "digits-9-6.png", "digits-29-5.png"]
    assert re.findall(r'data-met="(\w+)"', shown) == ["true", "false"]
    assert "Asked for 9, seen: 4, 50% sure" in shown and "1 of 2 read as asked, 50% sure on average" in shown
    (tmp_path / "one.png").write_bytes(b64decode(re.findall(r'src="data:image/png;base64,([^"]+)', shown)[1]))
    assert read_png(tmp_path / "one.png") == DigitRecipe(digits="9", seed=6).replace(weights="0123456789ab")
    assert boards.columns(DigitRecipe(digits="2" * 30)) == 10


@pytest.mark.parametrize("weight", list(WEIGHTS))
def test_the_plotted_strength_is_the_one_that_is_used(weight):
    used = plan(ColorRecipe(weight=weight, start=0.1, stop=0.8, solver="dpm++", steps=12)).weights
    drawn = controls.plot("landscapes", "dpm++", 12, weight, 0.1, 0.8)
    assert "polyline" in drawn
    assert drawn == curve(used, 12, "w(t)", 0.0, 1.0)


@pytest.mark.parametrize(
    "changes", [{"weight": "none"}, {"start": None}, {"steps": 0}, {"solver": "x"}, {"name": "x" * 5000}, {"name": 7}]
)
def test_where_the_controls_give_no_strength_nothing_is_plotted(changes):
    given = {"name": "landscapes", "solver": "ddim", "steps": 40, "weight": "late", "start": 0, "stop": 1}
    assert controls.plot(**given)
    assert controls.plot(**given | changes) == ""
