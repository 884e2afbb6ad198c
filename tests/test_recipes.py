"""What recipes accept, what they refuse and in which words, and how they travel."""

import json
import pickle

import pytest
from PIL import Image

from guidance import guides
from guidance.fields import RecipeError
from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.guides.digits import Digits
from guidance.guides.prompt import Prompt
from guidance.recipe import (
    KEY,
    NO_RECIPE,
    ClipRecipe,
    ColorRecipe,
    DigitRecipe,
    Recipe,
    form,
    from_flat,
    from_json,
    read_png,
    save_png,
    to_flat,
    to_json,
)

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
        ("steps", [0, 10_000, "ten", 2.5, "", float("nan")], "Steps must be a whole number from 1 to 1,000."),
        ("count", [0, 1_000, -3, "1e3"], "Count must be a whole number from 1 to 64."),
        ("seed", [-1, 10**30, 2**32, 1.5, "9" * 400], "Seed must be a whole number from 0 to 4,294,967,295."),
        ("model", ["nothing", "", 7, "../none", ["landscapes"], "a/b/c", "a b/c", "javascript:x", "/none"],
         "Model must be landscapes, a model on the Hub such as google/ddpm-cat-256, or a folder."),
        ("method", ["fast", "", 7], "Method must be one of: shortcut, full."),
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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"eta": 1.5}, "Eta must be a number from 0 to 1."),
        ({"travel": 11}, "Travel must be a whole number from 0 to 10."),
        ({"candidates": 17}, "Candidates must be a whole number from 1 to 16."),
        ({"candidates": 16, "count": 17}, "Pictures times candidates must be a whole number from 1 to 256."),
        ({"travel": 1, "solver": "dpm++"},
         "Time travel needs the solver ddim or ddpm: DPM-Solver++ remembers its last step."),
        ({"guides": (Digits("1"), Digits("2"))}, "Only one guide of a recipe may say which class is drawn."),
        ({"strength": 1}, "Recipe has no field of that name: it has guides, model, text, negative, text_scale, solver, "
         "eta, travel, candidates, steps, seed, count, batched, size, tries, weights."),
    ],
)  # fmt: skip
def test_what_any_recipe_refuses(fields, message):
    with pytest.raises(RecipeError) as error:
        Recipe(**fields)
    assert str(error.value) == message


def test_what_is_refused_is_not_echoed():
    marked = "<b>x"
    for make in (
        lambda: Color(marked), lambda: Color(**{marked: 1}), lambda: Recipe(**{marked: 1}),
        lambda: Recipe(guides=marked),
        lambda: Recipe(guides=[marked]), lambda: ColorRecipe(**{marked: 1}), lambda: Prompt(clip=marked),
        lambda: Digits(marked), lambda: Brightness(marked), lambda: Recipe(model=marked), lambda: Recipe(seed=marked),
        lambda: from_json(json.dumps({"guides": [{"guide": marked}]})),
        lambda: from_json(json.dumps({"guides": [{"guide": "color", marked: 1}]})),
        lambda: guides.parse(f"{marked}:1"), lambda: guides.parse(f"color:{marked}, scale={marked}"),
    ):  # fmt: skip
        with pytest.raises(RecipeError) as error:
            make()
        assert marked not in str(error.value) and error.value.__cause__ is None


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


@pytest.mark.parametrize("make", [ColorRecipe, ClipRecipe, DigitRecipe, Recipe])
def test_nothing_given_means_by_default(make):
    recipe = make()
    left = ["model", "solver", "eta", "travel", "candidates", "tries", "steps", "start", "stop", "scale", "method",
            "rule", "weight", "loss", "cuts"]  # fmt: skip
    names = form(type(recipe.guides[0])) if recipe.guides else Recipe.model_fields
    assert make(**{name: None for name in left if name in names}) == recipe
    assert not any(value is None for part in (recipe, *recipe.guides) for _, value in part)


