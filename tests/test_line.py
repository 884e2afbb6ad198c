"""Everybody's share of the line: on a page that is really served, one visitor leaves room for the others."""

import json
import re
import time
from collections.abc import Iterator

import httpx
import pytest

from guidance import settings
from guidance.fields import RecipeError
from guidance.ui import page
from guidance.ui.html import words
from guidance.ui.runs import jobs
from guidance.ui.runs.jobs import FULL, RUNS, SHARE, Jobs
from guidance.ui.server import api
from tests.fake import Fake
from tests.test_jobs import Work, followed

MINE = f"You have {SHARE} runs in the line: wait for one of them, or stop it."


class Slow(Fake):
    """A compute function whose steps take a while."""

    def __call__(self, recipe):
        for frame in super().__call__(recipe):
            time.sleep(0.01)
            yield frame


@pytest.fixture
def compute() -> Slow:
    """What the page paints with."""
    return Slow()


@pytest.fixture
def demo(monkeypatch, compute) -> Iterator[page.gr.Blocks]:
    """A public page behind a proxy that says who asks."""
    for name, value in {"PUBLIC": True, "RATE": 0, "WORK": 0}.items():
        monkeypatch.setattr(settings, name, value)
    monkeypatch.setattr(page, "POSTS", 0)
    demo = page.build(compute)
    page.launch(demo, host="127.0.0.1", port=None, quiet=True)
    yield demo
    for job in line(demo).jobs.values():
        job.stopping = True
    demo.close()


def visitor(demo, address: str) -> httpx.Client:
    """Somebody from an address."""
    return httpx.Client(base_url=f"{demo.local_url}gradio_api/", headers={"x-forwarded-for": address}, timeout=60)


def begin(demo):
    """The event that begins a run of colours."""
    return next(fn for fn in demo.fns.values() if fn.name == "begin")


def line(demo) -> Jobs:
    """All runs of the page."""
    return begin(demo).fn.__self__.jobs


def press(demo, client: httpx.Client, steps: int = 250) -> tuple[str, str]:
    """Press Paint: a run's key, and the status line."""
    fn = begin(demo)
    names = [fn.fn.__self__.names[component] for component in fn.inputs]
    values = dict(zip(names, (component.value for component in fn.inputs), strict=True)) | {"steps": steps}
    body = {"fn_index": fn._id, "data": list(values.values()), "session_hash": "s"}
    return tuple(client.post("run/predict", json=body).json()["data"][:2])


def call(client: httpx.Client, **values) -> str:
    """Ask for pictures by the API: the event's name."""
    return client.post("call/v2/color", json=values).json()["event_id"]


def told(client: httpx.Client, event: str) -> str:
    """What a call comes to in the end."""
    return re.findall(r"event: (?:complete|error)\ndata: (.*)", client.get(f"call/color/{event}").text)[-1]


def until(so) -> None:
    """Wait for something that another thread does."""
    for _ in range(600):
        if so():
            return
        time.sleep(0.05)
    raise AssertionError("It did not happen.")


def test_turns_go_round_those_who_wait():
    page, works = Jobs(), {}
    for owner, name in zip("aaaaab", range(6), strict=True):
        page.owner = lambda owner=owner: owner
        works[name] = page.start(work := Work(1)), work
    until(lambda: sum(job.state == "running" for job, _ in works.values()) == RUNS)
    assert [job.owner for job in page.ordered()] == ["a", "a", "b", "a", "a", "a"]
    works[0][1].go.release()
    until(lambda: works[5][0].state == "running")
    for _, work in works.values():
        work.go.release()
    for job, _ in works.values():
        followed(page, job.key)


def test_a_visitor_has_a_share_of_the_line_and_others_the_rest():
    owner, works = ["a"], []
    page = Jobs(lambda: owner[0], share=3)
    for _ in range(3):
        works.append((page.start(work := Work(1)), work))
    with pytest.raises(RecipeError, match=r"^You have 3 runs in the line: wait for one of them, or stop it\.$"):
        page.start(Work())
    owner[0] = "b"
    works.append((page.start(work := Work(1)), work))
    for job, work in works:
        work.go.release()
        followed(page, job.key)


def test_one_visitor_s_eighty_clicks_leave_the_page_open(demo, monkeypatch):
    one, other = visitor(demo, "192.0.2.1"), visitor(demo, "192.0.2.2")
    said = [press(demo, one)[1] for _ in range(80)]
    assert sum(MINE in text for text in said) == 80 - SHARE
    assert words.chinese(MINE) != MINE
    key, status = press(demo, other, steps=2)
    assert key and FULL not in status
    assert MINE not in status
    assert json.loads(told(one, call(one)))["error"] == MINE  # the API's runs stand in the same line
    assert json.loads(told(other, call(other, steps=2)))[0][0]["mime_type"] == "image/png"
    monkeypatch.setattr(jobs, "UNSEEN", 0.0)  # nobody has looked at those that wait
    until(lambda: len(line(demo).line) <= RUNS)


def test_a_call_that_nobody_listens_to_is_stopped(demo, compute, monkeypatch):
    monkeypatch.setattr(jobs, "GRACE", 1.0)
    client = visitor(demo, "192.0.2.3")
    event = call(client, steps=1000, count=4)
    until(lambda: compute.asked)
    until(lambda: compute.over)
    assert json.loads(told(client, event))["error"] == api.NOBODY
    assert words.chinese(api.NOBODY) != api.NOBODY
    assert json.loads(told(client, call(client, steps=200)))[0][0]["mime_type"] == "image/png"  # over two seconds


def test_a_call_whose_caller_goes_away_is_stopped_at_once(demo, compute):
    client = visitor(demo, "192.0.2.4")
    with client.stream("GET", f"call/color/{call(client, steps=1000)}") as answer:
        next(answer.iter_lines())
    began = time.monotonic()
    until(lambda: compute.over)
    assert time.monotonic() - began < jobs.GRACE / 3
    until(lambda: not line(demo).jobs)  # and nothing is kept of it


def test_only_the_last_one_that_follows_a_run_is_served(demo):
    client = visitor(demo, "192.0.2.5")
    key, _ = press(demo, client)
    fn = next(fn for fn in demo.fns.values() if fn.name == "follow" and fn.fn.__self__ is begin(demo).fn.__self__)
    job = line(demo).jobs[key]
    for k in range(5):
        before, body = job.follower, {"fn_index": fn._id, "data": [key], "session_hash": f"follower {k}"}
        assert client.post("queue/join", json=body).status_code == 200
        until(lambda before=before: job.follower is not before)  # or a later one might begin sooner
    ends = [client.get("queue/data", params={"session_hash": f"follower {k}"}).text for k in range(4)]
    assert all("process_completed" in text for text in ends)
    assert job.state == "running"


def test_who_follows_and_does_not_listen_is_told_nothing_and_holds_no_place(demo, monkeypatch):
    monkeypatch.setattr(jobs, "UNSEEN", 0.5)
    client = visitor(demo, "192.0.2.6")
    key, _ = press(demo, client, steps=200)
    fn = next(fn for fn in demo.fns.values() if fn.name == "follow" and fn.fn.__self__ is begin(demo).fn.__self__)
    client.post("queue/join", json={"fn_index": fn._id, "data": [key], "session_hash": "deaf"})
    until(lambda: demo._queue.get_active_worker_count() == 0)
    messages = demo._queue.pending_messages_per_session["deaf"]
    assert messages.qsize() < 6  # that it began and ended, of two hundred steps
