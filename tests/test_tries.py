"""Tries: what does not show all that was asked for is painted again, from other noise."""

import json

import pytest
import torch
from torch import nn

from guidance import engine
from guidance.evaluation import clip as evaluation
from guidance.fields import RecipeError
from guidance.guides.color import Color
from guidance.guides.prompt import Prompt
from guidance.models import catalogue
from guidance.models.attributes import ATTRIBUTES
from guidance.recipe import ClipRecipe, Recipe, from_json, to_json
from guidance.scale import company
from guidance.training import guided
from guidance.tries import wanting
from guidance.ui.runs.grids import cross
from guidance.ui.runs.live import hurried
from guidance.ui.server.limits import work

SHORT = ClipRecipe(prompt="a boat on the sea", steps=2, cuts=1, count=3, tries=3)
NOTE = "Not all that was asked for was there, and other noise was tried: {}."


class Verifier(nn.Module):
    """Finds in the pictures of each call the attributes that it was told to, call by call and picture by picture."""

    def __init__(self, *found: list[list[str]]):
        super().__init__()
        self.weight, self.found, self.shown = nn.Parameter(torch.zeros(1)), list(found), []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 3, H, W) to logits (B, len(ATTRIBUTES))."""
        self.shown.append(x)
        found = self.found.pop(0)
        assert len(found) == len(x)
        return torch.tensor([[5.0 if name in names else -5.0 for name in ATTRIBUTES] for names in found])


@pytest.fixture
def verified(monkeypatch):
    """A verifier that finds this and that, call by call."""

    def by(*found: list[list[str]]) -> Verifier:
        verifier = Verifier(*found)
        monkeypatch.setattr(catalogue, "VERIFIERS", {"landscapes": (lambda: verifier, torch.sigmoid, ATTRIBUTES)})
        return verifier

    return by


def last(recipe: Recipe):
    *_, frame = engine.generate(recipe)
    return frame


def of_try(recipe: Recipe, number: int) -> torch.Tensor:
    """The pictures of a try, whatever they show."""
    *_, frame = engine.painted(recipe, number)
    return frame.x0


BOTH, ONE, NONE = ["boat", "sea"], ["sea"], []


def test_a_picture_is_that_of_the_first_try_that_shows_all(verified):
    tries = [of_try(SHORT, number) for number in range(3)]
    verified([BOTH, NONE, NONE], [BOTH, BOTH, NONE], [BOTH, BOTH, BOTH])
    frames = list(engine.generate(SHORT))
    x0 = frames[-1].x0
    assert all(torch.equal(x0[k], tries[k][k]) for k in range(3))
    assert not torch.equal(tries[0][1], tries[1][1])
    assert [(frame.step, frame.steps) for frame in frames] == [(1, 2), (2, 4), (3, 4), (4, 6), (5, 6), (6, 6)]
    assert frames[-1].notes == (NOTE.format("pictures 2, 3"), NOTE.format("picture 3"))
    assert [bool(frame.see) for frame in frames] == [False] * 5 + [True]
    assert frames[-1].large.shape == (3, 3, 256, 256)
    whole = engine.catalogue.get("landscapes").enlarge(x0)
    assert torch.equal(frames[-1].large, whole)
    # While the others are painted again, what is done stays, is steered no more, and is shown as large.
    assert torch.equal(frames[2].x0[0], x0[0]) and torch.equal(frames[2].large[0], frames[-1].large[0])
    assert frames[2].pull[0].abs().max() == 0 < frames[2].pull[1].abs().max()
    assert frames[2].losses["prompt"][0] == frames[1].losses["prompt"][0]


def test_where_none_shows_all_it_is_the_first_that_lacks_the_least(verified):
    tries = [of_try(SHORT, number) for number in range(3)]
    verified([ONE, NONE, ONE], [NONE, ONE, BOTH], [NONE, ONE, BOTH])
    x0 = last(SHORT).x0
    assert torch.equal(x0[0], tries[0][0]) and torch.equal(x0[1], tries[1][1]) and torch.equal(x0[2], tries[1][2])


def test_one_try_asks_nobody_and_all_that_is_asked_for_counts(verified):
    verifier = verified()
    assert torch.equal(last(SHORT.replace(tries=1)).x0, of_try(SHORT, 0)) and not verifier.shown
    nothing = SHORT.replace(guides=Prompt(prompt="paper", scale=0.1) * 0 + Color("teal"))
    verified([[]] * 3)  # neither a colour nor a guide without strength is looked for
    assert last(nothing).steps == 2
    without = SHORT.replace(guides=Prompt(prompt="the sea | a boat:-1", scale=0.1))
    verified([["sea"], ["sea", "boat"], []], [["sea"], ["sea"], ["sea"]])
    assert last(without).notes == (NOTE.format("pictures 2, 3"),)


def test_it_must_be_surer_of_boats_and_stars_than_of_the_sea(monkeypatch):
    chances = torch.full((3, len(ATTRIBUTES)), 0.8)
    verifier = lambda: Verifier([[]] * 3), lambda x: chances, ATTRIBUTES
    monkeypatch.setattr(catalogue, "VERIFIERS", {"landscapes": verifier})
    frame = last(SHORT.replace(tries=1))
    asked = "a boat on the sea", "the sea", "the sea | a boat:-1", "stars"
    assert [wanting(SHORT.change(prompt=prompt), frame) for prompt in asked] == [[1] * 3, [0] * 3, [1] * 3, [1] * 3]


def test_it_is_the_same_alone_in_company_and_among_prompts(verified):
    verified([BOTH, NONE, BOTH], [BOTH, BOTH, BOTH])
    x0 = last(SHORT).x0
    for k, found in enumerate(([[BOTH]], [[NONE], [BOTH]])):
        verified(*found)
        assert torch.equal(last(SHORT.picture(k)).x0[0], x0[k])
    verified([BOTH, NONE, BOTH], [BOTH, BOTH, BOTH])
    (frame,) = company.paint([SHORT])
    assert torch.equal(frame.x0, x0) and frame.steps == 4
    verified([BOTH, NONE, ["moon", "night"]], [BOTH, BOTH, ["moon", "night"]])
    together = guided.together(SHORT, [SHORT.prompt, SHORT.prompt, "the moon at night"])
    assert torch.equal(together[:2].float(), ((x0[:2] + 1) * 127.5).round())


def test_who_cannot_be_verified_is_painted_once(verified, monkeypatch):
    monkeypatch.setattr(catalogue, "VERIFIERS", {})
    assert last(SHORT).steps == 2 and ClipRecipe(model="a/model").tries == 1


def test_presets_try_again_and_recipes_of_before_do_not():
    assert (ClipRecipe().tries, ClipRecipe(preset="quality").tries, ClipRecipe(preset="live").tries) == (4, 8, 1)
    assert Recipe(guides=Color("teal")).tries == ClipRecipe().unguided().tries == hurried(ClipRecipe()).tries == 1
    written = json.loads(to_json(ClipRecipe()))
    assert written.pop("tries") == 4 and from_json(json.dumps(written)).tries == 1
    grid = cross(ClipRecipe(), "scale", "0.1; 0.2", "cuts", "1; 2")
    assert {recipe.tries for row in grid.rows for recipe in row} == {1}
    assert work(SHORT) == 3 * work(SHORT.replace(tries=1))
    with pytest.raises(RecipeError, match="^Tries must be a whole number from 1 to 10.$"):
        ClipRecipe(tries=11)
    again, once = engine.fingerprint(ClipRecipe()), engine.fingerprint(ClipRecipe(tries=1))
    assert again == f"{once}-{catalogue.verifier_fingerprint()}"


def test_more_tries_show_more_to_the_judge():
    """The verifier and the judge are two networks: what the one sends back and lets pass, the other sees too."""
    recipe, names = ClipRecipe(prompt="a boat on the sea at night", count=16, size="native"), ["boat", "sea", "night"]
    shown = [evaluation.shows(catalogue.judge(), last(recipe.replace(tries=tries)).x0, names).sum() for tries in (1, 4)]
    assert shown[0] < shown[1]