def test_a_text_is_one_line_and_stays_where_guidance_goes():
    recipe = ColorRecipe(text=" a\x00 red\n\tsea ", negative="night", text_scale=3)
    assert recipe.text == "a red sea"
    bare = recipe.unguided()
    assert (bare.text, bare.negative, bare.text_scale, bare.guides) == ("a red sea", "night", 3, ())
    assert from_json(to_json(recipe)) == recipe


def test_unguided_are_the_same_pictures_and_nothing_that_only_guidance_uses():
    recipe = ClipRecipe(preset="quality", travel=2, candidates=3, solver="ddpm", seed=4, count=2, weights="0123456789")
    assert recipe.guided and not recipe.unguided().guided and not recipe.change(scale=0).guided
    assert recipe.unguided() == Recipe(solver="ddpm", steps=40, seed=4, count=2)
    several = Recipe(guides=Color() + Digits("12"), seed=4, count=3)
    assert several.unguided().seeds == several.seeds == [4, 5, 6, 7, 8, 9]


def test_recipes_are_values():
    recipe = Recipe(guides=Color("teal") + Brightness(0.2), seed=3)
    assert recipe == Recipe(guides=[Color("teal"), Brightness(0.2)], seed=3) and hash(recipe) == hash(recipe.replace())
    assert recipe != recipe.replace(seed=4) and recipe.replace(seed=4).guides == recipe.guides
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    for thing, name in ((recipe, "seed"), (recipe.guides[0], "scale")):
        with pytest.raises(ValueError, match="frozen"):
            setattr(thing, name, 1)


def test_the_fields_of_the_only_guide_are_the_recipe_s_too_and_those_of_several_are_not():
    recipe = ColorRecipe(color="teal")
    assert (recipe.color, recipe.scale, recipe.slug) == ("#008080", 0.2, "guidance-008080-0")
    for made, name in ((Recipe(), "color"), (Recipe(guides=Color() + Brightness()), "scale"), (recipe, "prompt")):
        with pytest.raises(AttributeError):
            getattr(made, name)
    assert Recipe(guides=Color("teal") + Prompt("A lake, at dusk!")).slug == "guidance-008080-a-lake-at-dusk-0"
    assert Recipe(guides=Color("teal") * 0 + Brightness(), seed=7).slug == "guidance-brightness-7"
    assert Recipe(guides=Color("teal") * 0 + ()).slug == Recipe().slug == "guidance-unguided-0"
    assert DigitRecipe(digits="2026", seed=3).slug == "digits-2026-3"


def test_a_change_reaches_the_recipe_and_its_only_guide_and_what_leads_brings_its_own():
    assert ColorRecipe(seed=3).change(color="teal", steps=5) == ColorRecipe(seed=3, color="teal", steps=5)
    assert ClipRecipe(preset="quality", prompt="a", seed=1).change(preset="fast") == ClipRecipe(prompt="a", seed=1)
    assert ClipRecipe(cuts=7).change(preset="quality", steps=3) == ClipRecipe(preset="quality", steps=3)
    assert ClipRecipe(cuts=7, travel=3).change(scale=0.2) == ClipRecipe(cuts=7, travel=3, scale=0.2)
    assert ColorRecipe(weight="early").change(rule="course") == ColorRecipe(rule="course")
    assert ColorRecipe(rule="course").change(rule="normalized", scale=0.2) == ColorRecipe(scale=0.2)
    assert DigitRecipe(scale=3).change(guidance="classifier") == DigitRecipe(guidance="classifier")
    several = Recipe(guides=Color() + Brightness())
    assert several.change(seed=9) == several.replace(seed=9)
    with pytest.raises(RecipeError, match="^Color has no field of that name: it has color, "):
        ColorRecipe().change(strength=1)
    with pytest.raises(RecipeError, match="^Scale must be"):
        ColorRecipe().change(scale=-1)


