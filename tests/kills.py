"""Programs killed at random moments: python -m tests.kills [--count 200] [--minutes 60]; fails if anything was lost.

Painting to files, fine-tuning, and the page's fine-tuning whose server is killed. Each is killed by SIGKILL, SIGTERM
or SIGINT at a moment of its own, and then started again: what was said to be kept must be whole, what is there must
open, a training that goes on must end where one ends that nobody disturbed, and no process may be left after 5 s.
"""

import argparse
import collections
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import DDIMPipeline, DDPMPipeline, DDPMScheduler
from PIL import Image

from guidance import read_png, settings
from guidance.__main__ import interrupted, main
from guidance.models.loading import open_model
from guidance.ui.tabs import controls, finetune
from tests.exact import tiny_unet

SIGNALS = {signal.SIGKILL: 0.6, signal.SIGTERM: 0.2, signal.SIGINT: 0.2}
KINDS = {"painting": 0.45, "tuning": 0.45, "page": 0.1}
PATIENCE = 5.0  # seconds after which nothing may be left
STEPS, EVERY = 12, 3


def start(work: Callable[[], int], log: Path) -> int:
    """The number of a process that does a piece of work as a program would, and writes what it says to a file."""
    if number := os.fork():
        return number
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = work()
        sys.stdout.flush()
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        code = 70
    os._exit(code)


def ended(number: int, seconds: float) -> int | None:
    """The exit status of a process, or None if it is not over in so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(number, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def living(words: str) -> list[int]:
    """The processes that have these words in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words in path.read_bytes().decode(errors="replace"):
                found.append(int(path.parent.name))
        except OSError:  # it has just ended
            continue
    return found


class Kind:
    """One kind of work in a folder: what it does, and what must be true after it has ended, however it did."""

    def __init__(self, folder: Path):
        self.folder, self.log = folder, folder / "log.txt"
        folder.mkdir()

    def work(self) -> int:
        """The work itself."""
        raise NotImplementedError

    def check(self, over: bool) -> list[str]:
        """What is wrong after a kill, or after the end if it is `over`."""
        raise NotImplementedError

    def leavings(self) -> list[str]:
        """What half-written files are left after a run that was not disturbed."""
        return [f"{path} is left" for path in self.folder.rglob(".part-*")]


class Painting(Kind):
    """Two pictures to files."""

    def work(self) -> int:
        """Paint."""
        return main(["color", "teal", "--steps", "2", "--count", "2", "--out", str(self.folder / "out")])

    def check(self, over: bool) -> list[str]:
        """Every picture is whole and knows its recipe, those that were named above all."""
        wrong = [] if not over or len(list(self.folder.glob("out/*.png"))) == 2 else ["pictures are missing"]
        named = [Path(line) for line in self.log.read_text().splitlines() if line.endswith(".png")]
        for path in {*named, *self.folder.glob("out/[!.]*.png")}:
            try:
                read_png(path)
                Image.open(path).load()
            except Exception as error:
                wrong.append(f"{path.name}: {error}")
        return wrong + (self.leavings() if over else [])


