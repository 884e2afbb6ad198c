"""Runs that outlive the connection they were asked over: whoever loads the page again finds theirs going on."""

import asyncio
import contextvars
import ctypes
import logging
import secrets
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from functools import partial

from guidance import progress
from guidance.fields import RecipeError
from guidance.ui.runs.heard import listener
from guidance.ui.runs.task import Shown, Task

log = logging.getLogger(__name__)

RUNS = 2  # at once; a device takes one step at a time anyway, and more would make all of them wait
LINE = 64  # that may wait; one more is turned away with a sentence
KEPT, MOST_KEPT = 32_000_000, 200  # bytes and number of finished ones that can still be looked at, the last ones
SHARE = 8  # of those that run and wait, a visitor of a public page
GRACE = 45.0  # seconds that a run goes on with nobody looking
UNSEEN = 10.0  # and that one waits at which nobody has looked yet, and that somebody follows who does not listen
TICK = 0.05  # seconds between two looks at a run in which nothing changes
TRIM = 10.0  # and between two times that memory is given back
FULL = "Too many people are painting right now: try again in a minute."
CLOSING = "This server is about to close: try again in a minute."


def give_back() -> None:
    """Have the C library give freed memory back: glibc would keep it, in pieces, as much again as a page needs."""
    with suppress(OSError, TypeError, AttributeError):  # where there is another
        ctypes.CDLL(None).malloc_trim(0)


class Job:
    """One run: what it shows by now, and a way to stop it. Its key is known to whoever asked for it alone."""

    def __init__(self, work: Task, owner: str = ""):
        self.key = secrets.token_urlsafe(16)
        self.work, self.owner = work, owner
        self.state = "waiting"  # then "running", and "over"
        self.shown: dict[str, tuple[int, str]] = {}  # by place: when, and what
        self.version = 0
        self.stopping = False
        self.asked = self.begun = self.seen = time.monotonic()
        self.number = secrets.token_hex(4)  # in the log, where its key has no place
        self.follower: Callable[[], None] | None = None  # wakes the last one; after a reload no other is of use

    def look(self) -> None:
        """Somebody looks at it."""
        self.seen = time.monotonic()

    def show(self, shown: Shown) -> None:
        """Change what is shown at some places."""
        if shown:
            self.shown |= {place: (self.version + 1, text) for place, text in shown.items()}
            self.changed()

    def changed(self) -> None:
        """Something has changed."""
        self.version += 1
        if follower := self.follower:
            with suppress(RuntimeError):  # its server has ended
                follower()

    @property
    def size(self) -> int:
        """The bytes of what it shows."""
        return sum(len(text) for _, text in self.shown.values())

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        unseen = self.state == "waiting" and self.seen == self.asked
        return not self.stopping and time.monotonic() - self.seen < (min(UNSEEN, GRACE) if unseen else GRACE)


