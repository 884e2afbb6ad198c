"""The page over Ray Serve: one replica of the page, and painters that hold the models."""

import asyncio
import contextvars
import math
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial

import ray
import torch
from fastapi import FastAPI
from ray import exceptions, serve
from ray.serve import Application
from ray.serve.config import RequestRouterConfig
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from guidance import progress, settings
from guidance.engine import generate, held, network_of
from guidance.fields import RecipeError
from guidance.frame import Frame
from guidance.models import catalogue
from guidance.recipe import Recipe
from guidance.scale import cluster
from guidance.scale.router import Router
from guidance.ui.runs.jobs import FULL, RUNS, Jobs
from guidance.ui.runs.painting import Compute
from guidance.ui.server import zero

APP = "guidance"
AGAIN = 2  # times that a run begins anew where its painter has died
GONE = "The machines that paint went away three times: try again in a minute."
NETWORKS = 16  # that a painter is known to hold; its own cache keeps to its memory
AT_ONCE, WAITING = 64, 256  # runs that take turns at a painter, and that wait for one at all of them
TOLD = 0.5  # seconds between two times that it is said what is being loaded
Loading = tuple[str, int, int]  # a name, bytes that are here, and of how many
TARGET = 2  # runs at a painter, from which on there are to be more of them
PATIENCE = 30  # seconds for what goes on when all is to end
TAKEN = 2  # and for visitors to take the last of it
LOST = (exceptions.RayActorError, exceptions.WorkerCrashedError, exceptions.ObjectLostError, exceptions.NodeDiedError,
        RayServeException)  # fmt: skip


def step(steps: Iterator[Frame | str]) -> Frame | str | None:
    """The next item of a run, with all that the device has to do for it done: packed, it waits for no other run."""
    if isinstance(item := next(steps, None), Frame):
        vars(item).update(x0=item.x0, seen=item.seen)
    return item


class Painter:
    """A process that holds networks and paints. All runs take turns, a step at a time, on one thread."""

    def __init__(self):
        self.thread, self.since = ThreadPoolExecutor(1, "painter"), math.inf

    async def work(self, function: Callable, *values: object) -> object:
        """Call a function on the thread that works on the device."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, self.timed, function, *values)

    def timed(self, function: Callable, *values: object) -> object:
        """Call a function, and know since when it is at work."""
        self.since = time.monotonic()
        try:
            return function(*values)
        finally:
            self.since = math.inf

    async def check_health(self) -> None:
        """RuntimeError when a step takes longer than a whole run may: Ray puts another painter in this one's place."""
        if time.monotonic() - self.since > settings.DEADLINE:
            raise RuntimeError("A step does not end.")

    @serve.multiplexed(max_num_models_per_replica=NETWORKS)
    async def network(self, name: str) -> object:
        """A network, loaded; by this it is known who holds it."""
        return await self.work(catalogue.get, name)

    async def frames(self, recipe: Recipe) -> AsyncIterator[Frame | str | Loading]:
        """A recipe's frames, and at most one sentence, the last; before them what is being loaded for it, if anything.

        A run that is given up ends within a step.
        """
        steps = zero.itemized(partial(generate, deadline=settings.DEADLINE), recipe)
        first = asyncio.ensure_future(self.first(steps))
        try:
            while not (await asyncio.wait([first], timeout=TOLD))[0]:
                if loading := progress.latest():
                    yield loading
            item = await first
            while item is not None:
                yield item
                item = await self.work(step, steps)
        finally:
            first.cancel()
            self.thread.submit(steps.close)

    async def first(self, steps: Iterator[Frame | str]) -> Frame | str | None:
        """The first frame of a run, once its network is there."""
        with suppress(Exception):  # the run will meet the same and say so
            await self.network(serve.get_multiplexed_model_id())
        return await self.work(step, steps)

    async def held(self) -> tuple[list[tuple[str, int]], int]:
        """The networks in this painter's memory, and what they may take."""
        return held()


def anew(begin: Callable[[], Iterator]) -> Iterator:
    """What `begin` gives, begun again on another painter where one dies; RecipeError, with a sentence, at last."""
    for left in reversed(range(1 + AGAIN)):
        try:
            yield from begin()
            return
        except BackPressureError:
            raise RecipeError(FULL) from None
        except LOST:
            if not left:
                raise RecipeError(GONE) from None


def computed(handle: DeploymentHandle) -> Compute:
    """A page's compute function over the painters of a handle."""

    def run(recipe: Recipe) -> Iterator[Frame]:
        seen = 0
        for frame in anew(lambda: zero.heard(streamed(handle, recipe))):
            if frame.step > seen:  # the same steps, the same pixels
                seen = frame.step
                yield frame

    return run


