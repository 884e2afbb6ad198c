"""Painters on Ray that tell what they do, for the tests, and what is measured of them."""

import os
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray import serve as ray_serve
from ray.serve.handle import DeploymentHandle

from guidance import settings
from guidance.engine import generate
from guidance.recipe import Recipe
from guidance.scale import cluster, replica, serve
from guidance.ui.runs.painting import Compute

STORE = 100_000_000  # bytes of the object store; Ray takes no fewer than 75 MB


def steps(compute: Compute, recipe: Recipe) -> list[float]:
    """When each step of a run was there."""
    return [time.monotonic() for _ in compute(recipe)]


def step_seconds(compute: Compute, recipe: Recipe) -> float:
    """The median of a step's seconds, without the first and the last, which do more."""
    times = steps(compute, recipe)
    return statistics.median(b - a for a, b in zip(times[:-2], times[1:-1], strict=True))


class Watched(replica.Painter):
    """A painter that counts its steps."""

    def __init__(self):
        super().__init__()
        self.steps = 0

    def timed(self, function, *values):
        self.steps += function is replica.step
        return super().timed(function, *values)

    async def watched(self) -> tuple[int, int]:
        """Its process, and the steps it has taken."""
        return os.getpid(), self.steps

    async def alone(self, recipe: Recipe) -> float:
        """Seconds of a step where nobody is shown it."""
        return await self.work(step_seconds, generate, recipe)


@contextmanager
def joined(processors: int) -> Iterator[None]:
    """A cluster of so many processors, whether they are there or not."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.PORT = free.getsockname()[1]
    told = cluster.settled() | {"OMP_NUM_THREADS": "1"}
    ray.init(num_cpus=processors, include_dashboard=False, object_store_memory=STORE, log_to_driver=False,
             runtime_env={"env_vars": told})  # fmt: skip
    try:
        yield
    finally:
        ray_serve.shutdown()
        ray.shutdown()


def served(painters: int) -> DeploymentHandle:
    """The page at settings.PORT, and so many painters of one processor each; their handle."""
    serve.begin(serve.application((painters, painters), {"num_cpus": 1}, Watched))
    return ray_serve.get_deployment_handle("Painter", serve.APP)


def painting(painters: int) -> DeploymentHandle:
    """The same without the page, beside whatever is served."""
    name = f"painters {painters}"
    return ray_serve.run(serve.painting((painters, painters), {"num_cpus": 1}, Watched), name=name, route_prefix=None)
