"""Batches and painters on Ray itself, and what they do when it breaks: one small cluster for all of these tests."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
import ray
import torch
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image
from pyarrow import parquet

from guidance import generate, images, settings
from guidance.fields import RecipeError
from guidance.recipe import ColorRecipe, DigitRecipe, to_json
from guidance.scale import batch, remote
from tests.painters import STORE, joined, served


def same(first, second):
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(first, second, strict=True))


def until(true, seconds=120):
    """Wait for what is to happen."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """What stands beside the painters' pictures is painted by one thread, as each of them has one processor."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def handle():
    """Two painters, a processor for a batch, and the page."""
    with joined(3):
        yield served(2)


def watched(handle):
    """The steps that each painter has taken, by its process."""
    found = {}
    until(lambda: found.update([handle.watched.remote().result()]) or len(found) == 2)
    return found


def last(handle, recipe):
    """The last frame of a recipe."""
    *_, frame = remote.computed(handle)(recipe)
    return frame


def test_painters_give_the_pictures_of_a_run_alone_and_sentences(handle):
    recipes = [ColorRecipe(color="teal", steps=3, count=2), DigitRecipe(digits="27", steps=3)]
    for recipe in recipes:
        frames = list(remote.computed(handle)(recipe))
        assert [frame.step for frame in frames] == [1, 2, 3] and frames[-1].weights
        assert same(frames[-1].images(), images(recipe))
    with pytest.raises(RecipeError, match="^nobody/nowhere"):
        last(handle, ColorRecipe(model="nobody/nowhere"))
    assert frames[-1].seen == [*generate(recipes[1])][-1].seen
    assert remote.asked(handle, "held")()[1] > 0


def test_the_page_is_served_and_its_pictures_are_theirs(handle, tmp_path):
    url = f"http://127.0.0.1:{settings.PORT}/"
    assert httpx.get(f"{url}healthz").text == "ok\n" and "Guidance" in httpx.get(url).text
    client = Client(url, verbose=False, download_files=str(tmp_path))
    (file,) = client.predict(color="teal", steps=3, api_name="/color")
    assert same([Image.open(file if isinstance(file, str) else file["path"])], images(ColorRecipe("teal", steps=3)))
    with pytest.raises(AppError, match="^Steps must be a whole number from 1 to 1,000.$"):
        client.predict(color="teal", steps=0, api_name="/color")


def test_runs_at_once_are_spread_over_the_painters_whoever_holds_their_network(handle):
    recipes = [ColorRecipe(steps=5, seed=seed) for seed in range(6)]
    last(handle, recipes[0])
    before = watched(handle)
    with ThreadPoolExecutor(6) as clients:
        list(clients.map(lambda recipe: last(handle, recipe), recipes))
    taken = sorted(steps - before[process] for process, steps in watched(handle).items())
    run = 5 + 1  # for the end too
    assert taken in ([3 * run, 3 * run], [2 * run, 4 * run])  # the question before may be counted still


def test_a_run_that_is_given_up_ends_within_two_steps(handle):
    before = sum(watched(handle).values())
    with closing(remote.computed(handle)(ColorRecipe(steps=200, seed=5))) as frames:
        for frame in frames:
            if frame.step == 3:
                break
    seen = sum(watched(handle).values())
    last(handle, DigitRecipe(digits="1", steps=2))  # by then, what goes on would have gone on
    after = sum(watched(handle).values())
    assert seen - before < 3 + 40 and after - seen <= 3 + 2  # those of the digit, and two


def test_a_painter_that_is_killed_costs_nobody_a_picture(handle):
    recipes = [ColorRecipe(color="gold", seed=seed, steps=6) for seed in range(8)]
    with ThreadPoolExecutor(8) as clients:
        runs = [clients.submit(last, handle, recipe) for recipe in recipes]
        before = watched(handle)
        os.kill(max(before, key=before.get), signal.SIGKILL)
        frames = [run.result(300) for run in runs]
    assert all(same(frame.images(), images(recipe)) for frame, recipe in zip(frames, recipes, strict=True))
    until(lambda: len(set(watched(handle)) - set(before)) == 1)


def test_the_controller_may_die_and_the_store_be_full(handle):
    ray.kill(ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve"), no_restart=False)
    full = [ray.put(np.zeros(STORE // 8, np.uint8)) for _ in range(8)]  # some of it goes to the disk
    recipe = ColorRecipe(color="violet", steps=3, count=2)
    assert same(last(handle, recipe).images(), images(recipe))
    assert len(full) == 8


def test_a_batch_on_ray_is_that_of_one_process_though_a_worker_is_killed(handle, tmp_path):
    asked = [to_json(DigitRecipe(digits=str(k % 10), seed=k, steps=4)) for k in range(40)]
    asked[7] = "{"

    def worker():
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if b"ray::MapWorker" in path.read_bytes():
                    return int(path.parent.name)
        raise AssertionError("There is no worker.")

    with ThreadPoolExecutor(1) as one:
        run = one.submit(batch.batch, asked, tmp_path / "ray", 0, 1, 1)
        until(lambda: (tmp_path / "ray" / "000003.png").exists())
        os.kill(worker(), signal.SIGKILL)
        run.result(300)
    batch.batch(asked, tmp_path / "here", 0, 0)
    tables = [parquet.read_table(tmp_path / where / "manifest.parquet").to_pylist() for where in ("ray", "here")]
    drop = lambda row: {name: value for name, value in row.items() if name != "seconds"}
    assert [drop(row) for row in tables[0]] == [drop(row) for row in tables[1]]
    assert len(tables[0]) == 40 and tables[0][7]["error"]
