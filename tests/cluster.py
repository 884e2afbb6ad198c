"""How painting on Ray is judged: python -m tests.cluster [--only scaling,killed,batch,stop]; fails if it falls short.

Wants a machine with two processors that has nothing else to do. A figure is the median of several rounds.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one processor each

import numpy as np
from PIL import Image
from pyarrow import parquet

from guidance import images
from guidance.bench import course_unet
from guidance.recipe import ColorRecipe, DigitRecipe, to_json
from guidance.scale import remote
from tests.painters import joined, painting, served, step_seconds, steps

ROOT = Path(__file__).parent.parent


def check(what: str, value: float, most: float) -> bool:
    """Print a figure beside what it may be at most."""
    print(f"{what}: {value:.3g} (at most {most:g}){'' if value <= most else '  TOO MUCH'}", flush=True)
    return value <= most


def throughput(handle, clients: int, number: int) -> float:
    """Steps a second of so many clients' runs together, while all are under way."""
    compute = remote.computed(handle)
    with ThreadPoolExecutor(clients) as many:
        runs = [many.submit(steps, compute, ColorRecipe(steps=number, seed=k, solver="ddim", size="native"))
                for k in range(clients)]  # fmt: skip
        times = [run.result() for run in runs]
    first, last = max(run[0] for run in times), min(run[-1] for run in times)
    return sum(first < time <= last for run in times for time in run) / (last - first)


def large(folder: Path) -> str:
    """A model of 256 px with random weights, as diffusers keeps one."""
    from diffusers import DDPMPipeline, DDPMScheduler

    DDPMPipeline(course_unet(), DDPMScheduler()).save_pretrained(folder)
    return str(folder)


def scaling(rounds: int) -> list[bool]:
    """Two painters against one, and what Ray adds to a step."""
    one, good = painting(1), []
    small = ColorRecipe(steps=40, solver="ddim", size="native")
    added = []
    with tempfile.TemporaryDirectory() as folder:
        big = small.replace(model=large(Path(folder)), steps=5)
        for recipe, name, times in ((small, "64 px", 4 * rounds), (big, "256 px", rounds)):
            pairs = []
            for _ in range(times):  # by turns, in the same process: a machine gets slower and faster
                alone = one.alone.remote(recipe).result()
                pairs.append((alone, step_seconds(remote.computed(one), recipe)))
            extra = statistics.median(there - here for here, there in pairs[1:])
            alone = statistics.median(here for here, _ in pairs[1:])
            print(f"{name}: {1000 * alone:.1f} ms a step in a painter, {1000 * extra:+.2f} ms from there to the page")
            added.append((extra, alone))
    good.append(check("milliseconds that Ray adds to a step of 64 px", 1000 * added[0][0], 3))
    good.append(check("share that Ray adds to a step of 256 px", added[1][0] / added[1][1], 0.05))
    handles = {1: one, 2: served(2)}
    rates = {painters: [] for painters in handles}
    for _ in range(2 + 4 * rounds):
        for painters, handle in handles.items():
            rates[painters].append(throughput(handle, 2 * painters, 40))
    shares = [two / one / 2 for one, two in zip(*rates.values(), strict=True)][2:]
    one, two = (statistics.median(found[2:]) for found in rates.values())
    print(f"one painter {one:.1f} steps a second, two {two:.1f}; in a round {min(shares):.2f} to {max(shares):.2f}")
    short = 1 - statistics.median(shares)
    return [*good, check("what two painters of one processor fall short of twice one", short, 0.1)]


def killed(rounds: int) -> list[bool]:
    """A painter is killed under eight clients."""
    handle, lost = served(2), 0
    for round in range(rounds):
        recipes = [ColorRecipe(color="gold", seed=100 * round + k, steps=12) for k in range(8)]
        done, compute = threading.Semaphore(0), remote.computed(handle)

        def run(recipe, done=done, compute=compute):
            for frame in compute(recipe):  # noqa: B007
                done.release()
            return frame.images()

        with ThreadPoolExecutor(8) as clients:
            runs = [clients.submit(run, recipe) for recipe in recipes]
            for _ in range(20):
                done.acquire()
            os.kill(handle.watched.remote().result()[0], signal.SIGKILL)
            made = [run.result() for run in runs]
        lost += sum(not np.array_equal(np.asarray(images(recipe)[0]), np.asarray(picture[0]))
                    for recipe, picture in zip(recipes, made, strict=True))  # fmt: skip
    return [check(f"pictures of {8 * rounds} that are lost or other", lost, 0)]


def stop(rounds: int) -> list[bool]:
    """A run is given up: the steps that its painter takes after that."""
    handle, most = served(1), 0
    for k in range(rounds):
        with closing(remote.computed(handle)(ColorRecipe(steps=500, seed=k, solver="ddim"))) as frames:
            for frame in frames:
                if frame.step == 10:
                    break
            before = handle.watched.remote().result()[1]
        time.sleep(2)
        most = max(most, handle.watched.remote().result()[1] - before)
    return [check("steps after a run is given up", most, 2)]


def batch() -> list[bool]:
    """500 recipes on Ray, the driver killed in the middle, against one process."""
    asked = [DigitRecipe(digits=str(k % 10), seed=k, steps=4) if k % 5 else ColorRecipe(color="teal", seed=k, steps=2)
             for k in range(500)]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        Path(folder, "many.jsonl").write_text("\n".join(map(to_json, asked)))
        command = [sys.executable, "-m", "guidance", "batch", f"{folder}/many.jsonl", "--out", out, "--replicas", "2"]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as driver:
            while len(list(out.glob("0*.png"))) < 200:
                assert driver.poll() is None
                time.sleep(0.05)
            driver.kill()
        time.sleep(5)  # the cluster ends with its driver
        there = {path: path.stat().st_mtime_ns for path in out.glob("0*.png")}
        time.sleep(2)
        orphans = len(list(out.glob("0*.png"))) - len(there)
        subprocess.run(command, cwd=ROOT, check=True)
        table = parquet.read_table(out / "manifest.parquet").to_pylist()
        twice = sum(path.stat().st_mtime_ns != when for path, when in there.items())
        wrong = sum(not np.array_equal(np.asarray(Image.open(out / row["file"])), np.asarray(images(recipe)[0]))
                    for row, recipe in zip(table, asked, strict=True))  # fmt: skip
    return [check("pictures more or fewer than 500", abs(len(table) - 500), 0), check("made twice", twice, 0),
            check("made with no driver", orphans, 0), check("other than in one process", wrong, 0)]  # fmt: skip


def main() -> None:
    """Measure what is asked for."""
    parts = {"scaling": scaling, "killed": killed, "stop": stop}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join([*parts, "batch"]))
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    asked = given.only.split(",")
    good = batch() if "batch" in asked else []
    for name in [name for name in parts if name in asked]:
        with joined(4):
            good += parts[name](given.rounds)
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
