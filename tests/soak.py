"""Many sessions for minutes: python -m tests.soak [--minutes 10] [--visitors 32]; fails where anything is lost or kept.

For hours: --minutes 120 --visitors 4 --think 18 --every 20 --csv FILE, and then --draw FILE for docs/memory.png.

Half of the visitors are programs (those of tests.load); the others have three tabs each, which speak as the page does:
they paint, stop, close and come back, drag with Live on, and send what nobody should. At the end every picture is that
of its recipe run alone, and memory, threads and temporary files are back to where they were.
"""

import argparse
import base64
import collections
import csv
import io
import json
import os
import random
import re
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
from PIL import Image

import guidance
from guidance.recipe import KEY, Recipe, from_json
from guidance.training.trainer import plot
from tests.hostile import VALUES
from tests.load import Visitor, draw, failed, serve

DOES = {"paint": 0.5, "stop": 0.15, "close": 0.15, "drag": 0.1, "misbehave": 0.1}  # shares of what a tab does
STEPS, CHECKED = 8, 60  # of a run; pictures compared at the end
FIGURE = Path("docs/memory.png")
PNG = re.compile(r"data:image/png;base64,([\w+/=]+)")


class Tab(threading.Thread):
    """A tab of a browser, over the page's own protocol."""

    def __init__(self, url: str, number: int, until: float, think: float = 0):
        super().__init__(daemon=True)
        self.chance, self.until, self.number, self.think = random.Random(number), until, number, think
        address = f"192.0.2.{number // 3 % 250 + 1}"  # three tabs a visitor, as a proxy would tell
        self.web = httpx.Client(base_url=f"{url}gradio_api/", timeout=120, headers={"x-forwarded-for": address})
        config = httpx.get(f"{url}config").json()
        values = {one["id"]: (one["props"].get("elem_id"), one["props"].get("value")) for one in config["components"]}
        self.fns = {fn["api_name"]: fn["id"] for fn in config["dependencies"] if fn["api_name"]}
        inputs = next(fn["inputs"] for fn in config["dependencies"] if fn["id"] == self.fns["begin"])
        self.names, self.values = [values[one][0] for one in inputs], [values[one][1] for one in inputs]
        self.counts, self.waits, self.pictures, self.faults = collections.Counter(), [], [], []

    def run(self) -> None:
        """Do one thing after another."""
        while time.monotonic() < self.until:
            time.sleep(self.chance.random() * 2 * self.think)
            (action,) = self.chance.choices(list(DOES), DOES.values())
            try:
                getattr(self, action)()
                self.counts[action] += 1
            except Exception as error:
                failed(self, action, error)

    def told(self, **changes: object) -> list:
        """The values of the controls."""
        given = {f"color-{name}": value for name, value in changes.items()}
        return [given.get(name, value) for name, value in zip(self.names, self.values, strict=True)]

    def post(self, name: str, data: list) -> list:
        """An event that does not wait."""
        body = {"fn_index": self.fns[name], "data": data, "session_hash": f"tab{self.number}"}
        return self.web.post("run/predict", json=body).raise_for_status().json()["data"]

    def begin(self) -> tuple[str, str]:
        """Press Paint: the run's key, and the colour that was asked for."""
        color = f"#{self.chance.randrange(2**24):06x}"
        seed = self.chance.randrange(10**6)
        key, status, *_ = self.post("begin", self.told(color=color, seed=seed, count=1, steps=STEPS))
        if not key:
            raise RuntimeError(status)
        return key, color

    def follow(self, key: str, seconds: float = 1e9) -> list[dict]:
        """What a run says until it is over, or for so long."""
        session, said, until = f"{self.number}-{self.chance.random()}", [], time.monotonic() + seconds
        body = {"fn_index": self.fns["follow"], "data": [key], "session_hash": session}
        self.web.post("queue/join", json=body).raise_for_status()
        with self.web.stream("GET", "queue/data", params={"session_hash": session}) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    said.append(json.loads(line[5:]))
                if time.monotonic() > until or said and said[-1]["msg"] == "close_stream":
                    break
        return said

    def paint(self) -> None:
        """Wait for the pictures; they must be those that were asked for."""
        began, (key, color) = time.monotonic(), self.begin()
        self.follow(key)
        self.waits.append(time.monotonic() - began)
        # Whoever comes again sees all of it at once.
        shown = next(one["output"]["data"] for one in self.follow(key) if one["msg"] == "process_generating")
        pictures = [Image.open(io.BytesIO(base64.b64decode(found))) for found in PNG.findall(str(shown[0]))]
        recipes = [from_json(image.info[KEY]) for image in pictures if KEY in image.info]
        if len(recipes) < 2 or {recipe.guides[0].color for recipe in recipes if recipe.guides} != {color}:
            self.faults.append(f"paint: not what was asked for, {len(recipes)} pictures, {str(shown[1])[:200]}")
        self.pictures += [(recipe.replace(weights=""), image.tobytes()) for recipe, image in
                          zip(recipes, pictures, strict=False)]  # fmt: skip

    def stop(self) -> None:
        """Stop a run after a moment."""
        key, _ = self.begin()
        self.follow(key, self.chance.random())
        self.post("stop", [key])
        self.follow(key)

    def close(self) -> None:
        """Close the tab in the middle, and half of the times come back."""
        key, _ = self.begin()
        self.follow(key, self.chance.random() / 2)
        if self.chance.random() < 0.5:
            self.follow(key)

    def move(self, key: str, **changes: object) -> str:
        """Change controls with Live on: the key of the run that follows them, the one before or a new one."""
        made = self.post("live", [*self.told(live=True, count=1, **changes)[:-1], key])
        return made[0] if isinstance(made[0], str) else key

    def drag(self) -> None:
        """Drag a slider with Live on, and stop."""
        key = ""
        for _ in range(5):
            key = self.move(key, steps=STEPS, scale=self.chance.random())
        self.follow(key, 1.0)
        self.post("stop", [key])

    def misbehave(self) -> None:
        """Send what nobody should; a status over 500 is a fault."""
        value = self.chance.choice([value for name, value in VALUES.items() if "long" not in name])
        for path in ("run/predict", "queue/join", "call/color"):
            body = {"fn_index": self.chance.choice([*self.fns.values()]), "data": [value] * 27, "session_hash": "bad"}
            answer = self.web.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
            if answer.status_code >= 500:
                self.faults.append(f"misbehave: {answer.status_code}")


