"""Painters on Ray that tell what they do, for the tests."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray import serve as ray_serve
from ray.serve.handle import DeploymentHandle

from guidance import settings
from guidance.scale import cluster, replica, serve

STORE = 100_000_000  # bytes of the object store; Ray takes no fewer than 75 MB


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
