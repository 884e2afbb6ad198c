"""A page for strangers: what they may ask for, how often, and what the server answers to requests meant to harm."""

import contextvars
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from gradio.context import LocalContext
from gradio_client import Client
from gradio_client.exceptions import AppError

from guidance import settings
from guidance.checks import RecipeError
from guidance.recipes import ClipRecipe, ColorRecipe, DigitRecipe
from guidance.ui import gate, limits, page
from tests.fake import Fake
from tests.hostile import CLIENT, REQUESTS, Hostile

# Paths of this machine that no answer may name.
SECRETS = (str(Path(__file__).parent.parent), str(Path(page.gr.__file__).parent), str(Path.home()) + "/")
LISTED = "johnowhitaker/ddpm-butterflies-32px"


@pytest.fixture
def public(monkeypatch):
    """Settings as on a public deployment, with small limits."""
    monkeypatch.setattr(settings, "PUBLIC", True)
    monkeypatch.setattr(settings, "RATE", 3)
    monkeypatch.setattr(settings, "WORK", 100)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A public page over a fake, with no limit on how often."""
    patch = pytest.MonkeyPatch()
    patch.setattr(settings, "PUBLIC", True)
    patch.setattr(settings, "RATE", 0)
    patch.setattr(page, "POSTS", 0)
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
        (ClipRecipe(count=2, steps=10, travel=4, candidates=3), 120),
        (ClipRecipe(count=2, steps=10, preset="quality"), 20),
        (DigitRecipe(digits="2026", count=2, steps=15), 120),
    ],
)
def test_work_is_pictures_times_the_steps_that_are_taken(recipe, work):
    assert limits.work(recipe) == work


def test_a_run_of_too_much_work_is_refused_before_it_begins():
    compute = Fake()
    with pytest.raises(RecipeError, match="at most 100 here, and this comes to 160 or more: ask for fewer."):
        paint(limits.limited(compute, 0, 100), ColorRecipe(count=4, steps=40))
    assert not compute.asked
    assert paint(limits.limited(compute, 0, 160), ColorRecipe(count=4, steps=40)) == 40
    assert paint(limits.limited(compute, 0, 0), ColorRecipe(count=64, steps=40)) == 40


def test_what_a_run_compares_is_one_run_of_all_their_work(monkeypatch):
    monkeypatch.setattr(limits, "visitor", lambda: "someone")
    run = limits.limited(Fake(), 2, 100)
    recipes = [ColorRecipe(steps=40), ColorRecipe(steps=40, scale=0)]
    assert paint(run, *recipes) == 80
    with pytest.raises(RecipeError, match="comes to 120 or more"):
        paint(run, *recipes, ColorRecipe(steps=40, scale=1))
    with pytest.raises(RecipeError, match="more than 2 runs in a minute"):
        paint(run, *recipes)


def test_the_server_s_own_runs_are_not_counted():
    run = limits.limited(Fake(), 1, 0)
    assert [paint(run, ColorRecipe(steps=2)) for _ in range(3)] == [2, 2, 2]


def test_a_visitor_of_a_public_page_meets_every_limit_as_a_sentence(public):
    demo, client = served(Fake())
    try:
        with pytest.raises(AppError, match="at most 100 here, and this comes to 128 or more"):
            client.predict(steps=64, count=2, api_name="/color")
        with pytest.raises(AppError, match="Model must be one of those that the page lists"):
            client.predict(model="someone/else", api_name="/color")
        for _ in range(3):
            client.predict(model=LISTED, steps=1, api_name="/color")
        with pytest.raises(AppError, match="more than 3 runs in a minute; please go on in"):
            client.predict(steps=1, api_name="/digits")
    finally:
        demo.close()


def test_a_visitor_of_the_tabs_meets_them_too(public):
    demo = page.build(Fake())
    begin = next(fn for fn in demo.fns.values() if fn.name == "begin")
    visitor = SimpleNamespace(headers={}, client=SimpleNamespace(host="192.0.2.1"))
    values = {"steps": 10, "count": 2} | {"scale": 0}

    def asked() -> str:
        LocalContext.request.set(visitor)
        names = [*controls_of(demo, begin)]
        given = [values.get(name, block.value) for name, block in zip(names, begin.inputs, strict=True)]
        runner = begin.fn.__self__
        job = runner.jobs.jobs[begin.fn(visitor, *given)[0]]
        with runner.jobs.moved:
            assert runner.jobs.moved.wait_for(lambda: job.state == "over", 60)
        return job.shown["status"][1]

    texts = [contextvars.copy_context().run(asked) for _ in range(4)]
    assert ["Done" in text for text in texts] == [True, True, True, False]
    assert "more than 3 runs in a minute" in texts[3]


def controls_of(demo, begin) -> list[str]:
    """The names of what a handler is given: the recipe's fields come last."""
    fields = list(ColorRecipe.__dataclass_fields__)
    return [""] * (len(begin.inputs) - len(fields)) + fields


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
        assert httpx.get(url + path).status_code == 403


def test_runs_are_refused_to_those_who_skip_the_queue(url):
    config = httpx.get(f"{url}config").json()
    runs = [fn for fn in config["dependencies"] if fn["api_name"] in ("color", "clip", "digits")]
    assert len(runs) == 3
    for fn in runs:
        for body in ({"data": [], "fn_index": fn["id"]}, {"data": [], "fn_index": fn["id"], "session_hash": "s"}):
            answer = httpx.post(f"{url}gradio_api/run/predict", json=body, timeout=60)  # torch may load
            assert answer.status_code == 404
            assert "queue" in answer.text


@pytest.mark.parametrize("hostile", REQUESTS, ids=lambda hostile: hostile.name)
def test_hostile_requests_get_an_answer_and_learn_nothing(url, hostile: Hostile):
    status, text, kind = hostile.send(url)
    assert status < 500, text[:500]
    for secret in ("Traceback", 'File "', "site-packages", "root:x:", *SECRETS):
        assert secret not in text
    assert "html" not in kind or "<script>alert(1)" not in text


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
