"""The page over Ray Serve: one replica of the page, and painters that hold the models."""

import os
import signal
import threading
import time
from contextlib import suppress

import ray
import torch
from fastapi import FastAPI
from ray import exceptions, serve
from ray.serve import Application
from ray.serve.config import RequestRouterConfig
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from guidance import settings
from guidance.scale import cluster
from guidance.scale.remote import asked, computed
from guidance.scale.replica import Painter
from guidance.scale.router import Router
from guidance.ui.runs.jobs import RUNS, Jobs

APP = "guidance"
AT_ONCE, WAITING = 64, 256  # runs that take turns at a painter, and that wait for one at all of them
TARGET = 2  # runs at a painter, from which on there are to be more of them
PATIENCE = 30  # seconds for what goes on when all is to end
TAKEN = 2  # and for visitors to take the last of it

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
