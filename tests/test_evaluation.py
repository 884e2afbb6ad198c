"""The measures against known values."""

import numpy as np
import pytest
import torch
from PIL import Image

from guidance import Recipe, cielab, images
from guidance.evaluation import blend, clip, color, digits, metrics, samples
from guidance.frame import to_pixels
from guidance.guides.color import target
from guidance.models.attributes import ATTRIBUTES
from guidance.recipe import ColorRecipe, DigitRecipe


def test_lab_of_known_colours():
    known = {(1, 1, 1): (100, 0, 0), (1, 0, 0): (53.24, 80.09, 67.20), (0, 0, 1): (32.30, 79.19, -107.86),
             (0, 0, 0): (0, 0, 0), (0.5, 0.5, 0.5): (53.39, 0, 0)}  # fmt: skip
    for rgb, expected in known.items():
        assert np.allclose(cielab.lab(torch.tensor(rgb).double()), expected, atol=0.05)
    measured = cielab.lab(torch.tensor(list(known)).double())
    assert measured.shape == (5, 3) and np.allclose(measured, list(known.values()), atol=0.05)


def test_how_far_colours_are_apart():
    assert cielab.delta_e("#ffffff", "#000000") == pytest.approx(100, abs=1e-3)
    assert cielab.delta_e("#2080ff", "#2080ff") == 0
    assert cielab.delta_e("#ff0000", "#0000ff") == cielab.delta_e("#0000ff", "#ff0000") == pytest.approx(176.3, abs=0.1)
    halves = Image.new("RGB", (8, 8), "#000000")
    halves.paste("#2080ff", (0, 0, 8, 4))
    assert cielab.mean(halves) == "#104080" and cielab.mean(Image.new("L", (4, 4), 7)) == "#070707"


def test_kid_is_nothing_between_halves_and_grows_with_a_shift():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 800, 16, generator=generator)
    assert abs(metrics.kid(first, second)) < 5
    assert metrics.kid(first + 0.5, second) > metrics.kid(first + 0.2, second) > 10


def test_color_distance_and_contrast():
    flat = torch.full((2, 3, 4, 4), 1.0)
    assert metrics.color_distance(flat, torch.full((1, 3, 1, 1), 1.0)).tolist() == pytest.approx([0, 0], abs=1e-3)
    red = metrics.color_distance(flat, target("#ff0000")).tolist()
    assert red == pytest.approx([cielab.delta_e("#ffffff", "#ff0000")] * 2, abs=1e-3)
    assert metrics.contrast(flat) == 0
    flat[:, :, :2] = -1
    assert metrics.contrast(flat) == pytest.approx(0.5)


def test_frechet_distance_and_coverage_of_known_sets():
    draw = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 4000, 4, generator=draw)
    assert metrics.frechet(first, second) == pytest.approx(0, abs=0.01)
    assert metrics.frechet(first * 2 + 1, second) == pytest.approx(4 + 4, rel=0.05)  # |mean|**2 + tr(a + b - 2 root)
    known = torch.randn(400, 4, generator=draw)
    assert metrics.coverage(known, known) == 1
    assert metrics.coverage(known + 100, known) == 0


def test_what_is_measured_are_recipes_that_paint():
    recipes = [*clip.WHOLE.values(), *clip.PARTS.values(), *digits.RECIPES, *sum(color.SETTINGS.values(), [])]
    assert all(isinstance(recipe, Recipe) for recipe in recipes)
    assert ColorRecipe() in color.SETTINGS["normalized, tone"]
    passes = {"none": 15, "classifier": 15, "classifier-free": 15 + 9}
    assert {name: digits.passes(DigitRecipe(guidance=name)) for name in passes} == passes
    assert digits.passes(DigitRecipe(scale=1)) == digits.passes(DigitRecipe(scale=0)) == 15


def test_pictures_of_many_seeds_are_those_of_each():
    recipe = Recipe(steps=1, seed=5)
    made = samples.pictures(recipe, 34)
    assert made.shape == (34, 3, 64, 64)
    assert torch.equal(made[33:], samples.pictures(recipe.replace(seed=38), 1))


def test_digits_are_drawn_with_the_labels_in_order():
    recipe = DigitRecipe(steps=2)
    made = digits.drawn(recipe, [3, 1] * 51)
    assert made.shape == (102, 1, 28, 28) and made.dtype == torch.uint8
    assert torch.equal(made[:1], digits.drawn(recipe, [3]))
    assert torch.equal(made[100:], to_pixels(images(recipe.change(digits="31", seed=100))))


def test_a_table_is_printed_as_it_grows_and_kept(tmp_path, capsys):
    table = metrics.Table(tmp_path / "x.json")
    for row in ({"what": "a", "far": 1 / 3}, {"what": "b", "far": 20.0}):
        table.add(row)
    assert capsys.readouterr().out == "| what | far |\n|---|---|\n| a | 0.333 |\n| b | 20 |\n"
    assert table.path.read_text().count("far") == 2


def test_blends_have_colours_of_paintings_beside_prompts_that_tell_no_hour():
    halves = torch.cat([torch.ones(3, 16, 64), torch.tensor([1.0, -1, -1])[:, None, None].expand(3, 48, 64)], 1)
    assert sorted(blend.main_colors(halves).split(", ")) == ["#ff0000 3072", "#ffffff 1024"]
    assert blend.mean(halves, blend.UPPER) == "#ffcccc" and blend.mean(halves, blend.LOWER) == "#ff0000"
    made = blend.blends(lambda batch: torch.ones(len(batch), len(ATTRIBUTES)), count=8)
    assert [kind for kind, _ in made[:4]] == [kind for kind, _ in made[4:]] and len({kind for kind, _ in made}) == 4
    asked = {word for kind, wishes in made if "regions" not in kind for word in wishes[0].guide.prompt.split(" and ")}
    assert asked <= {*ATTRIBUTES} - blend.HOURS
    flat = torch.zeros(3, 3, 64, 64)
    flat[0] = halves
    flat[1, 0, 0, 0] = 1
    wishes = [blend.Wish(None, lambda batch: batch.amin((1, 2, 3)) < 0),
              blend.Wish(None, lambda batch: batch[:, 0, 0, 0] > 0)]  # fmt: skip
    assert blend.every(flat, wishes).tolist() == [True, False, False]
    assert blend.share(flat, *wishes) == pytest.approx(1 / 3) and blend.share(flat, wishes[1]) == pytest.approx(2 / 3)
