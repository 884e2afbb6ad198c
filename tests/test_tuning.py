"""The page's fine-tuning and its process: neither outlives the other, and only what is whole is offered."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from guidance import settings
from guidance.fields import RecipeError
from guidance.ui.runs.jobs import Jobs
from guidance.ui.tabs import controls, finetune
from guidance.ui.tabs.finetune import Tuning
from tests.test_faults import start  # noqa: F401
from tests.test_programs import wait_until

ROOT = Path(__file__).parent.parent
TAKEN = r"^There is a model of that name already: choose another\.$"
# In the place of a training: pictures of samples, a pipeline at their first, and then until its input is closed.
TRAINING = """
import os, pathlib, sys
out = pathlib.Path(sys.argv[1])
from PIL import Image
def samples(step):
    Image.new("RGB", (9, 9)).save(out / f"samples-{step:06d}.png")
samples(0)
if "untrained" not in sys.argv:
    (out / "pipeline").mkdir()
    (out / "history.json").write_text("[[50, 0.5]]")
    samples(50)
if "wait" in sys.argv:
    while os.read(0, 9): pass
    (out.parent / "orphan.txt").write_text("The pipe was closed.")
sys.exit("fail" in sys.argv and "guidance: It cannot be.")
"""


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Where fine-tuned models go, and a function that makes a run which does so much."""
    monkeypatch.setattr(settings, "TRAINED", tmp_path / "trained")
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")

    def make(*does, name="mine"):
        tuning = Tuning([str(tmp_path / "a.png")], "landscapes", name, 1, 1e-4, str)
        tuning.command = [sys.executable, "-c", TRAINING, str(tuning.work), *does]
        return tuning

    return make


def offered():
    """The models of here that the page offers."""
    return [name for _, name in controls.models() if name.startswith("trained/")]


def texts(shown):
    """What a status says."""
    return [text["status"] for text in shown if "status" in text]


def values(name, tmp_path):
    """The controls of a fine-tuning of that name."""
    return {"files": [{"path": str(tmp_path / "a.png")}] * 10, "model": "landscapes", "name": name, "minutes": 1,
            "rate": 1e-4}  # fmt: skip


def test_a_model_is_offered_when_it_is_through_and_its_name_is_taken_from_the_start(trained, tmp_path):
    run, seen = iter(trained()), []
    for shown in run:
        seen.append(shown)
        if len(seen) == 2:
            assert offered() == []
            with pytest.raises(RecipeError, match=TAKEN):
                finetune.asked(str, values("mine", tmp_path))
    assert "Done: choose trained/mine" in texts(seen)[-1] and offered() == ["trained/mine"]
    with pytest.raises(RecipeError, match=TAKEN):
        finetune.asked(str, values("mine", tmp_path))
    assert not [path for path in settings.TRAINED.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(("does", "kept"), [(["wait"], True), (["wait", "untrained"], False)])
def test_a_run_that_is_stopped_keeps_what_has_been_trained_and_nothing_else(trained, does, kept):
    jobs = Jobs()
    job = jobs.start(trained(*does))
    job.seen = 1e18  # somebody looks on
    wait_until((settings.TRAINED / ".mine" / f"samples-{50 * kept:06d}.png").exists)
    jobs.stop(job.key)
    wait_until(lambda: job.state == "over")
    assert ("trained/mine" in job.shown["status"][1]) == kept
    assert offered() == ["trained/mine"] * kept
    assert [path.name for path in settings.TRAINED.iterdir()] == ["mine"] * kept


def test_a_run_that_fails_says_what_its_process_said_and_leaves_nothing(trained, capfd):
    seen = list(trained("fail"))
    assert "It cannot be." in texts(seen)[-1] and offered() == [] and not list(settings.TRAINED.iterdir())


def test_the_name_of_a_run_that_was_killed_is_free_and_what_it_left_is_not_offered(trained, tmp_path):
    left = settings.TRAINED / ".mine" / "pipeline"
    left.mkdir(parents=True)
    assert offered() == []
    finetune.asked(str, values("mine", tmp_path))
    assert "Done" in texts(list(trained()))[-1] and offered() == ["trained/mine"]


def test_a_run_that_was_killed_goes_on_with_the_same_pictures_and_with_nothing_else(trained, tmp_path):
    def left(**changes):
        tuning = trained(**changes)
        tuning.prepare()
        before = (tuning.work / "checkpoint.pt").exists()
        (tuning.work / "checkpoint.pt").write_text("of a run that was killed")
        assert len(list((tuning.work / "pictures").iterdir())) == 1
        return before

    assert [left(), left(), left(name="other")] == [False, True, False]
    (settings.TRAINED / ".mine" / "learns.txt").unlink()  # killed while the pictures came
    assert [left(), left()] == [False, True]
    Image.new("RGB", (9, 9), "teal").save(tmp_path / "a.png")
    assert [left(), left()] == [False, True]


def test_pictures_that_cannot_be_kept_are_told_in_a_sentence(trained, tmp_path):
    tuning = trained()
    (tmp_path / "a.png").unlink()
    assert finetune.UNKEPT in texts(list(tuning))[-1]
    assert not list(settings.TRAINED.glob("*")) and not finetune.going_on


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal.")
def test_a_training_does_not_outlive_a_page_that_is_killed(tmp_path):
    code = f"""
import sys
from guidance.ui.tabs.finetune import Tuning
from guidance import settings
tuning = Tuning([], "landscapes", "mine", 1, 1e-4, str)
assert "--tethered" in tuning.command
tuning.command = [sys.executable, "-c", {TRAINING!r}, str(tuning.work), "wait"]
for shown in tuning:
    if "view" in shown:
        print("It goes on.", flush=True)
"""
    page = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE,
                            env=os.environ | {"GUIDANCE_TRAINED": str(tmp_path / "trained")})  # fmt: skip
    assert page.stdout.readline() == b"It goes on.\n"
    page.send_signal(signal.SIGKILL)
    page.wait()
    wait_until((tmp_path / "trained" / "orphan.txt").exists)
    assert not (tmp_path / "trained" / "mine").exists()


def test_the_command_ends_when_its_input_is_closed(start):  # noqa: F811
    process = subprocess.Popen([sys.executable, "-m", "guidance", *start, "--tethered"], cwd=ROOT,
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
    said = b""
    while b"step/s" not in said:
        assert (more := os.read(process.stderr.fileno(), 4096)), said.decode()
        said += more
    process.communicate(timeout=60)
    assert process.returncode == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals.")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_page_that_paints_ends_at_once_with_one_line(number):
    code = """
import sys, threading
from guidance.recipe import Recipe
from guidance.ui import app, page
def paint():
    for k, _ in enumerate(page.compute(Recipe(steps=1000, count=16))):
        if k == 1:
            print("It paints.", flush=True)
page.warm_up = paint
app.main(["--port", "0"])
"""
    code = code.replace('"0"', f'"{free_port()}"')
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while b"It paints." not in (line := process.stdout.readline()):
        assert line, process.stderr.read().decode()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert said.decode().splitlines()[-1] == "guidance: Stopped." and b"terminate" not in said


def free_port():
    """A port on which nobody listens."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