def test_guides_add_up_and_are_weakened():
    teal, light = Color("teal", scale=0.4), Brightness(0.9, scale=0.2)
    both = teal + light
    assert [*both] == [teal, light] and [*(both + teal)] == [teal, light, teal] and [*(teal + [light])] == [*both]
    assert [guide.scale for guide in 0.5 * both] == [guide.scale for guide in both * 0.5] == [0.2, 0.1]
    assert [guide.scale for guide in (teal * 0.5, 0 * teal)] == [0.2, 0]
    assert Recipe(guides=both).guides == (teal, light)
    with pytest.raises(RecipeError, match=r"^Scale must be a number from 0 to 1\.$"):
        teal * 3


def test_the_first_fields_of_a_guide_go_by_position():
    assert (Brightness(0.2).level, Color("teal", "pixel").loss, Prompt("snow").prompt) == (0.2, "pixel", "snow")
    with pytest.raises(TypeError, match="Brightness takes at most 9 values"):
        Brightness(*range(10))


def test_several_guides_bring_what_none_is_told_and_the_one_that_is_told_the_class_its_model():
    recipe = Recipe(guides=Color() + Prompt(preset="quality"))
    assert (recipe.model, recipe.solver, recipe.steps, recipe.eta) == ("landscapes", "dpm++", 20, 0)
    for guides_ in (Digits("12") + Color(), Color() + Digits("12")):
        recipe = Recipe(guides=guides_)
        assert (recipe.model, recipe.solver, recipe.steps) == ("digits", "dpm++", 15)
    recipe = Recipe(guides=Prompt() + Digits("12"))
    assert (recipe.solver, recipe.steps, recipe.travel) == ("dpm++", 15, 0)  # of the one that needs more steps
    assert [guide.digits for k in range(4) for guide in recipe.replace(count=2).picture(k).guides[1:]] == [*"1212"]


@pytest.mark.parametrize(
    ("words", "guide"),
    [
        ("brightness:0.8", Brightness(0.8)), ("brightness", Brightness()), ("color: rgb(1, 2, 3)", Color("#010203")),
        ("prompt:a lake, at dusk, scale=0.1 ,cuts = 3", Prompt("a lake, at dusk", scale=0.1, cuts=3)),
        ("clip:snow:1 | clouds:-0.5", Prompt("snow:1 | clouds:-0.5")), ("color:scale=0.1", Color(scale=0.1)),
        ("digits:2026, guidance=classifier", Digits("2026", guidance="classifier")),
    ],
)  # fmt: skip
def test_a_guide_in_a_line(words, guide):
    assert guides.parse(words) == guide


@pytest.mark.parametrize("words", ["", ":", "hue:1", "colour", "base:1", "lossguide", "__init__"])
def test_a_line_that_names_no_guide(words):
    with pytest.raises(RecipeError) as error:
        guides.parse(words)
    assert str(error.value) == f"Guide must be one of: {', '.join(guides.every())}."


def test_guides_are_found_in_their_order_by_today_s_names_and_former_ones():
    assert list(guides.every())[:4] == ["color", "prompt", "digits", "brightness"]
    assert guides.find("clip") is guides.find("prompt") is Prompt
    assert [guides.endpoint(kind) for kind in (Color, Prompt, Brightness)] == ["color", "clip", "brightness"]


@pytest.mark.parametrize("recipe", [
    ColorRecipe(color="teal", scale=0.3, seed=5, count=2, method="full", start=0.1), ClipRecipe(preset="course"),
    DigitRecipe(digits="2026", guidance="classifier"), Recipe(), Recipe(weights="0123456789ab"),
    Recipe(guides=Color("teal") + Prompt("雪山 | 🌙:0.5", scale=0.1) + Brightness(0.3), travel=2, solver="ddpm"),
])  # fmt: skip
def test_json_round_trip(recipe):
    assert from_json(to_json(recipe)) == recipe
    assert [guide["guide"] for guide in json.loads(to_json(recipe))["guides"]] == [part.name for part in recipe.guides]


def test_what_an_older_version_did_not_write_is_as_it_was_then():
    values = json.loads(to_json(ClipRecipe()))
    (guide,) = values["guides"]
    older = {name: value for name, value in guide.items() if name not in ("detail", "view", "where", "mask")}
    assert ClipRecipe().detail == 4 and from_json(json.dumps(values)) == ClipRecipe()
    then = from_json(json.dumps(values | {"guides": [older]}))
    assert (then.detail, then.view) == (1, "region")
    typed = json.dumps({"guides": [{"guide": "prompt", "prompt": "snow"}]})
    assert from_json(typed).detail == ClipRecipe().detail


