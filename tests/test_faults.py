"""Faults: what is written is whole or not there, and every command ends with one line whatever happens to it."""

import ast
import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler
from PIL import Image

from guidance import ColorRecipe, DigitRecipe, generate, save_png
from guidance.__main__ import main
from guidance.atomic import save, written
from guidance.models.device import ModelError
from guidance.models.loading import open_model
from guidance.models.model import Model
from guidance.models.upscaler import Upscaler
from guidance.sampling.guides import GuidanceError
from guidance.training import trainer
from guidance.ui.html import words
from tests.exact import tiny_unet

ROOT = Path(__file__).parent.parent


@pytest.fixture
def start(tmp_path):
    """The arguments of a fine-tuning of a tiny model on three pictures."""
    DDPMPipeline(tiny_unet(), DDPMScheduler()).save_pretrained(tmp_path / "model")
    (tmp_path / "data").mkdir()
    for number, color in enumerate(("teal", "navy", "green")):
        Image.new("RGB", (40, 30), color).save(tmp_path / "data" / f"{number}.png")
    return ["finetune", "--model", str(tmp_path / "model"), "--data", str(tmp_path / "data"), "--batch", "2",
            "--precision", "no", "--out", str(tmp_path / "out")]  # fmt: skip


@pytest.fixture
def small_files():
    """No file may grow beyond 1,000 bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder):
    """What lies in a folder and below it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_what_is_written_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: done.append(os.path.realpath(f"/proc/self/fd/{handle}"))
                        or fsync(handle))  # fmt: skip
    monkeypatch.setattr(Path, "replace", lambda self, other: done.append((self.name, other.name))
                        or replace(self, other))  # fmt: skip
    with written(tmp_path / "a.txt") as part:
        part.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert done == [str(tmp_path / ".part-a.txt"), (".part-a.txt", "a.txt"), str(tmp_path)]
    assert (tmp_path / "a.txt").read_text() == "new" and names(tmp_path) == {"a.txt"}


WRITERS = ("save", "save_pretrained", "save_file", "savefig", "write", "write_text", "write_bytes")


def writers(path):
    """The lines of a file that write without `written` around them, but to a buffer or a process, or by a function."""
    tree = ast.parse(path.read_text())
    within = {id(node) for part in ast.walk(tree) if isinstance(part, ast.With)
              if any(ast.unparse(item.context_expr).startswith("written(") for item in part.items)
              for node in ast.walk(part)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITERS:
            words = ast.unparse(node)
            if id(node) not in within and not re.search(r"\(buffer\b|^os\.write|^pictures\.save", words):
                yield f"{path.name}: {words}"


def test_whatever_writes_a_file_to_keep_has_it_whole_or_not_at_all():
    files = [path for path in (ROOT / "guidance").rglob("*.py") if path.parent.name != "models"]  # they write to a part
    assert [line for path in files if path.name != "atomic.py" for line in writers(path)] == []


def test_an_upscaler_is_kept_whole_or_not_at_all(tmp_path, small_files):
    kept = tmp_path / "upscaler"
    save(Upscaler(8, 1), kept)
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    assert set(before) == {"config.json", "model.safetensors"}
    small_files()
    with pytest.raises(OSError, match="upscaler"):
        save(Upscaler(16, 1), kept)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before and names(tmp_path) == {
        "upscaler", "upscaler/config.json", "upscaler/model.safetensors"}  # fmt: skip


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, RuntimeError("no space")])
def test_an_error_leaves_what_was_there_before_and_nothing_else(error, tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / ".part-a.txt").write_text("of a run that was killed")
    with pytest.raises((KeyboardInterrupt, OSError)), written(tmp_path / "a.txt") as part:
        part.write_text("ne")
        raise error
    assert (tmp_path / "a.txt").read_text() == "old" and names(tmp_path) == {"a.txt"}


