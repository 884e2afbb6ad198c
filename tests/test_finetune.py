"""Fine-tuning: it learns, resumes, adds up gradients, and two processes do what one does."""

import dataclasses
import os
import socket
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from accelerate.utils import LoggerType
from diffusers import DDIMPipeline, DDPMPipeline, DDPMScheduler, UNet2DModel
from huggingface_hub import HfApi
from huggingface_hub.errors import LocalTokenNotFoundError
from PIL import Image

from guidance import ColorRecipe, images
from guidance.__main__ import main
from guidance.models.attributes import ATTRIBUTES
from guidance.models.device import ModelError
from guidance.training import engravings, finetune, trainer
from guidance.training.landscapes import attributes
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
    names = {field.name for field in dataclasses.fields(Settings)}
    common = {name: value for name, value in settings.items() if name in names}
    others = {"data": start / "data", "model": str(start / "model"), "batch": 2} | settings
    others = {name: value for name, value in others.items() if name not in names}
    finetune.run(Settings(start / out, **common), **others)
    return weights(start / out)


def near(first, second):
    """Whether two sets of weights agree."""
    return all(torch.allclose(first[name], second[name], rtol=0, atol=1e-5) for name in first)


def test_pictures_are_cropped_to_the_model_s_size(start):
    assert finetune.pictures(start / "data", (16, 24), 3).shape == (3, 3, 16, 24)
    assert finetune.pictures(start / "data", (16, 16), 1).shape == (3, 1, 16, 16)
    assert len(finetune.pictures(start / "data", (16, 16), 3, most=2)) == 2
    with pytest.raises(OSError, match="no picture in what was given with --data"):
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


def test_a_run_that_was_killed_between_its_last_checkpoint_and_its_pipeline_ends_with_both(start, monkeypatch):
    whole, show = run(start, "whole"), finetune.sampled

    def sampled(model, count, *rest):
        if (start / "broken" / "history.json").exists() and torch.load(start / "broken" / "checkpoint.pt")["step"] == 8:
            raise KeyboardInterrupt
        return show(model, count, *rest)

    monkeypatch.setattr(finetune, "sampled", sampled)
    with pytest.raises(KeyboardInterrupt):
        run(start, "broken")
    assert not near(whole, weights(start / "broken"))  # of the fourth step
    monkeypatch.undo()
    assert near(whole, run(start, "broken"))
    assert (start / "broken" / "samples-000008.png").exists()


def test_the_result_loads_is_steered_and_was_logged(start):
    run(start, "out")
    recipe = ColorRecipe(model=str(start / "out" / "pipeline"), steps=2)
    assert images(recipe)[0].size == (16, 16)
    kept = {f"samples-00000{k}.png" for k in (0, 4, 8)} | {"history.json"}
    assert kept <= {path.name for path in (start / "out").iterdir()}
    assert list((start / "out").rglob("events.out.tfevents.*"))


def test_two_processes_do_what_one_does(start):
    rate = 1e-3
    launch = ["accelerate.commands.launch", "--cpu", "--num_processes", "1", "--num_machines", "1", "--dynamo_backend",
              "no", "--mixed_precision", "no", "--num_cpu_threads_per_process", "1"]  # fmt: skip
    command = ["guidance", "finetune", "--model", str(start / "model"), "--data", str(start / "data"),
               "--out", str(start / "two"), "--steps", "8", "--every", "8", "--batch", "2", "--precision", "no",
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


def test_plain_diffusers_draws_with_the_result_and_its_card_says_what_it_is(start):
    run(start, "out")
    pipeline = DDPMPipeline.from_pretrained(start / "out" / "pipeline")
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline(1, num_inference_steps=2, output_type="np").images.shape == (1, 16, 16, 3)
    card = (start / "out" / "pipeline" / "README.md").read_text()
    assert "model, fine-tuned on 3 pictures" in card and "8 steps" in card and str(start) not in card
    assert Image.open(start / "out" / "pipeline" / "samples.png").size == (64, 64)


def test_whoever_watches_is_shown_the_model_on_the_way(start):
    seen = []
    run(start, "out", watch=lambda model, step: seen.append((step, finetune.sampled(model, 2, steps=2).shape)))
    assert seen == [(step, (2, 3, 16, 16)) for step in (0, 4, 8)]


def test_engravings_are_ink_on_paper_and_functions_of_their_seeds():
    seeds = engravings.by_day(60_000_000, 6)
    assert not attributes(seeds)[:, ATTRIBUTES.index("night")].any()
    drawn = (engravings.engrave(seeds) + 1) / 2
    assert torch.equal((engravings.engrave(seeds[2:3]) + 1) / 2, drawn[2:3])
    paper, ink = (torch.tensor(rgb).view(3, 1, 1) for rgb in (engravings.PAPER, engravings.INK))
    share = (paper - drawn) / (paper - ink)  # of ink, the same in every channel
    assert (share - share.mean(1, keepdim=True)).abs().max() < 1e-5
    assert share.min() > -1e-5 and (share.mean((1, 2, 3)) - 0.4).abs().max() < 0.25
    assert share.std((1, 2, 3)).min() > 0.2


def test_a_model_with_a_learned_variance_stays_one(start):
    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=16, in_channels=3, out_channels=6, block_out_channels=(16, 32), layers_per_block=1,
        norm_num_groups=8, down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
    )  # fmt: skip
    DDPMPipeline(unet, DDPMScheduler(variance_type="learned_range")).save_pretrained(start / "model")
    run(start, "out", steps=2)
    pipeline = DDPMPipeline.from_pretrained(start / "out" / "pipeline")
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline(1, num_inference_steps=2, output_type="np").images.shape == (1, 16, 16, 3)