@pytest.mark.parametrize("recipe", [ColorRecipe(seed=3), ClipRecipe(preset="quality"), DigitRecipe(digits="7")])
def test_the_flat_form_holds_all_of_a_recipe_with_one_guide(recipe):
    (guide,) = recipe.guides
    flat = to_flat(recipe)
    assert tuple(flat) == form(type(guide)) and from_flat(type(guide), flat) == recipe
    written = {"kind": guides.endpoint(type(guide))} | flat
    assert from_json(json.dumps(written)) == recipe  # in the form of version 0.1
    bare = to_flat(recipe.replace(guides=()), type(guide))
    assert set(bare) == set(flat) and bare["scale"] == 0


@pytest.mark.parametrize("text", [
    "", "{}", "[]", "null", "7", '{"kind": "video"}', '{"kind": "color", "strength": 1}', "[" * 100_000,
    '{"kind": ["x"]}', '{"kind": "color", "travel": 1}', '{"kind": "digits", "model": "landscapes"}',
    '{"kind": "color", "guides": []}', '{"guides": "color"}', '{"guides": [7]}', '{"guides": [{}]}', '{"guides": null}',
    '{"guides": {"guide": "color"}}', '{"guides": [], "strength": 1}', '{"seed": 3}',
])  # fmt: skip
def test_json_that_is_no_recipe(text):
    with pytest.raises(RecipeError) as error:
        from_json(text)
    assert str(error.value) == NO_RECIPE == "This is not a recipe that this version understands."


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"kind": "color", "steps": 10**9}, "Steps must be a whole number from 1 to 1,000."),
        ({"guides": [], "steps": {"a": 1}}, "Steps must be a whole number from 1 to 1,000."),
        ({"guides": [], "solver": ["ddim"]}, "Solver must be one of: ddim, dpm++, ddpm."),
        ({"guides": [{"guide": "color", "rule": {"a": 1}}]}, "Rule must be one of: normalized, course."),
        ({"guides": [{"guide": "prompt", "preset": ["fast"]}]}, "Preset must be one of: fast, live, quality, course."),
        ({"guides": [{"guide": "digits", "guidance": {}}]},
         "Guidance must be one of: classifier-free, classifier, blind-classifier, none."),
        ({"guides": [{"guide": "color", "scale": 5}]}, "Scale must be a number from 0 to 1."),
        ({"guides": [{"guide": "color", "strength": 1}]},
         "Color has no field of that name: it has color, loss, start, stop, rule, scale, method, weight, where, mask."),
        ({"guides": [{"guide": "video"}]}, f"Guide must be one of: {', '.join(guides.every())}."),
    ],
)  # fmt: skip
def test_json_with_bad_values_gets_their_sentence(values, sentence):
    with pytest.raises(RecipeError) as error:
        from_json(json.dumps(values))
    assert str(error.value) == sentence


def test_png_round_trip_and_the_recipe_of_one_picture(tmp_path):
    recipe = ColorRecipe(seed=10, count=4).picture(3)
    assert (recipe.seed, recipe.count) == (13, 1)
    path = save_png(Image.new("RGB", (8, 8), "teal"), tmp_path / "a.png", recipe)
    assert read_png(path) == recipe
    values = json.loads(Image.open(path).text[KEY])
    assert values["guides"][0]["guide"] == "color" and values["seed"] == 13


def test_files_without_a_recipe(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    with pytest.raises(RecipeError, match=r"^This picture carries no recipe\.$"):
        read_png(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(RecipeError, match=r"^This file is not a PNG picture that can be read\.$"):
        read_png(tmp_path / "text.png")
    with pytest.raises(RecipeError, match=r"^There is no file of that name\.$"):
        read_png(tmp_path / "missing.png")
