"""The page over a fake: what a run shows, what it says when it cannot go on, and how the page is wired."""

import base64
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
from guidance.recipes import ClipRecipe, ColorRecipe, DigitRecipe
from guidance.ui import color, controls, measure, page, pictures, run, stage
from tests.fake import WRONG, Fake, read

ROOT = Path(__file__).parent.parent
DEFAULTS = {name: getattr(ColorRecipe(), name) for name in ColorRecipe.__dataclass_fields__} | {"count": 2}


def with_unguided(recipe: ColorRecipe) -> tuple[ColorRecipe, run.Variants]:
    """A recipe beside its unguided one, as the Colour tab has it."""
    return recipe, {"Unguided": recipe.unguided() if recipe.scale else recipe, "Guided": recipe}


def handle(compute: Fake, **values) -> list[tuple]:
    """All that the handler yields for the default controls with some changed."""
    return list(open_handler(compute, run.Progress(), **values))


def open_handler(compute: Fake, progress: run.Progress, **values) -> Iterator[tuple]:
    """The handler, not yet begun."""
    given = DEFAULTS | values
    make = lambda *v: with_unguided(ColorRecipe(**controls.check(dict(zip(given, v, strict=True)))))  # noqa: E731
    return run.runner(compute, run.Tab(make, color.render))(progress, *given.values())


def text(status: str) -> str:
    """The sentence in a status line."""
    return re.search(r"<p>(.*?)</p>", status)[1]


def test_a_run_shows_previews_and_then_pictures_that_carry_their_recipe(tmp_path):
    yields = handle(Fake(), color="teal", steps=3, seed=7)
    assert 'data-state="preview"' in yields[1][0]
    assert "Step 1 of 3" in yields[1][1]
    view, status, shown = yields[-1]
    assert 'data-state="final"' in view
    assert text(status).startswith("Done: 2 pictures in 3 steps")
    assert json.loads(shown)["color"] == "#008080"
    links = re.findall(r'href="data:image/png;base64,([^"]+)" download="([^"]+)"', view)
    found = {}
    for data, name in links:
        (tmp_path / name).write_bytes(base64.b64decode(data))
        found[name] = metadata.read_png(tmp_path / name)
    recipe = ColorRecipe(color="teal", steps=3, seed=7, count=2)
    assert found == {
        "guidance-008080-7.png": recipe.picture(0),
        "guidance-008080-8.png": recipe.picture(1),
        "guidance-unguided-7.png": recipe.unguided().picture(0),
        "guidance-unguided-8.png": recipe.unguided().picture(1),
    }


def test_unguided_pictures_are_computed_once_for_all_colours_and_strengths():
    compute = Fake()
    handler = run.runner(compute, run.Tab(with_unguided, color.render))
    recipe = ColorRecipe(steps=2, count=3)
    asked = []
    for same in (recipe, ColorRecipe(steps=2, count=2, seed=1, color="red", rule="course", method="full", start=0.5)):
        list(handler(run.Progress(), same))
        asked.append([request.scale > 0 for request in compute.asked])
    assert asked == [[True, False], [True, False, True]]
    for other in (ColorRecipe(steps=3), ColorRecipe(steps=2, solver="dpm++"), ColorRecipe(steps=2, seed=3)):
        before = len(compute.asked)
        list(handler(run.Progress(), other))
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


def test_closing_the_handler_closes_both_runs_and_says_where_it_stopped():
    compute, progress = Fake(), run.Progress()
    handler = open_handler(compute, progress, steps=50)
    next(handler)
    next(handler)
    handler.close()
    assert len(compute.asked) == len(compute.over) == 2
    assert (progress.state, progress.step) == ("stopped", 1)
    status, paint, stop = stage.settle(progress)
    assert text(status) == "Stopped at step 1 of 50."
    assert (paint.interactive, stop.interactive) == (True, False)


def test_settling_after_a_finished_run_leaves_its_line():
    progress = run.Progress()
    stage.begin(progress)
    assert text(stage.settle(progress)[0]) == "The run did not begin."
    list(open_handler(Fake(), progress, steps=2))
    assert stage.settle(progress)[0] == gr.skip()


@pytest.mark.parametrize(("values", "expected"), WRONG)
def test_bad_input_is_answered_by_a_sentence_before_any_work(values, expected):
    compute = Fake()
    (view, status, shown), *more = handle(compute, **values)
    assert text(status).startswith(expected)
    assert 'data-state="error"' in status
    assert (view, shown) == (gr.skip(), gr.skip())
    assert not more
    assert not compute.asked


@pytest.mark.parametrize("values", [{"steps": 251}, {"count": 17}])
def test_the_page_has_narrower_limits_than_recipes(values):
    ColorRecipe(**values)
    assert 'data-state="error"' in handle(Fake(), **values)[-1][1]


@pytest.mark.parametrize(("given", "taken"), [("red", "#ff0000"), ("rgba(10, 20, 30, 1)", "#0a141e")])
def test_colours_are_taken_as_people_and_pickers_write_them(given, taken):
    assert json.loads(handle(Fake(), color=given, steps=1)[-1][2])["color"] == taken


def test_errors_of_ours_are_logged_and_not_shown(caplog):
    yields = handle(Fake(fail_at=2, error=ZeroDivisionError("/secret/path")), steps=3)
    assert text(yields[-1][1]) == run.WENT_WRONG
    assert yields[-1][0] == gr.skip()  # the last preview stays
    assert "/secret/path" in caplog.text


def test_guidance_that_blows_up_says_so():
    from guidance.sampling.guides import GuidanceError

    yields = handle(Fake(fail_at=2, error=GuidanceError("Lower the <scale>.")), steps=3)
    assert text(yields[-1][1]) == "Lower the &lt;scale&gt;."


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
    handlers = [fn for fn in demo.fns.values() if fn.concurrency_id == "runs" and fn.api_visibility == "private"]
    made = (ColorRecipe(count=controls.COUNT), ClipRecipe(count=controls.COUNT), DigitRecipe(count=4))
    for handler, recipe in zip(handlers, made, strict=True):
        values = [block.value for block in handler.inputs[1:]]  # the first is the progress
        yields = list(handler.fn(run.Progress(), *values))
        assert json.loads(yields[-1][2]) == json.loads(metadata.to_json(recipe))


def test_only_the_api_is_open_and_all_runs_share_their_slots():
    fns = page.build(Fake()).fns.values()
    assert [fn.api_name for fn in fns if fn.api_visibility != "private"] == ["color", "clip", "digits"]
    slots = {fn.concurrency_limit for fn in fns if fn.concurrency_id == "runs"}
    assert len(slots) == 1
    assert slots.pop() > 1


def test_the_page_is_built_without_torch():
    code = "import sys, app; app.page.build(); sys.exit(bool({'torch', 'diffusers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
