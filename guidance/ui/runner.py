"""What a tab begins for a visitor and follows: painting or learning, told about in its status line."""

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator

import gradio as gr

from guidance.checks import RecipeError
from guidance.ui import pictures, words
from guidance.ui.jobs import Jobs, Shown
from guidance.ui.words import Say

log = logging.getLogger(__name__)
WENT_WRONG = "Something went wrong on our side; the run was stopped."


def sentence(error: Exception) -> str:
    """What the user is told about an error; what is not theirs goes to the log."""
    if isinstance(error, RecipeError):
        return str(error)
    from guidance.generation import TOLD  # imports torch, which a run that got here has done

    if isinstance(error, TOLD):
        return str(error)
    log.error("A run failed.", exc_info=error)
    return WENT_WRONG


class Task(ABC):
    """Work for a visitor, as `Jobs` runs it, which says in their language how it goes and how it failed."""

    def __init__(self, say: Say):
        self.say = say

    def status(self, state: str, text: str, share: float = 0.0) -> Shown:
        """The status line alone."""
        return {"status": pictures.status(state, self.say(text), share)}

    def __iter__(self) -> Iterator[Shown]:
        """What changes at each step; a failure is told as well."""
        try:
            yield self.status("running", "Getting the model ready")
            yield from self.go()
        except Exception as error:
            yield self.status("error", sentence(error))

    @abstractmethod
    def go(self) -> Iterator[Shown]:
        """Do the work; what changes at each step."""

    @abstractmethod
    def end(self, begun: bool) -> Shown:
        """What stays after a stop."""

    def waiting(self, ahead: int) -> Shown:
        """How many are ahead in the queue."""
        return self.status("waiting", f"Waiting for a turn: {ahead} ahead of you")

    def pulse(self) -> Shown:
        """What has changed between two steps."""
        return {}


class Runner:
    """The handlers of a tab: `ask(say, *values)` makes a task of control values, which shows things at `places`."""

    def __init__(self, jobs: Jobs, ask: Callable[..., Task], places: tuple[str, ...]):
        self.jobs, self.ask, self.places = jobs, ask, places

    def begin(self, request: gr.Request, *values: object) -> tuple:
        """Ask for a task: (its key, status, the button that began it, Stop)."""
        say = words.speaker(request)
        try:
            job = self.jobs.start(self.ask(say, *values))
        except Exception as error:
            return "", pictures.status("error", say(sentence(error))), gr.skip(), gr.skip()
        status = pictures.status("waiting", say("Waiting for a turn"))
        return job.key, status, gr.Button(interactive=False), gr.Button(interactive=True)

    async def follow(self, key: str) -> AsyncIterator[tuple]:
        """What a task shows, again and again: (*places, both buttons); nothing changes for a key that is none."""
        async for shown, over in self.jobs.follow(key):
            changed = [shown.get(place, gr.skip()) for place in self.places]
            yield *changed, gr.Button(interactive=over), gr.Button(interactive=not over)
        # Gradio would empty what a generator that yields nothing could have changed.
        yield *[gr.skip()] * len(self.places), gr.Button(interactive=True), gr.Button(interactive=False)