def state(server: int, folder: str) -> tuple[float, int, int]:
    """A server's memory (MB), its threads, and the temporary files that are no finished picture."""
    pages = int(Path(f"/proc/{server}/statm").read_text().split()[1])
    strays = [path for path in Path(folder).rglob("*") if path.is_file() and path.suffix != ".png"]
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(os.listdir(f"/proc/{server}/task")), len(strays)


def different(pictures: list[tuple[Recipe, bytes]]) -> int:
    """How many of some pictures are not those of their recipes run alone."""
    return sum(guidance.images(recipe)[0].tobytes() != pixels for recipe, pixels in pictures)


def curve(record: Path) -> int:
    """Draw the memory of a record over its minutes, and tell its figures."""
    with record.open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    points = [{"minutes": row["seconds"] / 60, "MB": row["megabytes"]} for row in rows]
    plot(FIGURE, {"the server": points}, "minutes", "MB", height=3, ylim=(0, None))
    halves = [statistics.median(point["MB"] for point in part) for part in
              (points[: len(points) // 2], points[len(points) // 2 :])]  # fmt: skip
    print(f"{points[-1]['minutes']:.0f} minutes, {rows[-1]['processor'] / rows[-1]['seconds']:.2f} cores: "
          f"{points[0]['MB']:.0f} MB at first, {halves[0]:.0f} and {halves[1]:.0f} in the middle of either half, "
          f"{points[-1]['MB']:.0f} at last; threads {rows[0]['threads']:.0f} to {rows[-1]['threads']:.0f}, "
          f"files {rows[0]['files']:.0f} to {rows[-1]['files']:.0f}")  # fmt: skip
    return 0


def main() -> int:
    """Serve, visit, look on, compare and report; 0 if all is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--visitors", type=int, default=32)
    parser.add_argument("--think", type=float, default=0, help="seconds between two things of a visitor, on average")
    parser.add_argument("--every", type=float, default=2, help="seconds between two looks at the server")
    parser.add_argument("--csv", type=Path, help="a file for what each look saw")
    parser.add_argument("--draw", type=Path, metavar="CSV", help="draw the memory in such a file, and do nothing else")
    options = parser.parse_args()
    if options.draw:
        return curve(options.draw)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as kept:
        server = serve(port, os.environ | {"GRADIO_TEMP_DIR": folder, "GUIDANCE_DEADLINE": "120"})
        try:
            url, until = f"http://127.0.0.1:{port}/", time.monotonic() + options.minutes * 60
            think, half = options.think, options.visitors // 2
            programs = [Visitor(url, number, until, Path(kept), think) for number in range(half)]
            tabs = [Tab(url, 1000 + number, until, think) for number in range(3 * (options.visitors - half))]
            programs[0].wait(*draw(random.Random(-1)))  # the model is there
            before, began, seen = state(server.pid, folder), time.monotonic(), []
            record = (options.csv or Path(os.devnull)).open("w", buffering=1)
            record.write("seconds,megabytes,threads,files,processor\n")

            def look() -> tuple[float, int, int]:
                found = state(server.pid, folder)
                ticks = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
                used = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
                record.write(f"{time.monotonic() - began:.0f},{found[0]:.1f},{found[1]},{found[2]},{used:.1f}\n")
                return found

            for one in (*programs, *tabs):
                one.start()
            while time.monotonic() < until:
                time.sleep(options.every)
                seen.append(look()[0])
            for one in (*programs, *tabs):
                one.join(timeout=180)
            stuck = sum(one.is_alive() for one in (*programs, *tabs))
            time.sleep(60)  # until what nobody looks at any more has ended, and idle threads too
            after = look()
        finally:
            server.terminate()
        counts = sum((one.counts for one in (*programs, *tabs)), collections.Counter())
        faults = [fault for one in (*programs, *tabs) for fault in one.faults]
        waits = sorted(wait for one in tabs for wait in one.waits)
        served = [len(one.waits) for one in tabs]
        pictures = [made for one in tabs for made in one.pictures]
        pictures = random.Random(0).sample(pictures, min(CHECKED, len(pictures)))
        wrong = different(pictures)
        third = len(seen) // 3
        plateau, last = statistics.median(seen[third : 2 * third]), statistics.median(seen[2 * third :])
        print(f"{options.visitors} visitors for {options.minutes:g} minutes: {dict(counts)}")
        print(f"seconds to a tab's picture: median {statistics.median(waits):.1f}, most {waits[-1]:.1f}; pictures a "
              f"tab: {min(served)} to {max(served)}")  # fmt: skip
        print(f"{len(pictures)} pictures compared, {wrong} different; {len(faults)} faults, {stuck} stuck")
        print(f"memory {before[0]:.0f} MB before, {plateau:.0f} in the middle, {last:.0f} in the last third, "
              f"{after[0]:.0f} after; threads {before[1]}, {after[1]} after; stray files {after[2]}")  # fmt: skip
        print("\n".join(faults[:20]))
    grown = last > plateau * 1.05 or after[1] > before[1] + 50 or after[2] > before[2]
    return int(bool(wrong or faults or stuck or grown))


if __name__ == "__main__":
    sys.exit(main())
