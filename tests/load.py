"""Many visitors at once: python -m tests.load [--clients 16] [--seconds 120]; prints what happened, fails on any loss.

Each visitor asks again and again for small pictures; some runs are cancelled, some visitors go away in the middle. At
the end every picture that came is compared with that of the same recipe run alone.
"""

import argparse
import collections
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
from gradio_client import Client
from PIL import Image

import guidance
from guidance import guides
from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.recipe import Recipe, from_flat, read_png, to_json
from guidance.ui.runs.jobs import FULL

ROOT = Path(__file__).parent.parent
SHARES = {"wait": 0.7, "cancel": 0.15, "leave": 0.15}  # of what a visitor does with a run


def draw(chance: random.Random) -> tuple[str, dict, Recipe]:
    """An endpoint, what to send to it, and the recipe that this is."""
    seed, count = chance.randrange(10**6), chance.choice((1, 1, 2))
    color = f"#{chance.randrange(2**24):06x}"
    kinds = {
        "color": {"color": color, "steps": 8},
        "clip": {"prompt": chance.choice(("a moon", "snowy mountains", "the sea")), "steps": 4},
        "digits": {"digits": str(chance.randrange(100)), "steps": 6},
        "brightness": {"level": chance.random(), "steps": 6},
    }
    name = chance.choice([*kinds, "paint"])
    if name == "paint":
        recipe = Recipe(guides=Color(color, scale=0.3) + Brightness(0.2), steps=4, seed=seed, count=count)
        return name, {"recipe": to_json(recipe)}, recipe
    values = kinds[name] | {"seed": seed, "count": count}
    return name, values, from_flat(guides.find(name), values)


def failed(visitor: threading.Thread, what: str, error: Exception) -> None:
    """Somebody failed at this: where the line is full, a person waits a little; anything else is a fault."""
    if FULL in str(error):
        visitor.counts["full"] += 1
        time.sleep(visitor.chance.random() * 10)
    else:
        visitor.faults.append(f"{what}: {type(error).__name__}: {error}")


class Visitor(threading.Thread):
    """One client that asks until the time is over."""

    def __init__(self, url: str, number: int, until: float, folder: Path, think: float = 0):
        super().__init__(daemon=True)
        self.url, self.until, self.chance, self.think = url, until, random.Random(number), think
        self.client = Client(url, verbose=False, download_files=folder / str(number), analytics_enabled=False)
        self.counts, self.waits, self.pictures, self.faults = collections.Counter(), [], [], []

    def run(self) -> None:
        """Ask, and do one of three things with the run."""
        while time.monotonic() < self.until:
            time.sleep(self.chance.random() * 2 * self.think)
            name, values, recipe = draw(self.chance)
            (action,) = self.chance.choices(list(SHARES), SHARES.values())
            try:
                getattr(self, action)(name, values, recipe)
                self.counts[action] += 1
            except Exception as error:
                failed(self, f"{action} {name}", error)

    def wait(self, name: str, values: dict, recipe: Recipe) -> None:
        """Wait for the pictures; they must be those that were asked for."""
        started = time.monotonic()
        files = self.client.predict(**values, api_name=f"/{name}")
        self.waits.append(time.monotonic() - started)
        paths = [file["path"] if isinstance(file, dict) else file for file in files]
        made = [read_png(path) for path in paths]
        if not all(one.weights for one in made):
            self.faults.append(f"{name}: pictures that do not say with which weights")
        if [one.replace(weights="") for one in made] != [recipe.picture(k) for k in range(len(recipe.seeds))]:
            self.faults.append(f"{name}: someone else's pictures")
        self.pictures.append((recipe, paths))

    def cancel(self, name: str, values: dict, recipe: Recipe) -> None:
        """Stop the run after a moment."""
        job = self.client.submit(**values, api_name=f"/{name}")
        time.sleep(self.chance.random() * 2)
        job.cancel()

    def leave(self, name: str, values: dict, recipe: Recipe) -> None:
        """Break the connection off while the run waits or goes on."""
        join = httpx.post(f"{self.url}gradio_api/call/v2/{name}", json=values, timeout=60).raise_for_status()
        with httpx.stream("GET", f"{self.url}gradio_api/call/{name}/{join.json()['event_id']}", timeout=60):
            time.sleep(self.chance.random() * 2)


def serve(port: int, environment: dict) -> subprocess.Popen:
    """The page in a process of its own, once it answers."""
    server = subprocess.Popen([sys.executable, "app.py", "--port", str(port)], cwd=ROOT, env=environment)
    for _ in range(600):
        try:
            httpx.get(f"http://127.0.0.1:{port}/config").raise_for_status()
            return server
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError("The page does not come up.")


def different(pictures: list[tuple[Recipe, list[str]]]) -> int:
    """How many pictures are not, pixel for pixel, those of their recipe run alone."""
    found = 0
    for recipe, paths in pictures:
        alone = guidance.images(recipe)
        found += sum(Image.open(path).tobytes() != image.tobytes() for path, image in zip(paths, alone, strict=True))
    return found


def main() -> int:
    """Serve, visit, compare and report; 0 if nothing was lost, mixed up or different."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        server = serve(port, os.environ | {"GRADIO_TEMP_DIR": folder})
        try:
            url = f"http://127.0.0.1:{port}/"
            until = time.monotonic() + options.seconds
            visitors = [Visitor(url, number, until, Path(folder)) for number in range(options.clients)]
            for visitor in visitors:
                visitor.start()
            for visitor in visitors:
                visitor.join(timeout=options.seconds + 300)
            stuck = sum(visitor.is_alive() for visitor in visitors)
            # Whoever comes after all of them is served at once.
            started = time.monotonic()
            visitors[0].wait(*draw(random.Random(-1)))
            after, waiting = time.monotonic() - started, httpx.get(f"{url}gradio_api/queue/status").json()["queue_size"]
        finally:
            server.terminate()
        counts = sum((visitor.counts for visitor in visitors), collections.Counter())
        waits = sorted(wait for visitor in visitors for wait in visitor.waits)
        pictures = [made for visitor in visitors for made in visitor.pictures]
        faults = [fault for visitor in visitors for fault in visitor.faults]
        wrong = different(pictures)
        number = sum(len(paths) for _, paths in pictures)
        print(f"{options.clients} visitors for {options.seconds:g} s: {dict(counts)}")
        middle = waits[len(waits) // 2]
        print(f"seconds to the pictures: median {middle:.1f}, most {waits[-1]:.1f}; after all of them {after:.1f}")
        print(f"{number} pictures, {wrong} different from the same recipe alone; {len(faults)} faults, {stuck} stuck, "
              f"{waiting} still waiting")  # fmt: skip
        print("\n".join(faults[:20]))
    return int(bool(wrong or faults or stuck or waiting))


if __name__ == "__main__":
    sys.exit(main())