def test_a_data_set_of_the_hub_is_streamed(start, monkeypatch):
    asked = []

    def load_dataset(name, **options):
        asked.append((name, options))
        for color in ("teal", "navy", "green", "red"):
            yield {"label": 1, "image": Image.new("RGB", (20, 20), color)}

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    found = finetune.pictures("huggan/flowers@v1", (16, 16), 3, most=3)
    assert found.shape == (3, 3, 16, 16) and found[0, :, 0, 0].tolist() == [0, 128, 128]
    assert asked == [("huggan/flowers", {"revision": "v1", "split": "train", "streaming": True})]
    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=lambda name, **_: 1 / 0))
    with pytest.raises(OSError, match="There is no folder nobody/nothing, and no data set on the Hub"):
        finetune.pictures("nobody/nothing", (16, 16), 3)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(OSError, match="needs another package: pip install datasets"):
        finetune.pictures("huggan/flowers", (16, 16), 3)


def test_weights_and_biases_is_told_where_it_is_installed(start, monkeypatch):
    logged = []
    run_of = types.SimpleNamespace(log=lambda values, **_: logged.append(values), finish=lambda: logged.append("end"))
    wandb = types.SimpleNamespace(init=lambda **_: run_of, finish=run_of.finish)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setattr(trainer, "is_wandb_available", lambda: True)
    there = [LoggerType.TENSORBOARD, LoggerType.WANDB]
    monkeypatch.setattr("accelerate.tracking.get_available_trackers", lambda: there)
    run(start, "out", steps=50, every=50)
    assert "loss" in logged[0] and logged[-1] == "end"


@pytest.fixture
def api(monkeypatch):
    """A Hub that takes everything, and what it was sent."""
    sent = []
    monkeypatch.setattr(HfApi, "whoami", lambda self: {"name": "somebody"})
    monkeypatch.setattr(HfApi, "create_repo", lambda self, *names, **options: sent.append((names, options)))

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        sent.append((repo_id, {path.name for path in folder_path.rglob("*")}))

    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    return sent


def test_the_result_is_pushed_with_its_card(start, api):
    run(start, "out", steps=2, push="somebody/model")
    assert api[0] == (("somebody/model",), {"exist_ok": True})
    assert api[1][0] == "somebody/model"
    assert {"README.md", "samples.png", "model_index.json", "diffusion_pytorch_model.safetensors"} <= api[1][1]
    assert 'from_pretrained("somebody/model")' in (start / "out" / "pipeline" / "README.md").read_text()


def test_who_cannot_push_hears_of_it_before_the_work(start, api, monkeypatch):
    with pytest.raises(OSError, match="is called by its owner and name"):
        run(start, "out", push="no such name!")

    def whoami(self):
        raise LocalTokenNotFoundError("no token")

    monkeypatch.setattr(HfApi, "whoami", whoami)
    with pytest.raises(OSError, match="log in to the Hub first: hf auth login"):
        run(start, "out", push="somebody/model")
    assert not (start / "out").exists() and not api


def test_a_model_that_is_told_a_text_is_not_fine_tuned(start, monkeypatch):
    monkeypatch.setattr(finetune.catalogue, "opened", lambda *_: types.SimpleNamespace(takes_text=True))
    with pytest.raises(ModelError, match="only unconditional models are fine-tuned here"):
        run(start, "out")


def test_the_command_says_what_is_missing(start, capsys):
    out = str(start / "x")
    assert main(["finetune", "--model", "nobody", "--data", str(start / "data"), "--out", out]) == 2
    assert capsys.readouterr().err.startswith("guidance: ")
    assert main(["finetune", "--data", str(start / "nothing"), "--out", out]) == 2
    assert capsys.readouterr().err.startswith("guidance: ")
