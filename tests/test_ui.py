"""The page over a fake: what a run shows, what it says when it cannot go on, and how the page is wired."""

import asyncio
import base64
import html
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from guidance import cielab, guides, settings
from guidance.fields import RecipeError, choices, look
from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.recipe import ClipRecipe, ColorRecipe, DigitRecipe, Recipe, form, from_flat, read_png, to_flat, to_json
from guidance.ui import page
from guidance.ui.html import pictures, words
from guidance.ui.runs import painting
from guidance.ui.runs.runner import Runner
from guidance.ui.runs.task import WENT_WRONG
from guidance.ui.server.doors import Event
from guidance.ui.tabs import color, controls, digits, prompt
from guidance.ui.tabs.guide import COUNT, PAINTED, beside
from tests.fake import LISTED, PAGE, WRONG, Fake

ROOT = Path(__file__).parent.parent
KINDS = [kind for kind in guides.every().values() if kind.alone]  # those with a tab
FAKE = Fake()


@lru_cache(1)
def built() -> gr.Blocks:
    """The page over a fake."""
    return page.build(FAKE)


def said(kind: type) -> list[str]:
    """The fields of a guide's form that its tab has controls for."""
    return [name for name in form(kind) if look(kind.model_fields.get(name)).get("control") not in PAINTED]


def handlers(name: str) -> list:
    """The page's functions of a name, in the order of its tabs."""
    return [fn for fn in built().fns.values() if fn.name == name]


def recalled(texts: list[str]) -> tuple[object, list]:
    """What a page that is loaded sets for what a visitor left: the event that sets it, and the updates."""
    (handler,), (spread,) = handlers("recalled"), [fn for fn in built().fns.values() if "JSON.parse(text" in str(fn.js)]
    return spread, json.loads(handler.fn(json.dumps(texts)))


def runner(kind: type) -> Runner:
    """What the tab of a guide begins."""
    return handlers("begin")[KINDS.index(kind)].fn.__self__


def standing(runner: Runner, **changes: object) -> dict:
    """The values of a tab's controls as they stand, with some changed, by control."""
    assert not set(changes) - set(runner.names.values())
    return {control: changes.get(name, control.value) for control, name in runner.names.items()}


def asked(kind: type = Color, **changes: object) -> painting.Ask:
    """What a tab asks for."""
    tab = runner(kind)
    return tab.ask(str, {tab.names[control]: value for control, value in standing(tab, **changes).items()}).ask


def painted(compute: Fake, keep: bool = True, say=str, count: int = 2, **changes) -> Iterator[dict[str, str]]:
    """What a run of the Colour tab shows, step by step."""
    ask = asked(count=count, **changes)
    return iter(painting.Painting(compute, color.render, ask, painting.Finished(), say, keep))


def handle(compute: Fake, *given, **changes) -> dict[str, str]:
    """All that a run shows in the end."""
    return ended(painted(compute, *given, **changes))


def ended(shown: Iterable[dict[str, str]]) -> dict[str, str]:
    """What is shown at each place in the end."""
    return {place: text for change in shown for place, text in change.items()}


def text(status: str) -> str:
    """The sentence in a status line."""
    return re.search(r"<p>(.*?)</p>", status)[1]


def files(view: str, folder: Path) -> dict[str, Path]:
    """The PNGs that a view offers, by name."""
    found = {}
    for shot in view.split('class="g-shot"')[1:]:
        data, name = re.search(r'src="data:image/png;base64,([^"]+)".*?data-save="([^"]+)"', shot, re.DOTALL).groups()
        found[name] = folder / name
        found[name].write_bytes(base64.b64decode(data))
    return found