class Jobs:
    """All runs of a page: everybody's first one, then everybody's second, each in the order they were asked for.

    `owner` tells who asks, and `share` is how many of the line are one's own at most, 0: any number. `runs` go on at
    once.
    """

    def __init__(self, owner: Callable[[], str] = str, share: int = 0, runs: int = RUNS):
        self.owner, self.share, self.runs = owner, share, runs
        self.jobs = OrderedDict[str, Job]()
        self.line: list[Job] = []  # running and waiting, as they were asked for
        self.moved = threading.Condition()
        self.closed = False  # to new runs
        self.ended, self.refused = Counter[str](), 0  # runs by their outcomes, and those that were not let in
        self.trimmed = time.monotonic()

    def start(self, work: Task) -> Job:
        """Begin a run in a thread of its own; RecipeError when too many wait, or of one's own, or it is closed."""
        job = Job(work, self.owner())
        with self.moved:
            if self.closed:
                raise RecipeError(CLOSING)
            if work.waits:
                mine = sum(other.owner == job.owner for other in self.line)
                crowded = self.share and mine >= self.share
                if crowded or len(self.line) >= self.runs + LINE:
                    self.refused += 1
                    few = f"You have {self.share} runs in the line: wait for one of them, or stop it."
                    raise RecipeError(few if crowded else FULL)
                self.line.append(job)
            self.jobs[job.key] = job
            over = deque(job for job in self.jobs.values() if job.state == "over")
            held = sum(job.size for job in over)
            while held > KEPT or len(over) > MOST_KEPT:
                held -= self.jobs.pop(over.popleft().key).size
        context = contextvars.copy_context()  # carries whose request it is, which ZeroGPU asks for
        threading.Thread(target=context.run, args=(self.run, job), daemon=True).start()
        return job

    def close(self) -> int:
        """Begin nothing any more; how many runs go on or wait."""
        with self.moved:
            self.closed = True
            return len(self.line)

    def run(self, job: Job) -> None:
        """A run's thread: wait for a turn, work, and let the next one go."""
        begun, outcome = False, "failed"
        progress.wanted.set(lambda: job.wanted)
        try:
            if begun := not job.work.waits or self.turn(job):
                job.state, job.begun = "running", time.monotonic()
                with closing(iter(job.work)) as steps:
                    for shown in steps:
                        job.show(shown)
                        if not job.wanted:
                            break
            outcome = job.work.outcome if job.wanted else "stopped"
            if not job.wanted:
                job.show(job.work.end(begun))
        finally:
            now = time.monotonic()
            waited = (job.begun if begun else now) - job.asked
            log.info("run=%s what=%s outcome=%s waited=%.2f took=%.2f", job.number, job.work.what, outcome, waited,
                     now - job.asked - waited)  # fmt: skip
            job.work.release()
            with self.moved:
                self.ended[outcome] += 1
                job.state = "over"
                job.changed()
                if job.work.waits:
                    self.line.remove(job)
                self.moved.notify_all()
            if now - self.trimmed > TRIM:
                self.trimmed = now
                give_back()

    def turn(self, job: Job) -> bool:
        """Wait until it is this run's turn; False if it is wanted no more."""
        ahead = -1
        with self.moved:
            while job.wanted:
                before, ahead = ahead, max(0, self.ordered().index(job) + 1 - self.runs)
                if ahead == 0:
                    job.state = "running"
                    return True
                if ahead != before:
                    job.show(job.work.waiting(ahead))
                self.moved.wait(1)  # and then see whether anybody still looks
        return False

    def ordered(self) -> list[Job]:
        """The line: what runs, then what waits, by turns."""
        turns = Counter()

        def turn(job: Job) -> tuple[bool, int]:
            turns[job.owner] += 1
            return job.state != "running", turns[job.owner]

        return sorted(self.line, key=turn)

    def find(self, key: object) -> Job | None:
        """The run of a key, whatever that is."""
        return self.jobs.get(key) if isinstance(key, str) else None

    def stop(self, key: object) -> None:
        """Stop a run within one step."""
        if job := self.find(key):
            job.stopping = True
            with self.moved:
                self.moved.notify_all()

    def forget(self, key: str) -> None:
        """Stop a run that nobody will look at again, wherever it is."""
        self.stop(key)
        self.jobs.pop(key, None)

    async def follow(self, key: object) -> AsyncIterator[tuple[Shown, bool]]:
        """What a run shows, as it changes, and whether it is over; nothing for a key that is none.

        Nothing is shown while nobody listens, and the last one that follows a run is the only one.
        """
        job, seen, listens = self.find(key), -1, listener()
        heard, changed = time.monotonic(), asyncio.Event()
        me = partial(asyncio.get_running_loop().call_soon_threadsafe, changed.set)
        if job:
            job.follower = me
        while job and job.follower is me:
            changed.clear()
            if listens():
                job.look()
                heard = job.seen
                if job.state == "running":
                    job.show(job.work.pulse())
                over, now = job.state == "over", job.version
                if over or now != seen:
                    yield {place: text for place, (version, text) in list(job.shown.items()) if version > seen}, over
                    seen = now
                if over:
                    return
            elif time.monotonic() - heard > UNSEEN:
                return
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), TICK)
