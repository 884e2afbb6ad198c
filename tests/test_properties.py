"""Properties that hold for every field of every guide and recipe, whatever is put into them."""

import asyncio
import base64
import contextlib
import json
from pathlib import Path

import gradio as gr
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guidance import guides
from guidance.codec import packed, unpack
from guidance.fields import RecipeError, choices, kind, limits
from guidance.recipe import Recipe, about, form, from_flat, from_json, to_flat, to_json
from guidance.ui.html import words
from guidance.ui.runs import jobs
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.task import WENT_WRONG
from guidance.ui.server import api
from tests import fuzz
from tests.battery import battery
from tests.fake import Fake

KINDS = list(guides.every().values())
# The same examples each time, a few seconds of them.
FEW = settings(max_examples=80, deadline=None, derandomize=True, database=None,
               suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
NAMES = st.sampled_from([guide.name for guide in KINDS])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60) | st.binary(max_size=8)
ANYTHING = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=9), part, max_size=3),
    max_leaves=6,
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=9), part, max_size=3), max_leaves=6,
)  # fmt: skip


def fitting(info) -> st.SearchStrategy:
    """Values that a field has a use for, as numbers and as people type them."""
    if among := choices(info):
        return st.sampled_from(among)
    if ends := limits(info):
        low, high = ends
        whole = st.integers(int(low), int(high))
        number = whole if kind(info) is int else whole | st.floats(low, high)
        return number | number.map(str)
    return st.text(max_size=30) | st.sampled_from(["teal", "#2080ff", "2026", "a lake | stars:0.5", "landscapes", ""])


def flat(guide, wrong: st.SearchStrategy = ANYTHING) -> st.SearchStrategy:
    """The flat form of a guide's recipe, some of it told: what fits, or anything."""
    told = {name: fitting(about(guide, name)) | fitting(about(guide, name)) | wrong for name in form(guide)}
    return st.fixed_dictionaries({}, optional=told)


def ours(error: Exception) -> bool:
    """Whether an error is one sentence of ours, which has its Chinese."""
    said = str(error)
    return said.endswith(".") and words.chinese(said) != said and "\n" not in said


def whole(recipe: Recipe) -> None:
    """A recipe goes through JSON and its parts, and stays what it is."""
    assert from_json(to_json(recipe)) == recipe
    for name, info in Recipe.model_fields.items():
        if (ends := limits(info)) and name != "count":
            assert ends[0] <= getattr(recipe, name) <= ends[1]
    assert len(recipe.seeds) == recipe.count * recipe.each
    for k in {0, len(recipe.seeds) - 1}:
        assert recipe.picture(k).seeds == [recipe.seeds[k]]
    assert not recipe.unguided().guided
    assert hash(recipe) == hash(recipe.replace())


@pytest.mark.parametrize("guide", KINDS, ids=lambda guide: guide.name)
def test_whatever_a_guide_is_told_is_a_recipe_or_a_sentence(guide):
    made = []

    @FEW
    @given(flat(guide))
    def tell(values):
        try:
            recipe = from_flat(guide, values)
        except RecipeError as error:
            assert ours(error), error
        else:
            made.append(recipe)
            whole(recipe)
            assert from_flat(guide, to_flat(recipe)) == recipe

    tell()
    assert len(made) > 5


@FEW
@given(st.lists(st.sampled_from(KINDS).flatmap(lambda guide: st.tuples(st.just(guide), flat(guide))), max_size=3),
       st.fixed_dictionaries({}, optional={name: fitting(info) for name, info in Recipe.model_fields.items()
                                           if name not in ("guides", "weights")}))  # fmt: skip
def test_several_guides_are_a_recipe_or_a_sentence(told, fields):
    try:
        own = [guide(**{name: value for name, value in values.items() if name in guide.model_fields})
               for guide, values in told]  # fmt: skip
        recipe = Recipe(guides=own, **fields)
    except RecipeError as error:
        assert ours(error), error
    else:
        whole(recipe)


@FEW
@given(st.text() | JSON.map(json.dumps) | st.fixed_dictionaries(
    {"guides": st.lists(st.fixed_dictionaries({"guide": JSON | NAMES}), max_size=2)},
    optional={name: JSON for name in Recipe.model_fields if name != "guides"},
).map(json.dumps))  # fmt: skip
def test_whatever_is_read_as_json_is_a_recipe_or_a_sentence(text):
    try:
        whole(from_json(text))
    except RecipeError as error:
        assert ours(error), error


@FEW
@given(st.text(max_size=40) | st.tuples(NAMES, st.text(max_size=40)).map(":".join))
def test_whatever_is_typed_as_a_guide_is_one_or_a_sentence(text):
    try:
        guides.parse(text)
    except RecipeError as error:
        assert ours(error), error


@FEW
@given(SCALARS | st.binary(max_size=200).map(lambda data: base64.b64encode(data).decode()))
def test_whatever_is_given_as_a_picture_is_one_or_a_sentence(value):
    try:
        if packed(value):
            unpack(value)
    except RecipeError as error:
        assert ours(error), error


def test_the_fuzzer_s_corpus_is_read_or_answered_by_sentences():
    corpus = {path.name: path.read_bytes() for path in (Path(__file__).parent / "corpus").iterdir()}
    taken = {name: fuzz.one(data) for name, data in corpus.items()}
    assert sum(map(len, corpus.values())) < 200_000
    assert {taken[f"{name}.png"] for name in ("recipe", "zipped", "itxt", "behind")} == {3}
    assert set(taken.values()) == {0, 1, 2, 3}


def test_what_the_description_of_the_page_makes_schemathesis_send_is_answered_by_sentences_or_pictures():
    pytest.importorskip("schemathesis")
    from tests import described

    with battery() as made:
        sent = described.send(made, 3)
        assert not made.faults
        assert sent > 3 * len(made.parameters)
        assert set(made.parameters) - {"paint"} <= set(made.arrived)  # no text that it comes upon is a recipe


@pytest.mark.parametrize("guide", KINDS, ids=lambda guide: guide.name)
def test_whatever_an_endpoint_is_told_is_painted_or_answered_by_a_sentence(monkeypatch, guide):
    monkeypatch.setattr(jobs, "TICK", 0.0005)
    compute, line, ends = Fake(), Jobs(), {"painted": 0, "refused": 0}
    endpoint = api.endpoint(guide, compute, line)
    plain = dict.fromkeys(form(guide)) | to_flat(from_flat(guide, {}))

    async def call(values: list) -> list:
        async with contextlib.aclosing(endpoint(*values)) as steps:
            return [files async for files in steps][-1]

    @settings(FEW, max_examples=25)
    @given(flat(guide, JSON))
    def tell(values):
        small = plain | values | {"count": 1, "steps": 2}
        try:
            assert asyncio.run(call(list(small.values())))[0]["mime_type"] == "image/png"
            ends["painted"] += 1
        except gr.Error as error:
            ends["refused"] += 1
            assert words.chinese(error.message) != error.message != WENT_WRONG

    tell()
    assert all(ends.values())
    assert not line.line