def test_a_run_shows_previews_and_then_pictures_that_carry_their_recipe(tmp_path):
    previews = [shown for shown in painted(Fake(), color="teal", steps=3, seed=7) if "view" in shown]
    assert 'data-state="preview"' in previews[0]["view"]
    assert "Step 1 of 3" in previews[0]["status"]
    shown = handle(Fake(weights="0123456789ab"), color="teal", steps=3, seed=7)
    assert 'data-state="final"' in shown["view"]
    assert text(shown["status"]).startswith("Done: 2 pictures in 3 steps")
    recipe = ColorRecipe(color="teal", steps=3, seed=7, count=2).replace(weights="0123456789ab")
    assert json.loads(shown["recipe"]) == json.loads(to_json(recipe))
    assert json.loads(shown["recipe"])["guides"][0]["color"] == "#008080"
    plain = recipe.unguided().replace(weights="0123456789ab")
    assert {name: read_png(path) for name, path in files(shown["view"], tmp_path).items()} == {
        "guidance-008080-7.png": recipe.picture(0),
        "guidance-008080-8.png": recipe.picture(1),
        "guidance-unguided-7.png": plain.picture(0),
        "guidance-unguided-8.png": plain.picture(1),
    }


@pytest.mark.parametrize(
    ("changes", "number"),
    [({}, 4), ({"compare": "grid", "x": "scale", "xs": "0.2; 0.5", "y": "seed", "ys": "1"}, 2 + 1)],  # the whole grid
)
def test_each_picture_is_in_the_page_once_with_a_button_that_saves_it(changes, number):
    view = handle(Fake(), steps=1, **changes)["view"]
    assert view.count("data:image/png") == view.count("data-save=") == number
    assert "<a " not in view


def test_recipes_stay_out_of_the_pngs_when_they_are_switched_off(tmp_path):
    offered = files(handle(Fake(), False, steps=2)["view"], tmp_path)
    assert len(offered) == 4
    for path in offered.values():
        with pytest.raises(RecipeError, match=r"^This picture carries no recipe\.$"):
            read_png(path)


def test_unguided_pictures_are_computed_once_for_all_colours_and_strengths(tmp_path):
    compute, cache = Fake(weights="0123456789ab"), painting.Finished()
    recipe = ColorRecipe(steps=2, count=3)
    guided = []

    def paint(recipe: Recipe) -> str:
        ask = painting.Ask(recipe, beside(recipe, "unguided"))
        return ended(painting.Painting(compute, color.render, ask, cache))["view"]

    others = {"color": "red", "rule": "course", "method": "full", "start": 0.5, "solver": "dpm++"}
    for same in (recipe, ColorRecipe(steps=2, count=2, seed=1, **others)):
        view = paint(same)
        guided.append([request.guided for request in compute.asked])
    assert guided == [[True, False], [True, False, True]]
    # What was painted before still says with which weights.
    assert {read_png(path).weights for path in files(view, tmp_path).values()} == {"0123456789ab"}
    for other in (ColorRecipe(steps=3), ColorRecipe(steps=2, solver="ddim"), ColorRecipe(steps=2, seed=3)):
        before = len(compute.asked)
        paint(other)
        assert len(compute.asked) == before + 2


def test_old_unguided_pictures_are_let_go():
    cache = painting.Finished(size=2)
    for seed in range(3):
        cache.put(ColorRecipe(seed=seed), [Image.new("RGB", (1, 1))], [{"lake": 0.5}], "0123456789ab")
    assert [cache.get(ColorRecipe(seed=seed)) is None for seed in range(3)] == [True, False, False]
    (image,), seen, weights = cache.get(ColorRecipe(seed=2))
    assert (image.size, seen, weights) == ((1, 1), [{"lake": 0.5}], "0123456789ab")


def test_a_scale_of_zero_runs_once():
    compute = Fake()
    handle(compute, scale=0, steps=2)
    assert [recipe.scale for recipe in compute.asked] == [0]


def test_variants_of_unequal_length_all_come_to_their_end():
    compute, recipe = Fake(), ColorRecipe(steps=2)
    longer = ColorRecipe(steps=5, color="red")
    ask = painting.Ask(recipe, {"Short": recipe, "Long": longer})
    shown = ended(painting.Painting(compute, color.render, ask, painting.Finished()))
    assert set(compute.over) == {recipe, longer}
    assert "Done: 1 picture in 5 steps" in shown["status"]
    assert shown["view"].count("g-picture") == 2


