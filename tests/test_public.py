"""A page for strangers: what they may ask for, how often, and what the server answers to requests meant to harm."""

import asyncio
import contextvars
import inspect
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import httpx
import pytest
from gradio.context import LocalContext
from gradio_client import Client
from gradio_client.exceptions import AppError

from guidance import guides, settings
from guidance.fields import RecipeError
from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.recipe import ClipRecipe, ColorRecipe, DigitRecipe, Recipe, to_json
from guidance.ui import page
from guidance.ui.html import words
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.task import WENT_WRONG
from guidance.ui.server import api, gate, limits
from tests.fake import LISTED, Fake
from tests.hostile import CLIENT, FILES, REQUESTS, VALUES, Hostile, described, with_value

# Paths of this machine that no answer may name.
SECRETS = (str(Path(__file__).parent.parent), str(Path(page.gr.__file__).parent), str(Path.home()) + "/")
OFFERED = "johnowhitaker/ddpm-butterflies-32px"
ENDPOINTS = [*map(guides.endpoint, guides.every().values()), "paint"]
TOO_MUCH = "Pictures times steps may be at most 100 here, and this comes to {} or more: ask for fewer."
TOO_OFTEN = r"That was more than {} runs in a minute; please go on in \d+ s\."


@pytest.fixture
def public(monkeypatch):
    """Settings as on a public deployment, with small limits."""
    monkeypatch.setattr(settings, "PUBLIC", True)
    monkeypatch.setattr(settings, "RATE", 3)
    monkeypatch.setattr(settings, "WORK", 100)


@pytest.fixture(scope="module")
def arrived() -> list:
    """What has arrived in the functions of the API."""
    return []


@pytest.fixture(scope="module")
def url(arrived) -> Iterator[str]:
    """A public page over a fake, with no limit on how often."""
    patch, painted = pytest.MonkeyPatch(), api.painted
    patch.setattr(settings, "PUBLIC", True)
    patch.setattr(settings, "RATE", 0)
    patch.setattr(page, "POSTS", 0)
    patch.setattr(api, "painted", lambda recipe, *more: arrived.append(recipe) or painted(recipe, *more))
    demo = page.build(Fake())
    yield page.launch(demo, host="127.0.0.1", port=None, quiet=True)
    demo.close()
    patch.undo()


def served(compute: Fake) -> tuple:
    """A page over a fake and a client of it."""
    demo = page.build(compute)
    url = page.launch(demo, host="127.0.0.1", port=None, quiet=True)
    return demo, Client(url, verbose=False, download_files=False, analytics_enabled=False)


def paint(compute, *recipes) -> int:
    """How many frames a run of these recipes has."""
    return contextvars.copy_context().run(lambda: sum(len(list(compute(recipe))) for recipe in recipes))


def test_an_allowance_fills_up_again_and_forgets_the_oldest_visitors():
    now = [0.0]
    allowance = limits.Allowance(2, size=2, clock=lambda: now[0])
    assert [allowance.take("a") for _ in range(3)] == [0, 0, 30]
    assert allowance.take("b") == 0
    now[0] = 30
    assert [allowance.take("a"), allowance.take("a")] == [0, 30]
    allowance.take("c")  # the one that has not come for longest is b
    assert list(allowance.held) == ["a", "c"]


@pytest.mark.parametrize(
    ("recipe", "work"),
    [
        (ColorRecipe(count=4, steps=40), 160),
        (ClipRecipe(count=2, steps=10, travel=4, candidates=3, tries=1), 120),
        (ClipRecipe(count=2, steps=10, preset="quality"), 160),
        (DigitRecipe(digits="2026", count=2, steps=15), 120),
        (Recipe(guides=Color("teal") + Brightness(0.8), count=2, steps=10), 40),
        (ColorRecipe(count=4, steps=40).unguided(), 160),
    ],
)
def test_work_is_pictures_times_the_steps_that_are_taken(recipe, work):
    assert limits.work(recipe) == work


def test_a_run_of_too_much_work_is_refused_before_it_begins():
    compute = Fake()
    with pytest.raises(RecipeError) as error:
        paint(limits.limited(compute, 0, 100), ColorRecipe(count=4, steps=40))
    assert str(error.value) == TOO_MUCH.format(160)
    assert not compute.asked
    assert paint(limits.limited(compute, 0, 160), ColorRecipe(count=4, steps=40)) == 40
    assert paint(limits.limited(compute, 0, 0), ColorRecipe(count=64, steps=40)) == 40


