"""The Blend tab over a fake: cards of every guide, recipes made of them, and what comes back into them."""

import html
import json

import gradio as gr
import pytest

from guidance import guides
from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.guides.prompt import Prompt
from guidance.models import clips
from guidance.recipe import NO_RECIPE, DigitRecipe, Recipe, to_json
from guidance.ui.html import words
from guidance.ui.server.doors import Event
from guidance.ui.tabs import blend
from tests.fake import LISTED
from tests.test_ui import FAKE, KINDS, Request, handlers, recalled, standing, text
from tests.test_words import SAME

ANY = f"Guide must be one of: {', '.join(guides.every())}."
# What blend.js has a control for.
CONTROLS = {"slider", "number", "choice", "switch", "color", "text", "picture", "sketch", "mask", "palette"}
BOTH = [{"guide": "prompt", "preset": "fast"}, {"guide": "color", "color": "teal"}]


def runner():
    """What the Blend tab begins."""
    return handlers("begin")[-2].fn.__self__  # the last is that of fine-tuning


def told(cards: object = BOTH, **changes: object) -> dict:
    """The tab's values, with these cards."""
    return standing(runner(), guides=cards if isinstance(cards, str) else json.dumps(cards), **changes)


def asked(cards: object = BOTH, **changes: object):
    """What the tab asks for."""
    tab = runner()
    return tab.ask(str, {tab.names[control]: value for control, value in told(cards, **changes).items()}).ask


def changed(handler, updates: list) -> dict[str, object]:
    """The values of the tab's controls after a handler's updates, as far as it changes them."""
    def value(update: object) -> object:
        return update.get("value", update) if isinstance(update, dict) else getattr(update, "value", update)

    return {runner().names[control]: value(update)
            for control, update in zip(handler.outputs, updates, strict=True)
            if control in runner().names and update != gr.skip()}  # fmt: skip


@pytest.mark.parametrize("kind", guides.every().values())
def test_a_card_says_all_of_its_guide_that_the_browser_needs(kind):
    card = json.loads(json.dumps(blend.card(kind)))
    fields = {field["name"]: field for field in card["fields"]}
    assert set(fields) == set(kind.model_fields)
    assert {field["control"] for field in fields.values()} <= CONTROLS
    for value, defaults in card["defaults"].items():
        assert kind(**defaults) == kind(**{kind.leading: value} if value else {})
    assert set(card["led"]) <= set(fields)
    assert fields["scale"]["control"] == "slider"
    for field in fields.values():
        assert field["control"] != "choice" or field["options"]
        assert field["control"] != "slider" or field["low"] < field["end"] <= field["high"]
        for said in (card["label"], card["about"], field["title"], field["help"], *dict(field["options"]).values()):
            assert said in {*words.CHINESE, *SAME}  # the browser knows no patterns


def test_every_guide_has_a_card_and_nothing_in_it_ends_the_script_that_it_stands_in(monkeypatch):
    assert [card["guide"] for card in json.loads(blend.schema())] == list(guides.every())
    monkeypatch.setattr(Color, "about", "</script>")
    assert "</script>" not in blend.schema()
    assert "</script>" in json.loads(blend.schema())[0]["about"]


def test_cards_make_a_recipe_whose_open_fields_come_from_their_guides():
    recipe = asked(seed=7, count=2).recipe
    assert recipe == Recipe(guides=Prompt(preset="fast") + Color("teal"), seed=7, count=2)
    assert (recipe.solver, recipe.steps) == ("dpm++", 12)


def test_a_sampler_of_ones_own_is_taken_only_where_it_is_asked_for():
    told = {"solver": "ddpm", "steps": 9, "travel": 2, "eta": 0.5, "candidates": 2}
    assert asked(**told).recipe.steps == 12
    recipe = asked(own=True, **told).recipe
    assert {name: getattr(recipe, name) for name in told} == told


