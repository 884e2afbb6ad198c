"""What one visitor of a public page may ask for: so much work a run, so many runs a minute."""

import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from gradio.context import LocalContext

from guidance.fields import RecipeError
from guidance.recipe import TRAVEL, Recipe
from guidance.ui.runs.painting import Compute

SECRET = secrets.token_hex(16)
# MCP calls reach the queue from the server itself; the gate writes down for whom, where no visitor can.
HEADER = "x-guidance-visitor"
# The work that this run has asked for by now: what it compares is asked for one after another, in one context.
_asked: ContextVar[float] = ContextVar("asked", default=0.0)


class Allowance:
    """So many tokens a minute for each of the last `size` visitors, all of them at once if need be."""

    def __init__(self, rate: int, size: int = 10_000, clock: Callable[[], float] = time.monotonic):
        self.rate, self.size, self.clock = rate, size, clock
        self.held: OrderedDict[str, tuple[float, float]] = OrderedDict()  # visitor: tokens at a time
        self.lock = threading.Lock()

    def take(self, visitor: str, tokens: int = 1) -> int:
        """Take tokens and give 0, or leave them and give the seconds after which they will be there."""
        with self.lock:
            now = self.clock()
            held, then = self.held.pop(visitor, (self.rate, now))
            held = min(self.rate, held + (now - then) * self.rate / 60)
            enough = held >= tokens
            self.held[visitor] = (held - tokens if enough else held, now)
            while len(self.held) > self.size:
                self.held.popitem(last=False)
        return 0 if enough else math.ceil((tokens - held) * 60 / self.rate)


def work(recipe: Recipe) -> float:
    """Pictures x steps, with those that time travel takes again and those of pictures that may not be chosen."""
    drawn = len(recipe.seeds) * recipe.candidates * recipe.tries
    again = round(TRAVEL[1] - TRAVEL[0], 6)  # the share of the steps that time travel takes again
    return drawn * recipe.steps * (1 + again * recipe.travel) * max(1, len(recipe.guides))


def visitor() -> str:
    """The address of whoever asked for the run that is going on; empty when nobody did."""
    request = LocalContext.request.get(None)
    if request is None:
        return ""
    secret, _, told = request.headers.get(HEADER, "").partition(":")
    if secrets.compare_digest(secret.encode(), SECRET.encode()):
        return told
    return request.client.host if request.client else "unknown"


def limited(compute: Compute, rate: int, most: int) -> Compute:
    """The compute function for strangers: RecipeError over `most` work or `rate` runs a minute; 0: no limit.

    Everything that a run compares belongs to it: it is one run, of all their work together.
    """
    allowance = Allowance(rate)

    def run(recipe: Recipe) -> Iterator:
        before, asked = _asked.get(), _asked.get() + work(recipe)
        if most and asked > most:
            raise RecipeError(
                f"Pictures times steps may be at most {most:,} here, and this comes to {asked:,.0f} or more: "
                "ask for fewer."
            )
        who = visitor()
        if rate and who and not before and (wait := allowance.take(who)):
            raise RecipeError(f"That was more than {rate} runs in a minute; please go on in {wait} s.")
        _asked.set(asked)
        yield from compute(recipe)

    return run