def test_what_a_run_compares_is_one_run_of_all_their_work(monkeypatch):
    monkeypatch.setattr(limits, "visitor", lambda: "someone")
    run = limits.limited(Fake(), 2, 100)
    recipes = [ColorRecipe(steps=40), ColorRecipe(steps=40, scale=0)]
    assert paint(run, *recipes) == 80
    with pytest.raises(RecipeError) as error:
        paint(run, *recipes, ColorRecipe(steps=40, scale=1))
    assert str(error.value) == TOO_MUCH.format(120)
    with pytest.raises(RecipeError) as error:
        paint(run, *recipes)
    assert re.fullmatch(TOO_OFTEN.format(2), str(error.value))


def test_the_server_s_own_runs_are_not_counted():
    run = limits.limited(Fake(), 1, 0)
    assert [paint(run, ColorRecipe(steps=2)) for _ in range(3)] == [2, 2, 2]


def test_a_visitor_of_a_public_page_meets_every_limit_as_a_sentence(public):
    demo, client = served(Fake())
    try:
        two = to_json(Recipe(guides=Color() + Brightness(), steps=64))
        for values, name in (({"steps": 64, "count": 2}, "/color"), ({"recipe": two}, "/paint")):
            with pytest.raises(AppError, match=f"^{re.escape(TOO_MUCH.format(128))}$"):
                client.predict(**values, api_name=name)
        other = '{"guides": [], "model": "someone/else"}'
        for values, name in (({"model": "someone/else"}, "/color"), ({"recipe": other}, "/paint")):
            with pytest.raises(AppError, match=f"^{re.escape(LISTED)}$"):
                client.predict(**values, api_name=name)
        for _ in range(3):
            client.predict(model=OFFERED, steps=1, api_name="/color")
        with pytest.raises(AppError, match=f"^{TOO_OFTEN.format(3)}$"):
            client.predict(steps=1, api_name="/digits")
    finally:
        demo.close()


def test_a_visitor_of_the_tabs_meets_them_too(public):
    demo = page.build(Fake())
    begin = next(fn for fn in demo.fns.values() if fn.name == "begin")
    visitor = SimpleNamespace(headers={}, client=SimpleNamespace(host="192.0.2.1"))
    runner, values = begin.fn.__self__, {"steps": 10, "count": 2, "scale": 0}

    def asked() -> str:
        LocalContext.request.set(visitor)
        given = {control: values.get(name, control.value) for control, name in runner.names.items()}
        job = runner.jobs.jobs[begin.fn(given, visitor)[0]]
        with runner.jobs.moved:
            assert runner.jobs.moved.wait_for(lambda: job.state == "over", 60)
        return job.shown["status"][1]

    texts = [contextvars.copy_context().run(asked) for _ in range(4)]
    assert ["Done" in text for text in texts] == [True, True, True, False]
    assert re.fullmatch(TOO_OFTEN.format(3), re.search("<p>(.*)</p>", texts[3])[1])


def test_a_page_of_one_s_own_has_no_such_limits():
    compute = Fake()
    demo, client = served(compute)
    try:
        for _ in range(4):
            client.predict(model="someone/else", steps=200, count=3, api_name="/color")
    finally:
        demo.close()
    assert len(compute.asked) == 4


def test_floods_and_big_bodies_are_turned_away_at_the_gate(monkeypatch, public):
    monkeypatch.setattr(page, "POSTS", 12)
    demo = page.build(Fake())
    url = page.launch(demo, host="127.0.0.1", port=None, quiet=True)
    try:
        big = httpx.post(f"{url}gradio_api/queue/join", content=b"x" * (gate.MAX_BODY + 1))
        assert (big.status_code, big.json()) == (413, {"detail": "A request may have at most 1,000,000 bytes."})
        file = {"files": ("a.png", b"x" * 10)}
        assert httpx.post(f"{url}gradio_api/upload", files=file).status_code == 200
        much = httpx.post(f"{url}gradio_api/upload", files=file)
        assert much.status_code == 429
        assert much.json()["detail"].startswith("These were too many requests; please go on in")
        assert int(much.headers["retry-after"]) > 0
    finally:
        demo.close()


def test_what_a_visitor_says_of_himself_is_not_believed(monkeypatch, public):
    monkeypatch.setattr(page, "POSTS", 2)
    demo = page.build(Fake())
    url = page.launch(demo, host="127.0.0.1", port=None, quiet=True)
    try:
        told = [{limits.HEADER: f"{guess}:10.0.0.{n}"} for n, guess in enumerate(("", "guess", "0" * 32))]
        answers = [httpx.post(f"{url}gradio_api/queue/join", json={}, headers=headers) for headers in told]
        assert [answer.status_code for answer in answers] == [422, 422, 429]
    finally:
        demo.close()


def test_uploads_are_small(url):
    answer = httpx.post(f"{url}gradio_api/upload", files={"files": ("a.png", b"x" * (gate.MAX_FILE + 1))})
    assert answer.status_code == 413


def test_nothing_is_monitored(url):
    for path in ("monitoring", "monitoring/summary", "monitoring/key"):
        assert httpx.get(url + path).status_code == 404