def test_cards_that_are_off_are_left_out():
    recipe = asked([BOTH[0] | {"off": True}, BOTH[1], {"guide": "brightness", "level": 0.9, "off": False}]).recipe
    assert recipe.guides == (Color("teal"), Brightness(0.9))


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ([], "Add something to blend first."),
        ([BOTH[0] | {"off": True}], "Add something to blend first."),
        ("", NO_RECIPE),
        ("{", NO_RECIPE),
        ("null", NO_RECIPE),
        ('"text"', NO_RECIPE),
        ("7", NO_RECIPE),
        ("[" * 100_000, NO_RECIPE),
        ({"guide": "color"}, NO_RECIPE),
        ([["color"]], NO_RECIPE),
        ([None], NO_RECIPE),
        ([{}], NO_RECIPE),
        ([{"guide": None}], ANY),
        ([{"guide": ["color"]}], ANY),
        ([{"guide": "loss"}], ANY),
        ([{"guide": "color"}] * 100, "A recipe has at most 16 guides."),
        ([{"guide": "color", "scale": 2}], "Scale must be a number from 0 to 1."),
        ([{"guide": "color", "scale": {"a": 1}}], "Scale must be a number from 0 to 1."),
        ([{"guide": "color", "color": 7}], "Colour must be a hex value such as #2080ff, a CSS name such as teal, or "
                                           "rgb(32, 128, 255)."),
        ([{"guide": "digits", "digits": "1" * 50}], "Pictures must be a whole number from 1 to 100."),
        ([{"guide": "digits"}, {"guide": "digits"}], "Only one guide of a recipe may say which class is drawn."),
    ],
)  # fmt: skip
def test_what_is_no_blend_is_answered_by_a_sentence_before_any_work(cards, expected):
    before = len(FAKE.asked)
    key, status, *_ = runner().begin(told(cards), Request())
    assert (key, html.unescape(text(status))) == ("", expected)
    assert len(FAKE.asked) == before


@pytest.mark.parametrize("name", ["self", "values", "nonsense", "guides", "__class__", ""])
def test_a_field_that_a_guide_does_not_have_is_named_none_of_its_own(name):
    _, status, *_ = runner().begin(told([{"guide": "color", name: 1}]), Request())
    assert text(status).startswith("Color has no field of that name: it has color, loss, ")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": "/etc"}, LISTED),
        ({"count": 17}, "Count must be a whole number from 1 to 16."),
        ({"steps": 251, "own": True}, "Steps must be a whole number from 1 to 250."),
        ({"seed": [1]}, "Seed must be a whole number from 0 to 4,294,967,295."),
        ({"text": {"a": 1}}, "Text must be a text of at most 1,000 characters."),
        ({"guides": None}, NO_RECIPE),
        ({"guides": [BOTH]}, NO_RECIPE),
    ],
)
def test_so_are_the_other_controls(changes, expected):
    _, status, *_ = runner().begin(standing(runner(), **{"guides": json.dumps(BOTH)} | changes), Request())
    assert text(status) == expected


def test_a_blend_stands_beside_the_unguided_pictures_or_those_without_one_guide_each():
    ask = asked()
    assert ask.variants == {"Unguided": ask.recipe.unguided(), "Together": ask.recipe}
    cards = [*BOTH, {"guide": "color", "color": "gold"}]
    ask = asked(cards, compare="without")
    prompt, teal, gold = ask.recipe.guides
    assert {label: recipe.guides for label, recipe in ask.variants.items()} == {
        "Without Prompt": (teal, gold), "Without Colour (1)": (prompt, gold), "Without Colour (2)": (prompt, teal),
        "Together": (prompt, teal, gold),
    }  # fmt: skip
    assert {(recipe.seed, recipe.steps, recipe.solver) for recipe in ask.variants.values()} == {(0, 12, "dpm++")}


