"""What the owner of a page can watch: whether it is up, and numbers in Prometheus' text format."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing

from guidance.recipe import Recipe
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.painting import Compute

HELP = {
    "runs_total": ("counter", "Runs that are over, by how they ended."),
    "refused_total": ("counter", "Runs that were refused a place in the line."),
    "line": ("gauge", "Runs that go on and that wait."),
    "step_seconds": ("summary", "Seconds that the steps of all runs took."),
    "cache_bytes": ("gauge", "Bytes of the networks in memory."),
}


class Meter:
    """Counts of a page's runs, and of their steps."""

    def __init__(self, jobs: Jobs):
        self.jobs, self.steps, self.seconds = jobs, 0, 0.0

    def timed(self, compute: Compute) -> Compute:
        """The same function, its steps counted."""

        def run(recipe: Recipe) -> Iterator:
            with closing(compute(recipe)) as frames:
                while True:
                    began = time.monotonic()
                    if (frame := next(frames, None)) is None:
                        return
                    self.steps, self.seconds = self.steps + 1, self.seconds + time.monotonic() - began
                    yield frame

        return run

    def text(self) -> str:
        """All numbers; none says who asked, or for what."""
        held = getattr(sys.modules.get("guidance.engine"), "held", lambda: ([], 0))  # nobody need import torch for this
        states = [job.state for job in list(self.jobs.line)]
        rows = {
            "runs_total": {f'{{outcome="{how}"}}': self.jobs.ended[how] for how in ("done", "failed", "stopped")},
            "refused_total": {"": self.jobs.refused},
            "line": {f'{{state="{state}"}}': states.count(state) for state in ("running", "waiting")},
            "step_seconds": {"_sum": round(self.seconds, 3), "_count": self.steps},
            "cache_bytes": {"": sum(size for _, size in held()[0])},
        }  # fmt: skip
        lines = []
        for name, (kind, meaning) in HELP.items():
            lines += [f"# HELP guidance_{name} {meaning}", f"# TYPE guidance_{name} {kind}"]
            lines += [f"guidance_{name}{label} {value}" for label, value in rows[name].items()]
        return "\n".join(lines) + "\n"


def up() -> str:
    """That the page answers."""
    return "ok\n"