def test_closing_a_run_closes_both_and_says_where_it_stopped():
    compute = Fake()
    run = painting.Painting(compute, color.render, asked(steps=50), painting.Finished())
    steps = iter(run)
    while "view" not in next(steps):
        pass
    steps.close()
    assert len(compute.asked) == len(compute.over) == 2
    assert text(run.end(True)["status"]) == "Stopped at step 1 of 50."
    assert text(run.end(False)["status"]) == "The run did not begin."


def test_the_step_viewer_holds_every_step():
    shown = handle(Fake(), steps=7)["film"]
    assert "--n:7;--i:6" in shown
    says = json.loads(html.unescape(re.search(r'data-says="(.*?)"', shown)[1]))
    assert [row.split(",")[0] for row in says] == [f"Step {k} of 7" for k in range(1, 8)]
    strip = base64.b64decode(re.search(r"url\(data:image/webp;base64,([^)]+)\)", shown)[1])
    assert Image.open(io.BytesIO(strip)).size == (7 * 8, 3 * 8)
    assert "--n:50;--i:49" in handle(Fake(), steps=120)["film"]


class Request:
    """A visitor's request, as far as a run looks at it."""

    def __init__(self, language: str = "en"):
        self.headers = {"accept-language": language}


@pytest.mark.parametrize(("values", "expected"), WRONG)
def test_bad_input_is_answered_by_a_sentence_before_any_work(values, expected):
    before, tab = len(FAKE.asked), runner(Color)
    key, status, *buttons = tab.begin(standing(tab, **values), Request())
    assert html.unescape(text(status)) == expected.format(**PAGE)
    assert 'data-state="error"' in status
    assert (key, buttons) == ("", [gr.skip()] * 2)
    assert len(FAKE.asked) == before


def test_a_key_that_is_none_changes_nothing_on_the_page():
    async def follow() -> list:
        return [update async for update in runner(Color).follow("")]

    (update,) = asyncio.run(follow())
    assert update[:4] == (gr.skip(),) * 4
    assert [button.interactive for button in update[4:]] == [True, False]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (Color, {"steps": 251}, "Steps must be a whole number from 1 to 250."),
        (Color, {"count": 17}, "Count must be a whole number from 1 to 16."),
        (Brightness, {"count": 17}, "Count must be a whole number from 1 to 16."),
        (guides.find("digits"), {"count": 11}, "Rounds must be a whole number from 1 to 10."),
        (guides.find("digits"), {"count": 10, "digits": "1" * 11}, "Digits times rounds must be a whole number from 1 "
                                                                   "to 100."),
    ],
)  # fmt: skip
def test_the_page_has_narrower_limits_than_recipes(kind, values, expected):
    from_flat(kind, values)
    with pytest.raises(RecipeError) as error:
        asked(kind, **values)
    assert str(error.value) == expected


@pytest.mark.parametrize(("given", "taken"), [("red", "#ff0000"), ("rgba(10, 20, 30, 1)", "#0a141e")])
def test_colours_are_taken_as_people_and_pickers_write_them(given, taken):
    assert json.loads(handle(Fake(), color=given, steps=1)["recipe"])["guides"][0]["color"] == taken


def test_errors_of_ours_are_logged_and_not_shown(caplog):
    shown = list(painted(Fake(fail_at=2, error=ZeroDivisionError("/secret/path")), steps=3))
    assert text(shown[-1]["status"]) == WENT_WRONG
    assert set(shown[-1]) == {"status"}  # the last preview stays
    assert "/secret/path" in caplog.text