def test_a_folder_appears_whole_and_its_files_are_replaced_one_by_one(tmp_path):
    for text in ("first", "second"):
        with written(tmp_path / "it") as part:
            (part / "in").mkdir(parents=True)
            for name in ("a", "in/b"):
                (part / name).write_text(text)
        assert names(tmp_path / "it") == {"a", "in", "in/b"} and (tmp_path / "it" / "in" / "b").read_text() == text
    with pytest.raises(OSError, match="it could not be written: full"), written(tmp_path / "it") as part:
        part.mkdir()
        (part / "a").write_text("third")
        raise ValueError("full")
    assert (tmp_path / "it" / "a").read_text() == "second" and names(tmp_path) == {"it", "it/a", "it/in", "it/in/b"}


def test_a_full_disk_leaves_no_half_picture(tmp_path, small_files, capsys):
    recipe, image = ColorRecipe(), Image.effect_noise((64, 64), 80)
    small_files()
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        save_png(image, tmp_path / "000.png", recipe)
    assert main(["color", "teal", "--steps", "1", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"guidance: {os.strerror(errno.EFBIG)}: the disk"
    assert not names(tmp_path)


def test_a_full_disk_leaves_the_last_checkpoint_and_pipeline(start, tmp_path, small_files, capsys):
    assert main([*start, "--steps", "2"]) == 0
    before = {name: (tmp_path / "out" / name).read_bytes() for name in ("checkpoint.pt", "history.json")}
    small_files()
    assert main([*start, "--steps", "4"]) == 2
    assert "checkpoint.pt could not be written" in capsys.readouterr().err.splitlines()[-1]
    assert {name: (tmp_path / "out" / name).read_bytes() for name in before} == before
    assert open_model(str(tmp_path / "out" / "pipeline")).size == (16, 16)
    assert not [name for name in names(tmp_path) if ".part-" in name]


@pytest.mark.parametrize(("out", "said"), [("file/out", "Not a directory"), ("shut", "Nothing can be written to")])
def test_a_folder_that_cannot_be_written_to_is_told_before_the_work(out, said, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "shut")
    monkeypatch.setattr("guidance.engine.generate", lambda recipe: pytest.fail("It was painted."))
    assert main(["color", "teal", "--out", str(tmp_path / out)]) == 2
    assert capsys.readouterr().err.startswith(f"guidance: {said}")


@pytest.fixture
def stranger():
    """A folder that everybody may read, and this process as an account that may read no other's closed files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        DDPMPipeline(tiny_unet(), DDPMScheduler()).save_pretrained(folder / "model")
        for path in (folder / "model").rglob("*.*"):
            path.chmod(0o644)
        (folder / "closed").mkdir()
        save_png(Image.new("RGB", (8, 8)), folder / "closed" / "a.png", ColorRecipe())
        root = os.geteuid() == 0  # who may read everything
        if root:
            os.seteuid(65534)
        yield folder
        if root:
            os.seteuid(0)
        for path in (folder / "closed", folder / "model", *(folder / "model").rglob("*")):
            path.chmod(0o755)


def shut(path):
    """Have nobody look into a file or folder."""
    mine = os.geteuid()
    os.seteuid(os.getuid())
    path.chmod(0)
    os.seteuid(mine)


ALLOW = "allow it for the account that runs this"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights.")
@pytest.mark.parametrize(("name", "said"), [
    ("model/unet/diffusion_pytorch_model.safetensors",
     f"unet/diffusion_pytorch_model.safetensors may not be read; {ALLOW}."),
    ("model/unet/config.json", f"unet/config.json may not be read; {ALLOW}."),
    ("model/unet", f"config.json may not be read; {ALLOW}."),
    ("model", f"model_index.json may not be read; {ALLOW}."),
])  # fmt: skip
def test_a_model_that_may_not_be_read_is_named_with_the_remedy(stranger, name, said):
    shut(stranger / name)
    with pytest.raises(ModelError) as caught:
        open_model(str(stranger / "model"))
    assert str(caught.value) == f"{stranger}/model was not loaded: {said}"
    assert {"may", "allow", "loaded"}.isdisjoint(words.chinese(str(caught.value)).split())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights.")
@pytest.mark.parametrize(("command", "said"), [
    ("again {}/closed/a.png --out {}/out", "Permission denied: {}/closed/a.png"),
    ("color teal --model {}/closed/model --out {}/out", "Model must be landscapes, a model on the Hub such as "
     "google/ddpm-cat-256, or a folder."),
    ("color teal --out {}/new", "Permission denied: {}/new"),
    ("finetune --data {}/closed --model {}/model --out {}/new", "There is no picture in what was given with --data."),
])  # fmt: skip
def test_what_may_not_be_read_or_written_is_told_in_a_sentence(stranger, command, said, capsys):
    shut(stranger / "closed")
    assert main(command.replace("{}", str(stranger)).split()) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"guidance: {said.replace('{}', str(stranger))}"


SENTENCES = {
    "--learning-rate nan": "Learning rate must be a number from 1e-09 to 1.",
    "--learning-rate x": "Learning rate must be a number from 1e-09 to 1.",
    "--steps 0": "Steps must be a whole number from 1 to 100,000,000.",
    "--batch 1.5": "Batch must be a whole number from 1 to 100,000.",
    "--every 0": "Every must be a whole number from 1 to 100,000,000.",
    "--minutes inf": "Minutes must be a number from 0.001 to 1e+06.",
    "--seed -1": "Seed must be a whole number from 0 to 4,294,967,295.",
}


@pytest.mark.parametrize("given", SENTENCES)
def test_numbers_of_a_fine_tuning_are_checked_before_it(given, start, capsys):
    assert main([*start, *given.split()]) == 2
    assert capsys.readouterr().err == f"guidance: {SENTENCES[given]}\n"


@pytest.mark.parametrize(("command", "said"), [
    ("finetune --data /nonexistent --out {}", "There is no folder /nonexistent."),
    ("finetune --data ./no/such/folder --out {}", "There is no folder ./no/such/folder."),
    ("again {}/none.png --out {}", "There is no file of that name."),
    ("paint {}/none.png --out {}", "There is no file of that name."),
    ("paint {}/none.json --out {}", "No such file or directory: {}/none.json"),
    ("paint {}/noise.json --out {}", "This is not a recipe that this version understands."),
    ("clip snow --image {}/none.png --out {}", "There is no file of that name."),
    ("evaluate color --count 3", "The evaluation of color takes no --count."),
    ("evaluate samples --steps 3", "The evaluation of samples takes no --steps."),
    ("evaluate clip --count 1", "Count must be a whole number from 2 to 10,000,000."),
    ("train landscapes --minutes nan", "Minutes must be a number from 0.001 to 1e+06."),
    ("train landscapes --below 550", "The training of landscapes without --weak takes no --below."),
    ("train attributes --below 550", "The training of attributes takes no --below."),
    ("train landscapes --weak {} --pictures 2", "There is no pipeline in the folder {}."),
])  # fmt: skip
def test_what_is_not_there_or_not_taken_is_told_in_a_sentence(command, said, tmp_path, capsys):
    (tmp_path / "noise.json").write_bytes(b"\xff\xfe\x00{")
    assert main(command.replace("{}", str(tmp_path)).split()) == 2
    assert capsys.readouterr().err == f"guidance: {said.replace('{}', str(tmp_path))}\n"


def test_a_checkpoint_that_is_not_whole_is_named(start, tmp_path, capsys):
    assert main([*start, "--steps", "2"]) == 0
    path = tmp_path / "out" / "checkpoint.pt"
    capsys.readouterr()
    for data in (path.read_bytes()[:3000], b"", b"version https://git-lfs"):
        path.write_bytes(data)
        assert main([*start, "--steps", "4"]) == 2
        said = f"The checkpoint {path} is not whole, or that of another network: delete it to begin anew."
        assert capsys.readouterr().err.splitlines()[-1] == f"guidance: {said}"
    trainer.keep({"network": {}, "ema": {}, "optimizer": {}}, path)
    assert main([*start, "--steps", "4"]) == 2
    path.unlink()
    assert main([*start, "--steps", "2"]) == 0


def test_training_goes_on_in_smaller_batches_where_memory_runs_out(start, tmp_path, monkeypatch, capsys):
    seen, forward = [], torch.nn.functional.mse_loss

    def loss(made, wanted):
        seen.append(len(made))
        if len(made) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(made, wanted)

    monkeypatch.setattr(torch.nn.functional, "mse_loss", loss)
    assert main([*start, "--steps", "3", "--batch", "4"]) == 0
    assert seen == [4, 2, *[1] * 3 * 4]  # as many pictures a step as before
    said = capsys.readouterr().out
    assert said.count("Memory ran out: from here on") == 2 and "from here on 1 pictures at once" in said
    monkeypatch.setattr(torch.nn.functional, "mse_loss", lambda made, wanted: loss(made.repeat(2, 1, 1, 1), wanted))
    assert main([*start, "--steps", "6", "--batch", "1"]) == 2
    assert "guidance: There is not enough memory" in capsys.readouterr().err


def short_of_memory(monkeypatch, most, after=0):
    """A model that can be asked for so many pictures at once, and from a step on; and what it was asked for."""
    asked, eps = [], Model.eps

    def limited(self, x_t, t, *condition):
        asked.append(len(x_t))
        if len(x_t) > most and len(asked) > after:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return eps(self, x_t, t, *condition)

    monkeypatch.setattr(Model, "eps", limited)
    return asked


@pytest.mark.parametrize(("recipe", "after", "parts"), [
    (ColorRecipe(color="teal", steps=3, count=5, seed=9), 0, [2, 1, 1, 1]),
    (ColorRecipe(color="teal", steps=3, count=3).replace(candidates=2), 1, [2, 2, 2]),
    (DigitRecipe(digits="20", steps=3, scale=1), 1, [1, 1]),
])  # fmt: skip
def test_pictures_are_made_in_parts_where_memory_runs_out(recipe, after, parts, monkeypatch):
    *_, whole = generate(recipe)
    most = max(parts)
    asked = short_of_memory(monkeypatch, most, after)
    made = list(generate(recipe))
    assert [frame.step for frame in made] == [1, 2, 3] and asked[-len(parts) :] == parts
    last, pictures = made[-1], max(parts) // recipe.candidates
    assert (last.x0 - whole.x0).abs().max() < 0.02 and len(last.images()) == len(recipe.seeds)
    assert {name: len(value) for name, value in last.losses.items()} == dict.fromkeys(whole.losses, len(recipe.seeds))
    assert last.notes == (f"Memory ran out: the pictures were made {pictures} at a time, which rounds a little "
                          "otherwise.",)  # fmt: skip
    assert last.pull.shape == whole.pull.shape and last.weights == whole.weights


def test_where_there_is_no_memory_for_one_picture_a_sentence_says_so(monkeypatch):
    asked = short_of_memory(monkeypatch, 0)
    with pytest.raises(GuidanceError, match="^There is not enough memory"):
        list(generate(ColorRecipe(steps=2, count=2)))
    assert asked == [2, 1]


def test_nothing_depends_on_a_clock_that_somebody_may_set():
    paths = [*(ROOT / "guidance").rglob("*.py"), *(ROOT / "guidance").rglob("*.js")]
    assert not [path.name for path in paths if re.search(r"\btime\.time\(|datetime\.(now|utcnow)", path.read_text())]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal.")
@pytest.mark.parametrize("command", ["color", "finetune"])
def test_ctrl_c_ends_a_command_at_once_with_one_line(command, start, tmp_path):
    arguments = start if command == "finetune" else ["color", "teal", "--steps", "1000", "--out", str(tmp_path / "out")]
    process = subprocess.Popen([sys.executable, "-m", "guidance", *arguments], cwd=ROOT, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)  # fmt: skip
    said = b""
    while b"step/s" not in said:
        assert (more := os.read(process.stderr.fileno(), 4096)), said.decode()
        said += more
    process.send_signal(signal.SIGINT)
    said += process.communicate(timeout=60)[1]
    assert process.returncode == 130
    rest = said.decode().rsplit("step/s", 1)[1].splitlines()[1:]
    assert [line for line in rest if line.strip()] == ["guidance: Stopped."]
    assert not names(tmp_path / "out") if command == "color" else True
