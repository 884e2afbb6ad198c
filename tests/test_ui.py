"""The page over a fake: what a run shows, what it says when it cannot go on, and how the page is wired."""

import asyncio
import base64
import html
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from guidance import metadata, recipes
from guidance.recipes import ClipRecipe, ColorRecipe, DigitRecipe, RecipeError
from guidance.ui import color, controls, measure, page, pictures, run, runner, words
from guidance.ui.jobs import Jobs
from tests.fake import WRONG, Fake, read

ROOT = Path(__file__).parent.parent
DEFAULTS = {name: getattr(ColorRecipe(), name) for name in ColorRecipe.__dataclass_fields__} | {"count": 2}


def tab() -> run.Tab:
    """The Colour tab's way of parsing and showing."""
    parse = lambda *v: ask(ColorRecipe(**controls.check(dict(zip(DEFAULTS, v, strict=True)))))  # noqa: E731
    return run.Tab(parse, color.render)


def ask(recipe: ColorRecipe) -> run.Ask:
    """A recipe beside its unguided one, as the Colour tab has it."""
    return run.Ask(recipe, color.compared(recipe, "unguided"))


def handle(compute: Fake, keep: bool = True, say=str, **values) -> dict[str, str]:
    """All that a run shows in the end for the default controls with some changed."""
    shown: dict[str, str] = {}
    for update in painted(compute, keep, say, **values):
        shown |= update
    return shown


def painted(compute: Fake, keep: bool = True, say=str, **values) -> Iterator[dict[str, str]]:
    """What a run shows, step by step."""
    asked = tab().parse(*(DEFAULTS | values).values())
    return iter(run.Painting(compute, tab(), asked, run.Finished(), say, keep))


def text(status: str) -> str:
    """The sentence in a status line."""
    return re.search(r"<p>(.*?)</p>", status)[1]


def files(view: str, folder: Path) -> dict[str, Path]:
    """The PNGs that a view offers, by name."""
    found = {}
    for data, name in re.findall(r'href="data:image/png;base64,([^"]+)" download="([^"]+)"', view):
        found[name] = folder / name
        found[name].write_bytes(base64.b64decode(data))
    return found


def test_a_run_shows_previews_and_then_pictures_that_carry_their_recipe(tmp_path):
    previews = [shown for shown in painted(Fake(), color="teal", steps=3, seed=7) if "view" in shown]
    assert 'data-state="preview"' in previews[0]["view"]
    assert "Step 1 of 3" in previews[0]["status"]
    shown = handle(Fake(), color="teal", steps=3, seed=7)
    assert 'data-state="final"' in shown["view"]
    assert text(shown["status"]).startswith("Done: 2 pictures in 3 steps")
    assert json.loads(shown["recipe"])["color"] == "#008080"
    recipe = ColorRecipe(color="teal", steps=3, seed=7, count=2)
    assert {name: metadata.read_png(path) for name, path in files(shown["view"], tmp_path).items()} == {
        "guidance-008080-7.png": recipe.picture(0),
        "guidance-008080-8.png": recipe.picture(1),
        "guidance-unguided-7.png": recipe.unguided().picture(0),
        "guidance-unguided-8.png": recipe.unguided().picture(1),
    }


def test_recipes_stay_out_of_the_pngs_when_they_are_switched_off(tmp_path):
    for path in files(handle(Fake(), keep=False, steps=2)["view"], tmp_path).values():
        with pytest.raises(RecipeError, match="This picture carries no recipe."):
            metadata.read_png(path)


def test_unguided_pictures_are_computed_once_for_all_colours_and_strengths():
    compute, cache = Fake(), run.Finished()
    recipe = ColorRecipe(steps=2, count=3)
    asked = []

    def paint(recipe: ColorRecipe) -> None:
        list(run.Painting(compute, tab(), ask(recipe), cache, str, True))

    for same in (recipe, ColorRecipe(steps=2, count=2, seed=1, color="red", rule="course", method="full", start=0.5)):
        paint(same)
        asked.append([request.scale > 0 for request in compute.asked])
    assert asked == [[True, False], [True, False, True]]
    for other in (ColorRecipe(steps=3), ColorRecipe(steps=2, solver="dpm++"), ColorRecipe(steps=2, seed=3)):
        before = len(compute.asked)
        paint(other)
        assert len(compute.asked) == before + 2


def test_old_unguided_pictures_are_let_go():
    cache = run.Finished(size=2)
    for seed in range(3):
        cache.put(ColorRecipe(seed=seed), [Image.new("RGB", (1, 1))])
    assert [cache.get(ColorRecipe(seed=seed)) is None for seed in range(3)] == [True, False, False]


def test_a_scale_of_zero_runs_once():
    compute = Fake()
    handle(compute, scale=0, steps=2)
    assert [recipe.scale for recipe in compute.asked] == [0]


