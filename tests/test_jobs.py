"""Runs that outlive their connection: turns, stops, and who may look."""

import asyncio
import threading

import pytest

from guidance.fields import RecipeError
from guidance.ui.runs import jobs
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.task import Shown


class Work:
    """A run that goes a step on each time it is let, and remembers whether it was closed."""

    waits, what, outcome = True, "work", "done"

    def __init__(self, steps: int = 3):
        self.steps, self.go, self.begun, self.closed = (
            steps,
            threading.Semaphore(0),
            threading.Event(),
            threading.Event(),
        )

    def __iter__(self):
        try:
            for i in range(self.steps):
                self.begun.set()
                assert self.go.acquire(timeout=20)
                yield {"status": f"step {i + 1}"}
        finally:
            self.closed.set()

    def waiting(self, ahead: int) -> Shown:
        return {"status": f"{ahead} ahead"}

    def pulse(self) -> Shown:
        return {}

    def release(self) -> None:
        self.released = True

    def end(self, begun: bool) -> Shown:
        return {"status": f"stopped {begun}"}


def followed(page: Jobs, key: str) -> dict[str, str]:
    """What a follower has seen when the run is over."""

    async def follow() -> dict[str, str]:
        updates = [update async for update in page.follow(key)]
        assert [over for _, over in updates][-1]
        return {place: text for shown, _ in updates for place, text in shown.items()}

    return asyncio.run(asyncio.wait_for(follow(), 20))


def test_a_run_goes_on_without_a_follower_and_is_found_by_its_key_again():
    page, work = Jobs(), Work(3)
    job = page.start(work)
    for _ in range(3):
        work.go.release()
    assert work.closed.wait(20)
    assert followed(page, job.key) == followed(page, job.key) == {"status": "step 3"}


def test_a_follower_is_woken_by_what_changes(monkeypatch):
    monkeypatch.setattr(jobs, "TICK", 60)  # longer than anybody waits
    page, work = Jobs(), Work(3)
    job = page.start(work)

    async def follow() -> list[str]:
        seen = []
        async for shown, _ in page.follow(job.key):
            seen += shown.values()
            work.go.release()
        return seen

    assert asyncio.run(asyncio.wait_for(follow(), 20)) == ["step 1", "step 2", "step 3"]


def test_nobody_sees_a_run_without_its_key():
    page, work = Jobs(), Work()
    key = page.start(work).key
    assert len(key) >= 20

    async def look(key: str) -> list:
        return [shown async for shown in page.follow(key)]

    assert asyncio.run(look("")) == asyncio.run(look(key[:-1])) == []
    page.stop(key[:-1])
    assert not work.closed.is_set()
    work.go.release(3)


def test_a_stopped_run_is_closed_within_a_step():
    page, work = Jobs(), Work(50)
    job = page.start(work)
    assert work.begun.wait(20)
    page.stop(job.key)
    work.go.release()
    assert work.closed.wait(20)
    assert followed(page, job.key) == {"status": "stopped True"}


def test_runs_take_turns_in_order_and_say_how_many_are_ahead():
    page, works = Jobs(), [Work(1) for _ in range(jobs.RUNS + 2)]
    started = [page.start(work) for work in works]
    for work in works[: jobs.RUNS]:
        assert work.begun.wait(20)
    last = started[-1]
    with page.moved:
        assert page.moved.wait_for(lambda: "status" in last.shown, 20)
    assert last.shown["status"][1] == "2 ahead"
    assert not works[-1].begun.is_set()
    page.stop(started[-2].key)
    assert followed(page, started[-2].key) == {"status": "stopped False"}
    assert not works[-2].begun.is_set()
    for work in works:
        work.go.release()
    assert followed(page, last.key) == {"status": "step 1"}


def test_one_run_too_many_is_turned_away_with_a_sentence(monkeypatch):
    monkeypatch.setattr(jobs, "LINE", 1)
    page, works = Jobs(), [Work() for _ in range(jobs.RUNS + 2)]
    started = [page.start(work) for work in works[:-1]]
    with pytest.raises(RecipeError, match=r"^Too many people are painting right now: try again in a minute\.$"):
        page.start(works[-1])
    for job, work in zip(started, works, strict=False):
        page.stop(job.key)
        work.go.release()
        followed(page, job.key)
    assert not page.line


def test_a_line_that_is_closed_ends_what_goes_on_and_begins_nothing():
    page, work = Jobs(), Work(1)
    job = page.start(work)
    assert page.close() == 1
    with pytest.raises(RecipeError, match=r"^This server is about to close: try again in a minute\.$"):
        page.start(Work())
    work.go.release()
    assert followed(page, job.key) == {"status": "step 1"} and page.close() == 0


def test_a_run_that_nobody_follows_ends(monkeypatch):
    page, work = Jobs(), Work(50)
    job = page.start(work)
    assert work.begun.wait(20)
    monkeypatch.setattr(jobs, "GRACE", 0.0)
    work.go.release()
    assert work.closed.wait(20)
    assert followed(page, job.key) == {"status": "stopped True"}


def test_old_runs_are_forgotten_as_soon_as_what_they_show_takes_too_much(monkeypatch):
    monkeypatch.setattr(jobs, "KEPT", 2 * len("step 1"))
    page, keys = Jobs(), []
    for _ in range(5):
        work = Work(1)
        work.go.release()
        keys.append(page.start(work).key)
        followed(page, keys[-1])
    assert list(page.jobs) == keys[-3:]


def test_of_runs_that_show_little_the_last_ones_are_kept(monkeypatch):
    monkeypatch.setattr(jobs, "MOST_KEPT", 2)
    page, keys = Jobs(), []
    for _ in range(5):
        work = Work(1)
        work.go.release()
        keys.append(page.start(work).key)
        followed(page, keys[-1])
    assert list(page.jobs) == keys[-3:]
    page.forget(keys[-1])
    assert list(page.jobs) == keys[-3:-1]


def test_what_a_run_needed_is_let_go_when_it_is_over():
    page, work = Jobs(), Work(1)
    work.go.release()
    followed(page, page.start(work).key)
    assert work.released