class Tuning(Kind):
    """A fine-tuning that goes on where the one before was killed."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.out, self.step, self.round, self.finished = folder / "0", 0, 0, 0
        DDPMPipeline(tiny_unet(), DDPMScheduler()).save_pretrained(folder / "model")
        (folder / "data").mkdir()
        for number, color in enumerate(("teal", "navy", "green")):
            Image.new("RGB", (40, 30), color).save(folder / "data" / f"{number}.png")
        self.whole = None

    def work(self) -> int:
        """Train."""
        return main(["finetune", "--model", str(self.folder / "model"), "--data", str(self.folder / "data"), "--out",
                     str(self.out), "--steps", f"{STEPS}", "--every", f"{EVERY}", "--batch", "2", "--precision", "no",
                     "--learning-rate", "1e-3"])  # fmt: skip

    def check(self, over: bool) -> list[str]:
        """The checkpoint is whole and no older than what was shown, the pipeline opens; at the end, the weights."""
        wrong, checkpoint = [], self.out / "checkpoint.pt"
        try:
            step = torch.load(checkpoint, weights_only=True)["step"] if checkpoint.exists() else 0
            shown = [int(path.stem[-6:]) for path in self.out.glob("samples-*.png")]
            for path in self.out.glob("samples-*.png"):
                Image.open(path).load()
            if step < max([self.step, *shown]):
                wrong.append(f"the checkpoint is of step {step}, after {max([self.step, *shown])}")
            self.step = step
            if (self.out / "pipeline").exists() or any(shown):
                open_model(str(self.out / "pipeline"))
            if over:
                weights = DDIMPipeline.from_pretrained(self.out / "pipeline").unet.state_dict()
                self.whole = self.whole or weights
                far = max((weights[name] - self.whole[name]).abs().max().item() for name in weights)
                wrong += [f"weights differ by {far:g}"] * (far > 1e-5 or step != STEPS) + self.leavings()
                self.round, self.step, self.finished = self.round + 1, 0, self.finished + 1
                self.out = self.folder / str(self.round)
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
        return wrong


class Page(Tuning):
    """The page's fine-tuning, in a process of its own that must end with the page."""

    def work(self) -> int:
        """Train as the page does."""
        settings.TRAINED = self.folder
        paths = [str(path) for path in sorted((self.folder / "data").iterdir())]
        run = finetune.Tuning(paths, str(self.folder / "model"), "mine", 0.05, 1e-3, str)
        run.command[-1] = "2"
        for shown in run:
            print(shown.get("status", ""), flush=True)
        return 0

    def check(self, over: bool) -> list[str]:
        """No process is left, and a model is offered if that was said, and its name is free if it was not."""
        until = time.monotonic() + PATIENCE
        while (left := living(str(self.folder / ".mine"))) and time.monotonic() < until:
            time.sleep(0.05)
        wrong = [f"processes are left: {left}"] * bool(left)
        settings.TRAINED = self.folder
        offered = [name for _, name in controls.models() if name.startswith("trained/")]
        said = "choose trained/mine" in self.log.read_text()
        if said and offered != ["trained/mine"] or over and not said:
            wrong.append(f"it was said: {said}; offered: {offered}")
        if offered:
            try:
                open_model(str(self.folder / "mine" / "pipeline"))
            except Exception as error:
                wrong.append(str(error))
            (self.folder / "mine").rename(self.folder / f"kept-{time.monotonic_ns()}")
            for path in self.folder.glob("kept-*/pipeline"):
                path.rename(path.with_name("seen"))
        finetune.free("mine")
        return wrong


def program() -> int:
    """Kill so many times and tell how it went; 0 if nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, interrupted)  # as in a program; the processes inherit it
    chance, until = random.Random(options.seed), time.monotonic() + options.minutes * 60
    kills, faults, waits, ends = collections.Counter(), [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        kinds = {"painting": Painting(Path(folder) / "a"), "tuning": Tuning(Path(folder) / "b"),
                 "page": Page(Path(folder) / "c")}  # fmt: skip
        lasts = {}
        for name, kind in kinds.items():  # as long as it takes when nobody disturbs it
            began = time.monotonic()
            status = ended(start(kind.work, kind.log), 600)
            lasts[name] = time.monotonic() - began
            faults += [f"{name}: it ended with {status}: {kind.log.read_text()[-300:]}"] * bool(status)
            faults += [f"{name}: {wrong}" for wrong in kind.check(True)]
            print(f"{name}: {lasts[name]:.1f} s undisturbed", flush=True)
        while sum(kills.values()) < options.count and time.monotonic() < until:
            (name,) = chance.choices(list(KINDS), KINDS.values())
            (number,) = chance.choices(list(SIGNALS), SIGNALS.values())
            kind = kinds[name]
            process = start(kind.work, kind.log)
            status = ended(process, chance.random() * lasts[name])
            if status is None:
                began = time.monotonic()
                os.kill(process, number)
                if ended(process, PATIENCE) is None:
                    faults.append(f"{name}: it went on for {PATIENCE:g} s after {number.name}")
                    os.kill(process, signal.SIGKILL)
                    os.waitpid(process, 0)
                waits.append(time.monotonic() - began)
                kills[f"{name} by {number.name}"] += 1
            else:
                ends += 1
                faults += [f"{name}: it ended with {status}: {kind.log.read_text()[-300:]}"] * bool(status)
            faults += [f"{name}, kill {sum(kills.values())}: {wrong}" for wrong in kind.check(status == 0)]
        for name, kind in kinds.items():  # started again, each comes to its end
            status = ended(start(kind.work, kind.log), 600)
            wrong = kind.check(True) + [f"it ended with {status}: {kind.log.read_text()[-300:]}"] * bool(status)
            faults += [f"{name}, at last: {one}" for one in wrong]
        finished = kinds["tuning"].finished
    waits.sort()
    print(f"{sum(kills.values())} kills: {dict(sorted(kills.items()))}; {ends} runs were through before")
    print(f"seconds from the signal to the end: median {waits[len(waits) // 2]:.2f}, most {waits[-1]:.2f}")
    print(f"{finished} trainings came to the end of one that nobody disturbed; {len(faults)} faults")
    print("\n".join(faults[:40]))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(program())
