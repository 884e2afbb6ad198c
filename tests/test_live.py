"""Pictures that follow the controls: few steps at each change, the whole run when the hand rests, others first."""

import asyncio
from types import SimpleNamespace

import gradio as gr
import pytest

from guidance import ClipRecipe, ColorRecipe, Recipe, images
from guidance.guides.hold import Hold
from guidance.guides.layout import Layout
from guidance.guides.prompt import Prompt
from guidance.guides.sketch import Sketch
from guidance.models.device import ModelError
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.live import Live, hurried, runner
from guidance.ui.runs.painting import Ask, Finished, Painting
from guidance.ui.tabs import color
from guidance.ui.tabs.blend import SUNSET
from guidance.ui.tabs.guide import beside
from tests.fake import Fake

FIRST, SECOND = ColorRecipe("teal", steps=9), ColorRecipe("gold", steps=9)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nobody's hand rests."""
    for name in ("REST", "LINGER", "LOOK"):
        monkeypatch.setattr(f"guidance.ui.runs.live.{name}", 0.0)


def live(compute, recipe=FIRST, page=None, cache=None):
    """A live run of a recipe beside its unguided pictures."""
    ask = Ask(recipe, beside(recipe, "unguided"))
    return Live(Painting(compute, color.render, ask, cache or Finished(), previews=False), page or Jobs())


def views(shown):
    """The views among what is shown."""
    return [change["view"] for change in shown if "view" in change]


def test_a_sketch_is_waited_for_until_something_is_painted():
    def follower(guides) -> Live | None:
        recipe = Recipe(guides=guides, steps=2)
        handlers = runner(Fake(), lambda values: Ask(recipe, {"": recipe}), color.render, Jobs())
        return handlers.follower(str, {"keep": True})

    assert follower(Sketch()) is follower(Prompt("a lake") + Layout()) is follower(Hold(image=SUNSET)) is None
    for ready in (Sketch(image=SUNSET), Prompt("a lake"), Hold(image=SUNSET, mask=SUNSET)):
        assert follower(ready).painting.ask.recipe.guides == (ready,)


def test_few_steps_come_first_and_then_the_whole_run():
    compute = Fake()
    first, last = views(live(compute))
    assert compute.asked == [hurried(FIRST), FIRST, FIRST.unguided()]
    assert 'data-state="preview"' in first and first.count("<img") == 1  # the unguided one is not known yet
    assert last == views(Painting(Fake(), color.render, Ask(FIRST, beside(FIRST, "unguided")), Finished()))[-1]


def test_what_is_known_of_the_others_stands_beside_the_few_steps():
    cache = Finished()
    list(live(Fake(), cache=cache))
    compute = Fake()
    assert views(live(compute, SECOND, cache=cache))[0].count("<img") == 2
    assert compute.asked == [hurried(SECOND), SECOND]


def test_a_change_is_shown_in_few_steps_and_only_the_last_one_is_painted_whole():
    compute, shown = Fake(), []
    run = live(compute)
    for change in run:
        shown.append(change)
        if len(shown) == 2:  # in the midst of the few steps
            assert run.turn(live(compute, SECOND))
    assert compute.asked == [hurried(FIRST), hurried(SECOND), SECOND, SECOND.unguided()]
    assert ["#008080" in view for view in views(shown)] == [True, False, False]


def test_who_waits_for_the_first_pictures_of_a_change_is_told_them_alone():
    compute, shown = Fake(), []
    run, next_one, last = live(compute), live(compute, SECOND), live(compute, FIRST)
    passed, told = next_one.first(), last.first()
    for change in run:
        shown.append(change)
        if len(shown) == 2:
            assert run.turn(next_one) and run.turn(last) and not told.done()
    assert passed.result(0) == {}  # something newer came before it
    assert "#008080" in told.result(0)["view"] and "Live" in told.result(0)["status"]
    assert ['data-state="final"' in view for view in views(shown)] == [False, True]  # the first is the run's own