def test_runs_are_refused_to_those_who_skip_the_queue(url):
    config = httpx.get(f"{url}config").json()
    runs = [fn for fn in config["dependencies"] if fn["api_name"] in ENDPOINTS]
    assert len(runs) == len(ENDPOINTS)
    for fn in runs:
        for body in ({"data": [], "fn_index": fn["id"]}, {"data": [], "fn_index": fn["id"], "session_hash": "s"}):
            answer = httpx.post(f"{url}gradio_api/run/predict", json=body, timeout=60)  # torch may load
            assert answer.status_code == 404
            assert "queue" in answer.text


@pytest.mark.parametrize("hostile", REQUESTS, ids=lambda hostile: hostile.name)
def test_hostile_requests_get_an_answer_and_learn_nothing(url, hostile: Hostile):
    status, text, kind = hostile.send(url)
    assert status < 500, text[:500]
    learns_nothing(text)
    assert "html" not in kind or "<script>alert(1)" not in text


def learns_nothing(text: str) -> None:
    """An answer names neither code nor files of this machine."""
    for secret in ("Traceback", 'File "', "site-packages", "root:x:", *SECRETS):
        assert secret not in text


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_values_meant_to_harm_reach_our_functions_and_are_answered_by_a_sentence_or_pictures(url, arrived, value):
    endpoints = described(url)
    assert list(endpoints) == ENDPOINTS
    for endpoint, parameters in endpoints.items():
        for hostile in with_value(value, endpoint, parameters):
            before = len(arrived)
            status, text, _ = hostile.send(url)
            learns_nothing(text)
            if len(hostile.body) > gate.MAX_BODY:
                assert (status, json.loads(text)) == (413, {"detail": "A request may have at most 1,000,000 bytes."})
                assert len(arrived) == before
                continue
            assert (status, len(arrived)) == (200, before + 1)
            event, data = re.findall(r"event: (complete|error)\ndata: (.*)", text)[-1]
            if event == "error":
                said = json.loads(data)["error"]
                assert words.chinese(said) != said != WENT_WRONG  # what is ours has its Chinese
            else:
                assert json.loads(data)[0][0]["mime_type"] == "image/png"


@pytest.mark.parametrize("value", FILES.values(), ids=FILES)
def test_files_that_nobody_has_uploaded_do_not_reach_our_functions(url, arrived, value):
    before = len(arrived)
    for endpoint, parameters in described(url).items():
        for hostile in with_value(value, endpoint, parameters):
            status, text, _ = hostile.send(url)
            learns_nothing(text)
            assert status == 200
            said = json.loads(re.findall(r"event: error\ndata: (.*)", text)[-1])["error"]
            assert said == "A file stands where a word or a number belongs."
    assert len(arrived) == before


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_meant_to_harm_is_refused_by_a_sentence_in_every_place_of_every_tab_and_endpoint(value):
    refused = 0
    begins = [fn.fn.__self__ for fn in page.build(Fake()).fns.values() if fn.name == "begin"]
    for runner in begins[:-1]:  # the last one fine-tunes
        for changed in runner.names:
            given = {name: value if control is changed else control.value for control, name in runner.names.items()}
            try:
                runner.ask(str, given)
            except RecipeError as error:
                refused += 1
                assert words.chinese(str(error)) != str(error)
    for kind in guides.every().values():
        function = api.endpoint(kind, Fake(), Jobs())
        defaults = {name: place.default for name, place in inspect.signature(function).parameters.items()}
        for name in defaults:
            try:
                assert asyncio.run(last(function(*(defaults | {name: value}).values())))
            except gr.Error as error:
                refused += 1
                assert words.chinese(error.message) != error.message != WENT_WRONG
    assert refused > 40


async def last(steps: AsyncIterator) -> object:
    """The last that an endpoint gives."""
    return [step async for step in steps][-1]


def test_no_event_of_the_page_breaks_on_what_it_is_not_made_for(url):
    events = httpx.get(f"{url}config").json()["dependencies"]
    assert len(events) > 20
    for event in events:
        for value in (None, -1, "\x00<script>", ["x"], {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}):
            for count in (0, 1, len(event["inputs"])):
                body = {"fn_index": event["id"], "data": [value] * count, "session_hash": "s", "event_data": value}
                answer = CLIENT.post(f"{url}gradio_api/run/predict", json=body)
                assert answer.status_code < 500
                assert not [secret for secret in SECRETS if secret in answer.text]


def test_the_page_still_works_after_all_of_them(url):
    client = Client(url, verbose=False, download_files=False, analytics_enabled=False)
    assert client.predict(steps=1, api_name="/color")
    assert json.loads(httpx.get(f"{url}config").text)["title"] == "Guidance"
