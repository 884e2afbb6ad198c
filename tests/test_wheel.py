"""The wheel: built without a network, it has the weights inside and paints from any folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from guidance import read_png
from guidance.models import catalogue

ROOT = Path(__file__).parent.parent
SOURCES = ("guidance", "assets", "pyproject.toml", "setup.py", "requirements.txt", "README.md", "LICENSE")
SHIPPED = ("attributes", "clip", "digits", "engravings", "landscapes")  # of the assets


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The wheel's files in an empty folder, built from a copy of the checkout, which stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "source").mkdir()
    for path in map(ROOT.joinpath, SOURCES):
        if path.is_dir():
            shutil.copytree(path, folder / "source" / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, folder / "source")
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--no-index", "-w", ".."]
    done = subprocess.run(command, cwd=folder / "source", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    assert wheel.name.startswith("diffusion_guidance-0.2.0-py3-none-any")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder / "unpacked")
    return folder / "unpacked"


def run(unpacked, where, *command, **environment):
    """What Python prints in a folder where the wheel's files are all of this project that it finds."""
    environment = os.environ | {"PYTHONPATH": str(unpacked), "PYTHONSAFEPATH": "1"} | environment
    done = subprocess.run(
        [sys.executable, *command], cwd=where, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(folder, *patterns):
    """The files in a folder that fit patterns, by their paths in it."""
    return {path.relative_to(folder).as_posix() for pattern in patterns for path in folder.rglob(pattern)}


def test_every_module_and_what_the_page_shows_is_inside(unpacked):
    patterns = ("*.py", "*.css", "*.js", "*.json", "*.png", "*.webp")
    shipped = {name for name in names(unpacked / "guidance", *patterns) if not name.startswith("assets/")}
    assert shipped == names(ROOT / "guidance", *patterns)
    assert {path.name for path in unpacked.iterdir()} == {"guidance", "diffusion_guidance-0.2.0.dist-info"}


def test_all_weights_are_inside_and_no_figures(unpacked):
    inside = unpacked / "guidance" / "assets"
    assert {path.name for path in inside.iterdir()} == {"SHA256SUMS", *SHIPPED}
    for name in SHIPPED:
        files = [path for path in (ROOT / "assets" / name).rglob("*") if path.is_file()]
        assert len(files) == len([path for path in (inside / name).rglob("*") if path.is_file()]) > 0
        for path in files:
            assert path.read_bytes() == (inside / path.relative_to(ROOT / "assets")).read_bytes()


def test_it_paints_from_any_folder(unpacked, tmp_path):
    code = "import guidance, guidance.settings as s; print(guidance.__file__, s.ASSETS, s.ROOT, sep='\\n')"
    package = unpacked / "guidance"
    assert run(unpacked, tmp_path, "-c", code).split() == [
        str(package / "__init__.py"), str(package / "assets"), str(unpacked)
    ]  # fmt: skip
    for command, model in (
        (("color", "teal"), "landscapes"), (("clip", "snowy hills"), "landscapes"), (("digits", "7"), "digits")
    ):  # fmt: skip
        out = tmp_path / command[0]
        printed = run(unpacked, tmp_path, "-m", "guidance", *command, "--steps", "3", "--out", str(out))
        assert printed == f"{out / '000.png'}\n"
        assert read_png(out / "000.png").weights.split("-")[0] == catalogue.fingerprint(model)


def test_the_page_is_built_from_it(unpacked, tmp_path):
    code = "from guidance.ui import page; print(type(page.build()).__name__)"
    assert run(unpacked, tmp_path, "-c", code) == "Page\n"


def test_a_process_that_works_for_it_finds_it(unpacked):
    code = "import subprocess, sys; from guidance import settings; subprocess.run([sys.executable, '-m', 'guidance', " \
           "'finetune', '--help'], cwd=settings.ROOT, env=settings.handed_on(), check=True)"  # fmt: skip
    assert "--learning-rate" in run(unpacked, unpacked.parent, "-c", code)


def test_the_judge_of_landscapes_is_found(unpacked, tmp_path):
    code = "from guidance.models import catalogue; print(type(catalogue.judge()).__name__)"
    assert run(unpacked, tmp_path, "-c", code) == "AttributeNetwork\n"


def test_a_space_is_not_made_of_it(unpacked, tmp_path):
    code = "import sys; from guidance.__main__ import main; sys.stderr = sys.stdout; print(main(sys.argv[1:]))"
    assert run(unpacked, tmp_path, "-c", code, "deploy", "--space", "me/guidance") == (
        "guidance: A Space is made in a checkout of the project: the installed package lacks app.py.\n2\n"
    )
