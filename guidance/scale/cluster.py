"""Ray: whether it is here, how it is joined, and a batch over all that it has."""

import logging
import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import numpy

from guidance import settings
from guidance.fields import whole
from guidance.scale.painter import Painter

OLDEST = (2, 50)
EXTRA = "pip install -U 'diffusion-guidance[ray]'"
RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES": "500000000",  # for what goes from process to process
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as it is to be, or Ray warns of it
    "RAY_max_direct_call_object_size": "1000000",  # bytes: a step of 64 px goes straight to the page
    "RAY_prestart_worker_first_driver": "0",  # processes that wait for work which actors never leave them
    "RAY_num_workers_soft_limit": "1",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",  # a busy machine begins slowly
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "2000",
}
ROWS = {True: 64, False: 8}  # in one task, with GPUs and without: several networks' pictures, and a bar that moves
CORES, MOST = 4, 10_000  # processors of a painter, and painters
TASKS = 10_000  # more than so many, and Ray would have more to do with them than its workers


class NoRay(RuntimeError):
    """Ray is not here, or too old; the message is a sentence."""


def is_here() -> bool:
    """Whether Ray is installed; NoRay if it is too old."""
    try:
        found = version("ray")
    except PackageNotFoundError:
        return False
    if tuple(map(int, found.split(".")[:2])) < OLDEST:
        raise NoRay(f"Ray {'.'.join(map(str, OLDEST))} or newer is needed and this is {found}: {EXTRA}")
    return True


def needed() -> None:
    """NoRay unless Ray is here."""
    if not is_here():
        raise NoRay(f"This command needs ray: {EXTRA}")


def settled() -> dict[str, str]:
    """Set what is not set yet, before Ray is imported: it tells nobody anything, and takes little for itself.

    What is set here for the project and for Ray Serve, for the processes on other machines.
    """
    for name, value in RAY.items():
        os.environ.setdefault(name, value)
    return settings.for_others() | {name: os.environ[name] for name in os.environ if name.startswith("RAY_SERVE_")}


def join() -> tuple[int, int]:
    """Join the cluster that RAY_ADDRESS names or that runs here, else begin one; its GPUs and its processors."""
    told = settled()
    import ray

    ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True,
             runtime_env={"env_vars": told})  # fmt: skip
    has = ray.cluster_resources()
    return int(has.get("GPU", 0)), int(has.get("CPU", 1))


def ends(text: str) -> tuple[int, int]:
    """The least and the greatest number of painters that "4" or "1..8" stands for; RecipeError if it is no such."""
    first, _, last = text.partition("..")
    few = whole("Replicas", first, 1, MOST)
    return few, whole("Replicas", last, few, MOST) if last else few


def share(gpus: int, cpus: int, replicas: int | None, cores: int = 0) -> tuple[int, dict[str, int]]:
    """How many painters there are, and what each may use: a GPU, or where there are none some processors."""
    replicas = replicas or gpus or max(1, cpus // (cores or CORES))
    each = cores or (1 if gpus else max(1, cpus // replicas))
    return replicas, {"num_gpus": 1, "num_cpus": each} if gpus else {"num_cpus": each}


class Worker:
    """A process that makes rows, as Ray Data calls it."""

    def __init__(self, painter: Painter):
        self.painter = painter

    def __call__(self, batch: dict) -> dict:
        """Make the rows whose numbers are in a batch."""
        return {"row": list(self.painter(batch["data"]))}


def spread(painter: Painter, count: int, replicas: int | None = None, cores: int = 0) -> Iterator[int]:
    """Make all rows on Ray; the number of each when it is done. A worker that dies is replaced, and its rows made."""
    gpus, cpus = join()
    from ray import data, exceptions

    replicas, each = share(gpus, cpus, replicas, cores)
    rows = max(ROWS[gpus > 0], count // TASKS)
    context = data.DataContext.get_current()
    context.enable_progress_bars = False  # ours says what is left
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    blocks = [numpy.arange(first, min(first + rows, count)) for first in range(0, count, rows)]
    made = data.from_numpy(blocks).map_batches(
        Worker, fn_constructor_args=(painter,), compute=data.ActorPoolStrategy(size=replicas), batch_size=None, **each
    )
    try:
        for batch in made.iter_batches(batch_size=None, prefetch_batches=0):
            yield from batch["row"].tolist()
    except exceptions.RayTaskError as error:
        raise getattr(error, "cause", error) from None
