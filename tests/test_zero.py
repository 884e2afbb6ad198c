"""ZeroGPU: what travels to its worker and back, for how long a GPU is asked for, and that elsewhere nothing changes."""

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from guidance import settings
from guidance.fields import RecipeError
from guidance.frame import Frame
from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.recipe import ClipRecipe, ColorRecipe, DigitRecipe, Recipe
from guidance.sampling.guides import GuidanceError
from guidance.ui import page
from guidance.ui.server import zero

ROOT = Path(__file__).parent.parent
BOTH = Recipe(guides=Color("teal") + Brightness(0.8), count=3)
RECIPES = (ColorRecipe(color="teal", count=3), ClipRecipe(prompt="a moon"), DigitRecipe(digits="2026"), BOTH)
needs_spaces = pytest.mark.skipif(
    importlib.util.find_spec("spaces") is None, reason="spaces is not installed: pip install -e '.[test]'"
)


def frame(step: int, steps: int) -> Frame:
    """A frame as a run makes them."""
    x = torch.rand(2, 3, 4, 4)
    losses = {"colour": torch.rand(2)}
    return Frame(step, steps, x, lambda x0: x0, losses, x, x[:, :1], 0.5, ("a note",), "0123456789ab")


def gpu(duration):
    """A stand-in for spaces.GPU that sends everything through pickle."""

    def decorate(function):
        def worker(recipe):
            for item in function(pickle.loads(pickle.dumps(recipe))):
                yield pickle.loads(pickle.dumps(item))

        return worker

    return decorate


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_travel(recipe):
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_frames_travel_and_an_end_by_a_sentence_stays_one():
    def compute(recipe):
        yield frame(1, 3)
        yield frame(2, 3)
        raise GuidanceError("Lower the scale.")

    lent = zero.lend(compute, gpu)(ColorRecipe())
    first, second = next(lent), next(lent)
    assert (first.step, second.step, first.notes, first.weights) == (1, 2, ("a note",), "0123456789ab")
    assert first.x0.shape == first.x_t.shape == (2, 3, 4, 4)
    with pytest.raises(RecipeError, match=r"^Lower the scale\.$"):
        next(lent)


def test_a_stop_reaches_the_run():
    over = []

    def compute(recipe):
        try:
            yield from (frame(i, 9) for i in range(1, 10))
        finally:
            over.append(True)

    lent = zero.lend(compute, gpu)(ColorRecipe())
    next(lent)
    lent.close()
    assert over


def test_longer_runs_ask_for_more_time_within_bounds():
    def seconds(**values):
        return zero.duration(ColorRecipe(**{"steps": 40} | values))

    assert zero.LEAST <= seconds(steps=1) < seconds(count=16) < seconds(count=16, method="full")
    assert seconds(count=16) < seconds(count=16, model="google/ddpm-cat-256") <= zero.MOST
    assert seconds(count=64, steps=1000, method="full") == zero.MOST
    assert zero.duration(ClipRecipe(count=9)) < zero.duration(ClipRecipe(count=9, preset="quality"))
    assert seconds(color="teal", count=3, steps=8) <= zero.duration(BOTH)
    assert zero.duration(ColorRecipe(count=16, steps=40).unguided()) == seconds(count=16)
    assert all(isinstance(zero.duration(recipe), int) for recipe in RECIPES)


def test_elsewhere_nothing_changes(monkeypatch):
    monkeypatch.setattr(settings, "ZERO", False)
    assert zero.adapted(page.compute) is page.compute


@needs_spaces
def test_the_decorator_is_transparent_off_zerogpu():
    code = "import spaces; from guidance.ui.server import zero; f = lambda recipe: iter([1]); assert spaces.GPU(f) is f"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPACES_")}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)


@needs_spaces
def test_runs_in_a_worker_of_the_real_package():
    done = subprocess.run(
        [sys.executable, "-m", "tests.zero_worker"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