def streamed(handle: DeploymentHandle, recipe: Recipe) -> Iterator[Frame | str]:
    """What a painter gives; closed, it is told to stop. What it loads is loaded here, for whoever asks."""
    ask = handle.options(stream=True, multiplexed_model_id=network_of(recipe)).frames.remote
    items = contextvars.Context().run(ask, recipe)  # not as a part of the request that began the run
    try:
        with ExitStack() as loading:
            for item in items:
                loading.close()
                if isinstance(item, tuple):
                    loading.enter_context(progress.loading(item[0]))
                    progress.downloaded(*item)
                else:
                    yield item
    finally:
        items.cancel()


def asked(handle: DeploymentHandle, name: str) -> Callable:
    """A function over the painter that has the time, or if it dies another one."""

    def ask(*values: object) -> object:
        call = getattr(handle, name).remote
        return next(anew(lambda: iter([contextvars.Context().run(call, *values).result()])))

    return ask


lines: list[Jobs] = []  # of the page in this process


class Page:
    """The page's replica, apart from what Gradio answers."""

    def __init__(self, painters: DeploymentHandle):
        """They are asked for by name; Ray learns here that they belong together."""

    async def close(self) -> int:
        """Let nobody begin any more; how many runs go on or wait."""
        return lines[0].close()


def page(most: int) -> FastAPI:
    """The page over at most so many painters, in its replica."""
    torch.set_num_threads(1)  # it only makes files of what others paint
    from guidance.ui import app

    pages, start = app.ready()
    handle = serve.get_deployment_handle("Painter", APP)
    compute, held = computed(handle), asked(handle, "held")
    demo = pages.build(compute, held, runs=RUNS * most)
    lines.append(demo.line)
    threading.Thread(target=pages.warm_up, args=(compute,), daemon=True).start()
    return pages.mounted(demo, f"http://{settings.HOST}:{settings.PORT}/", auth=start.account(),
                         root_path=settings.ROOT_PATH or None, mcp=settings.MCP)  # fmt: skip


def painting(painters: tuple[int, int], each: dict[str, int], kind: type[Painter] = Painter) -> Application:
    """The painters, from so many to so many of them, each with its share of the machines."""
    few, most = painters
    scale = {"min_replicas": few, "max_replicas": most, "target_ongoing_requests": TARGET}
    many = {"autoscaling_config": scale} if most > few else {"num_replicas": few}
    return serve.deployment(
        kind, name="Painter", max_ongoing_requests=AT_ONCE, max_queued_requests=WAITING, ray_actor_options=each,
        graceful_shutdown_timeout_s=PATIENCE, health_check_period_s=5,
        request_router_config=RequestRouterConfig(request_router_class=Router), **many,
    ).bind()  # fmt: skip


def application(painters: tuple[int, int], each: dict[str, int], kind: type[Painter] = Painter) -> Application:
    """The page over painters."""
    front = serve.deployment(
        serve.ingress(lambda: page(painters[1]))(Page), name="Page", num_replicas=1, max_ongoing_requests=10_000,
        ray_actor_options={"num_cpus": 0}, graceful_shutdown_timeout_s=PATIENCE,
    )  # fmt: skip
    return front.bind(painting(painters, each, kind))


def service(args: dict[str, object]) -> Application:
    """The same as configuration files of Ray Serve ask for it: `replicas` as "1..8", `gpus` and `cores` of each."""
    few, most = cluster.ends(str(args["replicas"]))
    return application((few, most), cluster.share(int(args.get("gpus", 0)), 0, few, int(args.get("cores", 4)))[1])


def begin(served: Application) -> str:
    """Serve the page on the cluster that was joined; its address."""
    with suppress(exceptions.GetTimeoutError):  # Ray waits no longer; serve.run does
        serve.start(proxy_location="HeadOnly", http_options={"host": settings.HOST, "port": settings.PORT})
    serve.run(served, name=APP, route_prefix="/")
    return f"http://{settings.HOST}:{settings.PORT}/"


def drain() -> None:
    """Let what goes on come to its end, for so long as there is patience, and nothing more begin."""
    close, until = serve.get_deployment_handle("Page", APP).close, time.monotonic() + PATIENCE
    with suppress(exceptions.RayError, RayServeException, TimeoutError):  # the page is gone already
        while close.remote().result(timeout_s=PATIENCE) and time.monotonic() < until:
            time.sleep(0.2)
        time.sleep(TAKEN)


def run(painters: str, cores: int) -> None:
    """Serve the page until SIGINT or SIGTERM, and then what goes on to its end, unless it is asked again.

    So many painters, "1..8" from one to eight, of so many processors; if that is empty and 0, one a GPU, or where there
    are none one for four processors. RecipeError for what is no such number.
    """
    few, most = cluster.ends(painters) if painters else (None, None)
    few, each = cluster.share(*cluster.join(), few, cores)
    print(f"The page is at {begin(application((few, most or few), each))}", flush=True)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: os._exit(128 + number) if ended.is_set() else ended.set())
    ended.wait()
    print("What goes on comes to its end; whoever asks twice does not wait.", flush=True)
    drain()
    serve.shutdown()
    ray.shutdown()
