"""Fine-tuning: it learns, resumes, adds up gradients, and two processes do what one does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import DDIMPipeline, DDPMPipeline, DDPMScheduler
from PIL import Image

from guidance import ColorRecipe, images
from guidance.__main__ import main
from guidance.training import finetune
from guidance.training.trainer import Settings
from tests.exact import tiny_unet

ROOT = Path(__file__).parent.parent


@pytest.fixture
def start(tmp_path):
    """A model and a folder of pictures, one of which is none."""
    DDPMPipeline(tiny_unet(), DDPMScheduler()).save_pretrained(tmp_path / "model")
    (tmp_path / "data").mkdir()
    for number, color in enumerate(("teal", "navy", "green")):
        Image.new("RGB", (40, 30 + number), color).save(tmp_path / "data" / f"{number}.png")
    (tmp_path / "data" / "notes.txt").write_text("not a picture")
    return tmp_path


def weights(out):
    """The weights of a run's pipeline."""
    return DDIMPipeline.from_pretrained(out / "pipeline").unet.state_dict()


def run(start, out, **changes):
    """Fine-tune with small settings."""
    settings = {"steps": 8, "every": 4, "precision": "no", "warmup": 1, "learning_rate": 1e-3} | changes
    finetune.run(Settings(start / out, **settings), data=start / "data", model=str(start / "model"), batch=2)
    return weights(start / out)


def near(first, second):
    """Whether two sets of weights agree."""
    return all(torch.allclose(first[name], second[name], rtol=0, atol=1e-5) for name in first)


def test_pictures_are_cropped_to_the_model_s_size(start):
    assert finetune.pictures(start / "data", (16, 24), 3).shape == (3, 3, 16, 24)
    assert finetune.pictures(start / "data", (16, 16), 1).shape == (3, 1, 16, 16)
    with pytest.raises(OSError, match="no picture in the folder"):
        finetune.pictures(start / "model", (16, 16), 3)


def test_an_interrupted_run_resumes_to_the_weights_of_a_whole_one(start, monkeypatch):
    whole, calls, real = run(start, "whole"), [], torch.optim.AdamW.step

    def step(self, *args, **options):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return real(self, *args, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(KeyboardInterrupt):
        run(start, "broken")
    monkeypatch.undo()
    assert near(whole, run(start, "broken"))


def test_the_result_loads_is_steered_and_was_logged(start):
    run(start, "out")
    recipe = ColorRecipe(model=str(start / "out" / "pipeline"), steps=2)
    assert images(recipe)[0].size == (16, 16)
    assert {"samples-000004.png", "samples-000008.png", "history.json"} <= {p.name for p in (start / "out").iterdir()}
    assert list((start / "out").rglob("events.out.tfevents.*"))


def test_two_processes_do_what_one_does(start):
    rate = 1e-3
    launch = ["accelerate.commands.launch", "--cpu", "--num_processes", "1", "--num_machines", "1", "--dynamo_backend",
              "no", "--mixed_precision", "no", "--num_cpu_threads_per_process", "1"]  # fmt: skip
    command = ["guidance", "finetune", str(start / "model"), "--data", str(start / "data"), "--out", str(start / "two"),
               "--steps", "8", "--every", "8", "--batch", "2", "--precision", "no",
               "--learning-rate", str(rate)]  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # Without MPI the launcher starts one process on a CPU; this is how the two find one another.
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        subprocess.Popen([sys.executable, "-m", *launch, "-m", *command], cwd=ROOT,
                         env=os.environ | world | {"RANK": rank, "LOCAL_RANK": rank}) for rank in ("0", "1")
    ]  # fmt: skip
    assert [process.wait(300) for process in started] == [0, 0]
    common = {"warmup": finetune.SETTINGS.warmup, "ema_decay": finetune.SETTINGS.ema_decay, "learning_rate": rate}
    two = weights(start / "two")
    assert near(run(start, "one", accumulate=2, **common), two)
    assert not near(run(start, "half", **common), two)


def test_the_command_says_what_is_missing(start, capsys):
    assert main(["finetune", "nobody", "--data", str(start / "data"), "--out", str(start / "x")]) == 2
    assert capsys.readouterr().err.startswith("guidance: ")
