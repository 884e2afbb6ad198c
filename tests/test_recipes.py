"""What recipes accept, what they refuse and in which words, and how they travel."""

import json

import pytest
from PIL import Image

from guidance.metadata import KEY, from_json, read_png, save_png, to_json
from guidance.recipes import ColorRecipe, RecipeError

COLOUR = "Colour must be a hex value such as #2080ff, a CSS name such as teal, or rgb(32, 128, 255)."


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("#2080ff", "#2080ff"), ("#FFF", "#ffffff"), (" red ", "#ff0000"), ("RebeccaPurple", "#663399"),
        ("rgb(1, 2, 3)", "#010203"), ("rgba(10.4, 20.6, 30, 1)", "#0a151e"), ("rgba(10, 20, 30, 0.5)", "#0a141e"),
        ("hsl(120, 100%, 50%)", "#00ff00"), ("#11223344", "#112233"),
    ],
)  # fmt: skip
def test_colours_that_are_taken(given, taken):
    assert ColorRecipe(color=given).color == taken


@pytest.mark.parametrize(
    "given",
    ["#12", "$44CCAA", "javascript:x", "", "rgba(300, 0, 0, 1)", "rgb(1, 2)", "rgb(nan, 1, 2)", "#gggggg", None, 7,
     ["red"], "<b>red</b>", "red" * 99, "rgb(1.2.3, 1, 1)"],
)  # fmt: skip
def test_colours_that_are_refused(given):
    with pytest.raises(RecipeError) as error:
        ColorRecipe(color=given)
    assert str(error.value) == COLOUR


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("scale", [-1, "nan", float("nan"), 1e9, "a lot", "", [], True], "Scale must be a number from 0 to 1."),
        ("steps", [0, 10_000, "ten", 2.5, None, float("nan")], "Steps must be a whole number from 1 to 1,000."),
        ("count", [0, 1_000, -3, "1e3"], "Count must be a whole number from 1 to 64."),
        ("seed", [-1, 10**30, 2**32, 1.5, "9" * 400], "Seed must be a whole number from 0 to 4,294,967,295."),
        ("model", ["nothing", "", None, "../none", ["landscapes"], "a/b/c", "a b/c", "javascript:x", "/none"],
         "Model must be landscapes, a model on the Hub such as google/ddpm-cat-256, or a folder."),
        ("method", ["fast", None], "Method must be one of: shortcut, full."),
        ("rule", ["mine", ["course"]], "Rule must be one of: normalized, course."),
        ("loss", ["l2"], "Loss must be one of: tone, pixel, pixel-l1."),
        ("solver", ["euler"], "Solver must be one of: ddim, dpm++, ddpm."),
        ("weight", ["never"], "Weight must be one of: late, constant, early, counter."),
        ("start", [-0.1, "x"], "Start must be a number from 0 to 1."),
        ("text", [None, 7, ["a"], "x" * 1001], "Text must be a text of at most 1,000 characters."),
        ("negative", [None, "x" * 1001], "Negative text must be a text of at most 1,000 characters."),
        ("text_scale", [-1, 51, "nan", None], "Text scale must be a number from 0 to 50."),
    ],
)  # fmt: skip
def test_bad_values_are_refused_in_one_sentence(field, values, message):
    for value in values:
        with pytest.raises(RecipeError) as error:
            ColorRecipe(**{field: value})
        assert str(error.value) == message


def test_values_that_belong_together():
    with pytest.raises(RecipeError, match=r"^Start must not lie after stop\.$"):
        ColorRecipe(start=0.6, stop=0.5)
    with pytest.raises(RecipeError, match=r"^Seed plus count must be a whole number from 0 to 4,294,967,295\.$"):
        ColorRecipe(seed=2**32 - 1, count=2)
    with pytest.raises(RecipeError, match=r"^Scale must be a number from 0 to 10000\.$"):
        ColorRecipe(rule="course", scale=1e9)


def test_numbers_may_come_as_text_or_floats():
    recipe = ColorRecipe(scale="0.25", steps=20.0, seed="7", count="3")
    assert (recipe.scale, recipe.steps, recipe.seed, recipe.count) == (0.25, 20, 7, 3)
    assert isinstance(recipe.steps, int)


def test_a_rule_brings_its_own_scale_loss_and_weight_and_the_course_s_are_the_notebook_s():
    course, ours = ColorRecipe(rule="course"), ColorRecipe()
    assert (course.scale, course.loss, course.weight) == (40, "pixel-l1", "constant")
    assert (0 < ours.scale < 1, ours.loss, ours.weight) == (True, "tone", "late")
    assert ColorRecipe(rule="course", loss="tone", weight="counter", scale=0).weight == "counter"


def test_a_text_is_one_line_and_stays_where_guidance_goes():
    recipe = ColorRecipe(text=" a\x00 red\n\tsea ", negative="night", text_scale=3)
    assert recipe.text == "a red sea"
    bare = recipe.unguided()
    assert (bare.text, bare.negative, bare.text_scale, bare.scale) == ("a red sea", "night", 3, 0)
    assert from_json(to_json(recipe)) == recipe


def test_json_round_trip():
    recipe = ColorRecipe(color="teal", scale=0.3, seed=5, count=2, method="full", start=0.1)
    assert from_json(to_json(recipe)) == recipe


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", '{"kind": "video"}', '{"kind": "color", "strength": 1}', "[" * 100_000, '{"kind": ["x"]}'],
)
def test_json_that_is_no_recipe(text):
    with pytest.raises(RecipeError, match=r"^This is not a recipe that this version understands\.$"):
        from_json(text)


def test_json_with_bad_values_gets_their_sentence():
    with pytest.raises(RecipeError, match="Steps must be"):
        from_json(json.dumps({"kind": "color", "steps": 10**9}))


def test_png_round_trip_and_the_recipe_of_one_picture(tmp_path):
    recipe = ColorRecipe(seed=10, count=4).picture(3)
    assert (recipe.seed, recipe.count) == (13, 1)
    path = save_png(Image.new("RGB", (8, 8), "teal"), tmp_path / "a.png", recipe)
    assert read_png(path) == recipe
    assert json.loads(Image.open(path).text[KEY])["kind"] == "color"


def test_files_without_a_recipe(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    with pytest.raises(RecipeError, match=r"^This picture carries no recipe\.$"):
        read_png(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(RecipeError, match=r"^This file is not a PNG picture that can be read\.$"):
        read_png(tmp_path / "text.png")
    with pytest.raises(RecipeError, match=r"^This file is not a PNG picture that can be read\.$"):
        read_png(tmp_path / "missing.png")
