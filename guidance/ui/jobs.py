"""Runs that outlive the connection they were asked over: whoever loads the page again finds theirs going on."""

import asyncio
import contextvars
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Protocol

from guidance.checks import RecipeError

RUNS = 2  # at once; the device takes one step at a time anyway, and more would make all of them wait
LINE = 64  # that may wait; one more is turned away with a sentence
KEPT = 64  # finished ones that can still be looked at
GRACE = 45.0  # seconds that a run goes on with nobody looking
TICK = 0.05  # seconds between two looks at a run
FULL = "Too many people are painting right now: try again in a minute."

Shown = dict[str, str]  # what a run shows, by place; the places are the caller's


class Work(Protocol):
    """What a job does, and what it shows while it does nothing."""

    def __iter__(self) -> Iterator[Shown]:
        """What changes at each step; closed when the job is stopped."""

    def waiting(self, ahead: int) -> Shown:
        """How many are ahead in the queue."""

    def pulse(self) -> Shown:
        """What has changed between two steps."""

    def end(self, begun: bool) -> Shown:
        """What stays after a stop, given whether the work had begun."""


class Job:
    """One run: what it shows by now, and a way to stop it. Its key is known to whoever asked for it alone."""

    def __init__(self, work: Work):
        self.key = secrets.token_urlsafe(16)
        self.work = work
        self.state = "waiting"  # then "running", and "over"
        self.shown: dict[str, tuple[int, str]] = {}  # by place: when, and what
        self.version = 0
        self.stopping = False
        self.seen = time.monotonic()

    def show(self, shown: Shown) -> None:
        """Change what is shown at some places."""
        if shown:
            self.shown |= {place: (self.version + 1, text) for place, text in shown.items()}
            self.version += 1

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return not self.stopping and time.monotonic() - self.seen < GRACE


class Jobs:
    """All runs of a page. They begin in the order in which they were asked for."""

    def __init__(self):
        self.jobs = OrderedDict[str, Job]()
        self.line: list[Job] = []  # running and waiting, in order
        self.moved = threading.Condition()

    def start(self, work: Work) -> Job:
        """Begin a run in a thread of its own; RecipeError when too many wait."""
        job = Job(work)
        with self.moved:
            if len(self.line) >= RUNS + LINE:
                raise RecipeError(FULL)
            self.line.append(job)
            self.jobs[job.key] = job
            over = [key for key, job in self.jobs.items() if job.state == "over"]
            for key in over[: max(0, len(over) - KEPT)]:
                del self.jobs[key]
        context = contextvars.copy_context()  # carries whose request it is, which ZeroGPU asks for
        threading.Thread(target=context.run, args=(self.run, job), daemon=True).start()
        return job

    def run(self, job: Job) -> None:
        """A run's thread: wait for a turn, work, and let the next one go."""
        try:
            if begun := self.turn(job):
                job.state = "running"
                with closing(iter(job.work)) as steps:
                    for shown in steps:
                        job.show(shown)
                        if not job.wanted:
                            break
            if not job.wanted:
                job.show(job.work.end(begun))
        finally:
            with self.moved:
                job.state = "over"
                job.version += 1
                self.line.remove(job)
                self.moved.notify_all()

    def turn(self, job: Job) -> bool:
        """Wait until it is this run's turn; False if it is wanted no more."""
        ahead = -1
        with self.moved:
            while job.wanted:
                before, ahead = ahead, max(0, self.line.index(job) + 1 - RUNS)
                if ahead == 0:
                    return True
                if ahead != before:
                    job.show(job.work.waiting(ahead))
                self.moved.wait(1)  # and then see whether anybody still looks
        return False

    def stop(self, key: str) -> None:
        """Stop a run within one step."""
        if job := self.jobs.get(key):
            job.stopping = True
            with self.moved:
                self.moved.notify_all()

    async def follow(self, key: str) -> AsyncIterator[tuple[Shown, bool]]:
        """What a run shows, as it changes, and whether it is over; nothing for a key that is none."""
        job, seen = self.jobs.get(key), -1
        while job:
            job.seen = time.monotonic()
            if job.state == "running":
                job.show(job.work.pulse())
            over, now = job.state == "over", job.version
            if over or now != seen:
                yield {place: text for place, (version, text) in list(job.shown.items()) if version > seen}, over
                seen = now
            if over:
                return
            await asyncio.sleep(TICK)
