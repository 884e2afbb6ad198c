"""Work that a visitor asks for: what it shows step by step, and in which words it fails."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator

from guidance import progress
from guidance.fields import RecipeError
from guidance.ui.html import pictures
from guidance.ui.html.words import Say

log = logging.getLogger(__name__)

WENT_WRONG = "Something went wrong on our side; the run was stopped."

Shown = dict[str, str]  # what a run shows, by place; the places are the caller's


def sentence(error: Exception) -> str:
    """What the user is told about an error; what is not theirs goes to the log."""
    if isinstance(error, RecipeError):
        return str(error)
    from guidance.engine import SENTENCES  # imports torch, which a run that got here has done

    if isinstance(error, SENTENCES):
        return str(error)
    log.error("A run failed.", exc_info=error)
    return WENT_WRONG


class Task(ABC):
    """Work for a visitor: what it shows, step by step, in their language, and how it failed if it did."""

    waits = True  # in the line for its turn; what does not must give way to those that do
    rests = False  # whether there is nothing to stop by now
    what = "run"  # for the log, without what was asked for
    outcome = "done"  # when it ends by itself

    def __init__(self, say: Say):
        self.say = say

    def status(self, state: str, text: str, share: float = 0.0) -> Shown:
        """The status line alone."""
        return {"status": pictures.status(state, self.say(text), share)}

    def __iter__(self) -> Iterator[Shown]:
        """What changes at each step; closed when it is stopped. A failure is told as well."""
        try:
            yield self.status("running", "Getting the model ready")
            yield from self.go()
        except progress.GivenUp:
            return
        except Exception as error:
            self.outcome = "failed"
            yield self.failed(error)

    def failed(self, error: Exception) -> Shown:
        """What is shown of a failure."""
        return self.status("error", sentence(error))

    @abstractmethod
    def go(self) -> Iterator[Shown]:
        """Do the work; what changes at each step."""

    @abstractmethod
    def end(self, begun: bool) -> Shown:
        """What stays after a stop, given whether the work had begun."""

    def waiting(self, ahead: int) -> Shown:
        """How many are ahead in the queue."""
        return self.status("waiting", f"Waiting for a turn: {ahead} ahead of you")

    def pulse(self) -> Shown:
        """What has changed between two steps."""
        return {}

    def release(self) -> None:  # noqa: B027
        """Let go of what is needed no more when all is over."""