def test_who_no_longer_waits_is_shown_it_as_all_others_are():
    run, other = live(Fake()), live(Fake(), SECOND)
    first, shown = other.first(), []
    for change in run:
        shown.append(change)
        if len(shown) == 2:
            assert run.turn(other) and first.cancel()
    assert ["#ffd700" in view for view in views(shown)] == [False, True, True]


def test_a_move_that_must_wait_for_others_is_answered_all_the_same(monkeypatch):
    monkeypatch.setattr("guidance.ui.runs.runner.PATIENCE", 0.01)
    page = Jobs()
    page.line.append("somebody's run")
    job = page.start(live(Fake(), page=page))
    handlers = runner(Fake(), lambda values: Ask(SECOND, {"": SECOND}), color.render, page)
    handlers.names = {name: name for name in ("keep", "key", "live")}
    values = {"keep": True, "key": job.key, "live": True}
    assert asyncio.run(handlers.live(values, SimpleNamespace(headers={}))) == (gr.skip(), gr.skip(), "")
    page.line.clear()
    with page.moved:
        assert page.moved.wait_for(lambda: job.state == "over", 20)
    assert "#ffd700" in job.shown["view"][1]


def test_who_waits_is_told_of_an_end():
    run, other = live(Fake()), live(Fake(fail_at=2, error=ModelError("The model has gone.")), SECOND)
    told, steps = other.first(), iter(run)
    next(steps)
    assert run.turn(other)
    list(steps)
    assert told.result(0) == {}


def test_a_change_drops_the_whole_run_within_a_step():
    compute = Fake()
    run = live(compute)
    for _ in run:
        if len(compute.asked) == 2 and not compute.over[1:]:
            assert run.turn(live(compute, SECOND))
    assert compute.asked == [hurried(FIRST), FIRST, hurried(SECOND), SECOND, SECOND.unguided()]
    assert compute.over[1] == FIRST  # closed before the next began


def test_a_run_that_has_ended_takes_nothing_more():
    run = live(Fake())
    list(run)
    assert not run.turn(live(Fake(), SECOND))


def test_a_failure_is_told_and_ends_it():
    run = live(Fake(fail_at=2, error=ModelError("The model has gone.")))
    assert "The model has gone." in list(run)[-1]["status"]
    assert not run.turn(live(Fake(), SECOND))


def test_it_gives_way_to_runs_in_the_line():
    page, compute = Jobs(), Fake()
    run = iter(live(compute, page=page))
    next(run)
    page.line.append("somebody's run")
    assert [next(run) for _ in range(5)] == [{}] * 5 and not compute.asked
    page.line.clear()
    assert views(run) and compute.asked[0] == hurried(FIRST)


def test_it_does_not_stand_in_the_line_and_leaves_no_thread():
    page = Jobs()
    job = page.start(live(Fake(), page=page))
    assert not page.line
    with page.moved:
        assert page.moved.wait_for(lambda: job.state == "over", 20)
    assert 'data-state="final"' in job.shown["view"][1]


@pytest.mark.parametrize("recipe", [ColorRecipe(steps=40, solver="ddim"), ClipRecipe(preset="quality"),
                                    ColorRecipe(steps=2), Recipe()])  # fmt: skip
def test_few_steps_are_at_most_six_of_the_same_noise(recipe):
    few = hurried(recipe)
    assert few.steps <= min(6, recipe.steps) and few.seeds == recipe.seeds and few.guides == recipe.guides


@pytest.mark.parametrize("recipe", [ColorRecipe("teal", seed=3), ClipRecipe("snowy hills", seed=3)])
def test_few_steps_look_like_the_whole_run(recipe):
    few, whole, other = images(hurried(recipe))[0], images(recipe)[0], images(recipe.replace(seed=4))[0]

    def apart(a, b):
        pairs = zip(a.resize((8, 8)).tobytes(), b.resize((8, 8)).tobytes(), strict=True)
        return sum(abs(x - y) for x, y in pairs)

    assert apart(few, whole) < apart(other, whole)
