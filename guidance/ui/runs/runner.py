"""The handlers of a tab: what happens between its controls and its runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import gradio as gr
from starlette.concurrency import run_in_threadpool

from guidance.ui.html import pictures, words
from guidance.ui.html.words import Say
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.task import Task, sentence

PATIENCE = 3.0  # seconds that what moves waits for its first pictures


class Runner:
    """The handlers of a tab: `ask(say, values)` makes a task, shown at `places`, of its controls' values by name."""

    def __init__(self, jobs: Jobs, ask: Callable[[Say, dict], Task], places: tuple[str, ...],
                 follower: Callable[[Say, dict], Task] | None = None):  # fmt: skip
        self.jobs, self.ask, self.places, self.follower = jobs, ask, places, follower
        self.names: dict[object, str] = {}  # of the controls

    def begin(self, values: dict, request: gr.Request) -> tuple:
        """Ask for a task by the values of the controls: (its key, status, the button that began it, Stop)."""
        say, asked = words.speaker(request), {self.names[control]: value for control, value in values.items()}
        before = self.jobs.find(asked.pop("key", ""))
        asked.pop("live", None)
        try:
            job = self.jobs.start(self.ask(say, asked))
        except Exception as error:
            return "", pictures.status("error", say(sentence(error))), gr.skip(), gr.skip()
        if before and not before.work.waits:  # it has followed the controls until now
            self.jobs.stop(before.key)
        status = pictures.status("waiting", say("Waiting for a turn"))
        return job.key, status, gr.Button(interactive=False), gr.Button(interactive=True)

    async def live(self, values: dict, request: gr.Request) -> tuple:
        """Have what goes on follow the controls, or begin to: (its key, status, the first pictures if it goes on)."""
        say, asked = words.speaker(request), {self.names[control]: value for control, value in values.items()}
        key, on = asked.pop("key"), asked.pop("live")
        if on is not True:
            return gr.skip(), gr.skip(), ""
        try:
            work, job = await run_in_threadpool(self.follower, say, asked), self.jobs.find(key)
            if work and job and not job.work.waits and not job.stopping:
                first = work.first()
                if job.work.turn(work):
                    shown = {}
                    with suppress(asyncio.TimeoutError):  # in a line: then it is shown to who follows
                        shown = await asyncio.wait_for(asyncio.wrap_future(first), PATIENCE)
                    return gr.skip(), shown.get("status", gr.skip()), shown.get("view", "")
            return self.jobs.start(work).key if work else gr.skip(), gr.skip(), ""
        except Exception as error:
            return gr.skip(), pictures.status("error", say(sentence(error))), ""

    async def follow(self, key: object) -> AsyncIterator[tuple]:
        """What a task shows, again and again: (*places, both buttons); nothing changes for a key that is none."""
        job = self.jobs.find(key)
        async for shown, over in self.jobs.follow(key):
            changed = [shown.get(place, gr.skip()) for place in self.places]
            rests = over or job.work.rests
            yield *changed, gr.Button(interactive=over or not job.work.waits), gr.Button(interactive=not rests)
        # Gradio would empty what a generator that yields nothing could have changed.
        yield *[gr.skip()] * len(self.places), gr.Button(interactive=True), gr.Button(interactive=False)