def test_what_is_drawn_is_never_left_out():
    ask = asked([{"guide": "digits", "digits": "42"}, {"guide": "brightness"}], compare="without")
    assert ask.recipe.model == "digits"
    assert list(ask.variants) == ["Without Brightness", "Together"]
    assert {len(recipe.seeds) for recipe in ask.variants.values()} == {8}


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(guides=Prompt("snow", preset="quality", scale=0.2) + Color("teal", stop=0.5) + Color("gold"), seed=3),
        Recipe(guides=Color() + Brightness(), steps=7, solver="ddpm", travel=1, count=3, text="a", batched=True),
        DigitRecipe(digits="42").replace(guides=DigitRecipe(digits="42").guides + (Brightness(),)),
        Recipe(guides=(Color(),), eta=0.5),  # the Colour tab has no control for that
    ],
)
def test_a_recipe_that_no_other_tab_says_all_of_comes_back_into_cards(recipe):
    (dropped,) = handlers("dropped")
    updates = dropped.fn(Event(None, {"recipes": json.dumps([to_json(recipe)])}), Request())
    assert updates[1].selected == "blend"
    values = changed(dropped, updates)
    assert set(values) == {"guides", "own", *blend.REST}
    assert asked(values.pop("guides"), **values).recipe == recipe
    own = recipe.replace(**dict.fromkeys(blend.SAMPLER)) != recipe
    assert changed(dropped, updates)["own"] is own


def test_what_a_visitor_left_comes_back_with_the_cards_that_are_off_or_half_typed():
    cards = json.dumps([{"guide": "color", "off": True}, {"guide": "prompt", "prompt": ""}])
    left = {"kind": "blend", "guides": cards, "own": True, "steps": 9, "seed": 5, "model": "landscapes"}
    spread, updates = recalled([json.dumps(left)])
    values = changed(spread, updates)
    assert updates[0]["selected"] == "blend"
    assert (values["guides"], values["own"], values["steps"], values["seed"]) == (cards, True, 9, 5)


@pytest.mark.parametrize("wrong", [{"steps": "many"}, {"steps": [1]}, {"guides": [1]}, {"model": {}}, {"own": 3}])
def test_nonsense_that_was_left_here_keeps_no_other_tab_from_coming_back(wrong):
    texts = [json.dumps({"kind": "blend", "guides": "[]"} | wrong), to_json(DigitRecipe(digits="7"))]
    spread, updates = recalled(texts)
    assert updates[0]["selected"] == "digits"
    assert changed(spread, updates).get("guides", "[]") == "[]"


def test_a_tab_adds_its_guide_to_the_cards():
    join = handlers("joined")[0]
    tab = next(fn for fn in handlers("begin") if fn.fn.__self__.names.get(join.inputs[1]) == "color").fn.__self__
    given = [{"color": "teal", "scale": 0.4}.get(tab.names[control], control.value) for control in join.inputs[1:]]
    cards, tabs, status = join.fn(Request(), json.dumps(BOTH), *given)
    assert (tabs.selected, status) == ("blend", gr.skip())
    assert asked(cards).recipe.guides == (Prompt(preset="fast"), Color("teal"), Color("teal", scale=0.4))
    given[0] = "no colour"
    for before, values, expected in [("[]", given, "Colour must be"), ("[", [], "Something went wrong")]:
        cards, tabs, status = join.fn(Request(), before, *values)
        assert (cards, tabs) == (gr.skip(), gr.skip())
        assert text(status).startswith(expected)


@pytest.mark.parametrize("place", range(len(KINDS)))
def test_what_a_tab_adds_is_its_guide_as_it_stands(place):
    join, tab = handlers("joined")[place], handlers("begin")[place].fn.__self__
    cards, tabs, _ = join.fn(Request(), "[]", *(control.value for control in join.inputs[1:]))
    assert asked(cards).recipe.guides == tab.ask(str, {tab.names[c]: c.value for c in tab.names}).ask.recipe.guides


def test_every_example_is_a_blend_that_its_cards_say():
    example = handlers("example")[-1]
    for index, cards in enumerate(blend.EXAMPLES.values()):
        values = changed(example, example.fn(Event(None, {"index": index})))
        recipe = asked(values.pop("guides"), **values).recipe
        assert recipe.guides == tuple(guides.find(card["guide"])(**{k: v for k, v in card.items() if k != "guide"})
                                      for card in cards)  # fmt: skip
        assert recipe == recipe.replace(**dict.fromkeys(blend.SAMPLER))
        said = [guide.prompt for guide in recipe.guides if guide.name == "prompt"]
        assert not any(map(clips.get("landscapes").notes, said))  # it knows every word