def test_guidance_that_blows_up_says_so():
    from guidance.sampling.guides import GuidanceError

    shown = handle(Fake(fail_at=2, error=GuidanceError("Lower the <scale>.")), steps=3)
    assert text(shown["status"]) == "Lower the &lt;scale&gt;."


def test_a_run_speaks_chinese_to_who_asks_for_it():
    shown = handle(Fake(), say=words.speaker(Request("zh-CN,zh;q=0.9")), steps=2)
    assert text(shown["status"]).startswith("完成：2 张，2 步")
    assert "使用此种子" in shown["view"]
    tab = runner(Color)
    _, status, *_ = tab.begin(standing(tab, steps=0), Request("zh-TW"))
    assert text(status) == "步数必须是 1 到 250 的整数。"


def test_a_status_line_escapes_its_text():
    assert "<script>" not in pictures.status("error", "<script>")


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("#ffffff", "#000000", 100),
        ("#ff0000", "#ff0000", 0),
        ("#ff0000", "#00ff00", 170.6),
        ("#0000ff", "#808080", 135.5),
    ],
)
def test_delta_e_is_the_distance_in_cielab(a, b, distance):
    assert cielab.delta_e(a, b) == pytest.approx(distance, abs=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_leading_field_and_the_rule_keep_the_slider_in_range(kind):
    for leading, brought in kind.brings.items():
        updates = controls.led(kind, leading)
        made = from_flat(kind, {kind.leading: leading})
        assert {name: updates[name] for name in brought if name != "scale"} == {
            name: getattr(made, name) for name in brought if name != "scale"
        }  # fmt: skip
        assert updates["scale"].value == made.scale <= updates["scale"].maximum
        highest = kind.limits("scale", dict(made.guides[0]))[1]
        assert controls.scale_slider(kind, getattr(made, kind.ruled_by))["maximum"] <= highest
    for wrong in (None, "nonsense", ["x"]):
        assert controls.led(kind, wrong)["scale"].value == from_flat(kind, {}).scale


@pytest.mark.parametrize(("place", "own"), [(0, color.LOOK), (1, prompt.LOOK), (2, digits.LOOK)])
def test_an_example_sets_what_it_names_and_all_that_it_touches(place, own):
    handler, kind, tab = handlers("example")[place], KINDS[place], runner(KINDS[place])
    for index, wanted in enumerate(own.examples.values()):
        updates = handler.fn(Event(None, {"index": index}))
        if len(handler.outputs) == 1:  # where Gradio would take a list for the value
            updates = [updates]
        assert len(updates) == len(handler.outputs)
        named = {tab.names[control]: getattr(update, "value", update) for control, update in
                 zip(handler.outputs, updates, strict=True)}  # fmt: skip
        assert named == {name: to_flat(from_flat(kind, {"count": COUNT} | wanted))[name] for name in named}
        assert set(wanted) <= set(named)
        assert asked(kind, **named).recipe == from_flat(kind, {"count": COUNT} | wanted)


@pytest.mark.parametrize("kind", [*KINDS, Recipe])
def test_every_choice_of_a_field_has_a_name(kind):
    for info in kind.model_fields.values():
        assert set(choices(info)) == set(look(info).get("labels", {}))


@pytest.mark.parametrize("kind", KINDS)
def test_the_controls_are_those_of_the_fields_and_stand_at_their_defaults(kind):
    count = {"count": 4} if kind.name == "digits" else {"count": COUNT}
    assert asked(kind).recipe == from_flat(kind, count)
    names = list(runner(kind).names.values())
    assert sorted(names) == sorted([*said(kind), "compare", "x", "xs", "y", "ys", "keep", "key", "live"])
    for control, name in runner(kind).names.items():
        options = choices(kind.model_fields.get(name) or Recipe.model_fields.get(name, Recipe.model_fields["text"]))
        assert not options or [value for _, value in control.choices] == list(options)


@pytest.mark.parametrize(
    "recipe",
    [
        ColorRecipe(color="teal", rule="course", scale=7, weight="early", steps=9, seed=3, count=2, solver="ddpm"),
        ClipRecipe(prompt="snow", preset="quality", cuts=3, candidates=2, eta=0.25, travel=2, stop=0.5, text="a"),
        DigitRecipe(digits="20", guidance="classifier", scale=49, conditioning="channels", start=0.2, count=3),
        Recipe(guides=(Brightness(0.1, scale=0.9, method="full"),), steps=7, seed=1, count=3),
        ColorRecipe(steps=4, seed=8).unguided(),
    ],
)
def test_a_recipe_that_comes_back_stands_in_the_controls_of_its_tab(recipe):
    kind = type(recipe.guides[0]) if recipe.guides else Color
    (dropped,), tab = handlers("dropped"), runner(kind)
    event = Event(None, {"recipes": json.dumps([to_json(recipe)])})
    notice, tabs, *updates = dropped.fn(event, Request())
    assert (notice, tabs.selected) == ("", guides.endpoint(kind))
    changed = {control: getattr(update, "value", update) for control, update in
               zip(dropped.outputs[2:], updates, strict=True) if update != gr.skip()}  # fmt: skip
    assert {tab.names[control] for control in changed} == set(said(kind))
    again = asked(kind, **{tab.names[control]: value for control, value in changed.items()}).recipe
    assert again == recipe or not recipe.guides and again.unguided() == recipe


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([""], "This picture carries no recipe."),
        (["{}"], "This is not a recipe that this version understands."),
        (['{"guides": [{"guide": "nonsense"}]}'], f"Guide must be one of: {', '.join(guides.every())}."),
    ],
)  # fmt: skip
def test_what_is_no_recipe_for_a_tab_is_answered_by_a_sentence_and_keeps_no_other_from_coming_back(texts, expected):
    (dropped,) = handlers("dropped")
    notice, *updates = dropped.fn(Event(None, {"recipes": json.dumps(texts)}), Request())
    assert text(notice) == expected
    assert updates == [gr.skip()] * (len(dropped.outputs) - 1)
    _, (tabs, *updates) = recalled([*texts, to_json(DigitRecipe(digits="7"))])
    assert tabs["selected"] == "digits"
    assert "7" in [update.get("value") for update in updates]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"files": None}, "Fine-tuning takes 10 to 500 pictures."),
        ({"files": [{"path": "a.png"}] * 501}, "Fine-tuning takes 10 to 500 pictures."),
        ({"name": "../x"}, "The name must be small letters, digits and hyphens, such as my-pictures."),
        ({"name": "made"}, "There is a model of that name already: choose another."),
        ({"model": "/etc"}, LISTED),
        ({"minutes": 0}, "Minutes must be a number from 0.05 to 1440."),
        ({"rate": True}, "Learning rate must be a number from 1e-07 to 0.01."),
    ],
)
def test_what_fine_tuning_does_not_take_is_answered_by_a_sentence(monkeypatch, tmp_path, changes, expected):
    monkeypatch.setattr(settings, "TRAINED", tmp_path)
    (tmp_path / "made" / "pipeline").mkdir(parents=True)
    tab = handlers("begin")[-1].fn.__self__
    assert sorted(tab.names.values()) == ["files", "minutes", "model", "name", "rate"]
    _, status, *_ = tab.begin(standing(tab, **{"files": [{"path": "a.png"}] * 10} | changes), Request())
    assert text(status) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_only_the_api_is_open_and_its_runs_stand_in_the_page_s_own_line():
    fns = built().fns.values()
    named = [*map(guides.endpoint, guides.every().values()), "paint"]
    assert [fn.api_name for fn in fns if fn.api_visibility != "private"] == named
    assert named[:3] == ["color", "clip", "digits"]
    assert {fn.concurrency_limit for fn in fns if fn.api_name in named} == {None}


def test_the_page_is_built_without_torch():
    code = "import sys; from guidance.ui import page; page.build();"
    code += "sys.exit(bool({'torch', 'diffusers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