def test_variants_of_unequal_length_all_come_to_their_end():
    compute, recipe = Fake(), ColorRecipe(steps=2)
    longer = ColorRecipe(steps=5, color="red")
    asked = run.Ask(recipe, {"Short": recipe, "Long": longer})
    shown = list(run.Painting(compute, tab(), asked, run.Finished(), str, True))
    assert set(compute.over) == {recipe, longer}
    assert "Done: 1 picture in 5 steps" in shown[-1]["status"]
    assert shown[-1]["view"].count("g-picture") == 2


def test_closing_a_run_closes_both_and_says_where_it_stopped():
    compute = Fake()
    painting = run.Painting(
        compute, tab(), tab().parse(*(DEFAULTS | {"steps": 50}).values()), run.Finished(), str, True
    )
    steps = iter(painting)
    while "view" not in next(steps):
        pass
    steps.close()
    assert len(compute.asked) == len(compute.over) == 2
    assert text(painting.end(True)["status"]) == "Stopped at step 1 of 50."
    assert text(painting.end(False)["status"]) == "The run did not begin."


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
    compute = Fake()
    handlers = run.runner(compute, tab(), Jobs())
    key, status, *buttons = handlers.begin(Request(), True, *(DEFAULTS | values).values())
    assert text(status).startswith(expected)
    assert 'data-state="error"' in status
    assert (key, buttons) == ("", [gr.skip()] * 2)
    assert not compute.asked


def test_a_key_that_is_none_changes_nothing_on_the_page():
    async def follow() -> list:
        return [update async for update in run.runner(Fake(), tab(), Jobs()).follow("")]

    (update,) = asyncio.run(follow())
    assert update[:4] == (gr.skip(),) * 4
    assert [button.interactive for button in update[4:]] == [True, False]


@pytest.mark.parametrize("values", [{"steps": 251}, {"count": 17}])
def test_the_page_has_narrower_limits_than_recipes(values):
    ColorRecipe(**values)
    with pytest.raises(RecipeError):
        handle(Fake(), **values)


@pytest.mark.parametrize(("given", "taken"), [("red", "#ff0000"), ("rgba(10, 20, 30, 1)", "#0a141e")])
def test_colours_are_taken_as_people_and_pickers_write_them(given, taken):
    assert json.loads(handle(Fake(), color=given, steps=1)["recipe"])["color"] == taken


def test_errors_of_ours_are_logged_and_not_shown(caplog):
    shown = list(painted(Fake(fail_at=2, error=ZeroDivisionError("/secret/path")), steps=3))
    assert text(shown[-1]["status"]) == runner.WENT_WRONG
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
    _, status, *_ = run.runner(Fake(), tab(), Jobs()).begin(Request("zh-TW"), True, *(DEFAULTS | {"steps": 0}).values())
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
    assert measure.delta_e(a, b) == pytest.approx(distance, abs=0.2)


def test_examples_and_the_rule_keep_the_slider_in_range():
    assert controls.scale_slider("course")["value"] == recipes.DEFAULTS["course"]["scale"]
    for rule in recipes.RULES:
        assert controls.scale_slider(rule)["maximum"] <= recipes.MAX_SCALES[rule]
    for index in range(len(color.EXAMPLES)):
        assert len(color.example(gr.EventData(None, {"index": index}))) == len(color.GUIDED)


def test_every_choice_of_the_recipes_is_on_the_page_with_a_name():
    names = {
        recipes.METHODS: controls.METHODS, recipes.RULES: controls.RULES, recipes.SOLVERS: controls.SOLVERS,
        recipes.WEIGHTS: controls.WEIGHTS, recipes.COLOR_LOSSES: color.LOSSES,
    }  # fmt: skip
    for values, labels in names.items():
        assert set(values) == set(labels)


def test_the_controls_stand_at_the_recipe_s_defaults():
    demo = page.build(Fake(), read)
    begins = [fn for fn in demo.fns.values() if getattr(fn.fn, "__name__", "") == "begin"]
    made = (ColorRecipe(count=controls.COUNT), ClipRecipe(count=controls.COUNT), DigitRecipe(count=4))
    for begin, recipe in zip(begins[:3], made, strict=True):  # the last one fine-tunes
        painting = begin.fn.__self__.ask(str, *(block.value for block in begin.inputs))
        assert painting.ask.recipe == recipe


def test_only_the_api_is_open_and_all_runs_share_their_slots():
    fns = page.build(Fake()).fns.values()
    assert [fn.api_name for fn in fns if fn.api_visibility != "private"] == ["color", "clip", "digits"]
    slots = {fn.concurrency_limit for fn in fns if fn.concurrency_id == "runs"}
    assert len(slots) == 1
    assert slots.pop() > 1


def test_the_page_is_built_without_torch():
    code = "import sys, app; app.page.build(); sys.exit(bool({'torch', 'diffusers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
