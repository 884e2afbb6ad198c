"""A guide that is one file: brightness through the library and the command line, and one from another package."""

import json
import logging
import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import guidance
from guidance import Color, Prompt, Recipe, RecipeError, frames, guides, images, read_png, settings, steer
from guidance.__main__ import main, parser
from guidance.guides.base import LossGuide
from guidance.guides.brightness import Brightness
from guidance.recipe import from_flat, from_json, to_flat, to_json

OWN = ["color", "prompt", "digits", "brightness", "contrast", "edges", "from_picture", "hold", "layout", "palette",
       "saturation", "sketch", "symmetry", "tileable"]  # fmt: skip


def lightness(pictures):
    """How light pictures are on the whole, from 0 to 1."""
    return np.mean([np.asarray(picture) for picture in pictures]) / 255


def test_the_library_has_it_by_its_name():
    assert guidance.Brightness is Brightness is guides.find("brightness")
    assert Brightness(0.2) == Brightness(level="0.2") and Brightness().level == 0.8
    dark, light = (lightness(steer("landscapes", Brightness(level), steps=6, count=2)) for level in (0.2, 0.8))
    assert dark == pytest.approx(0.2, abs=0.1) and light == pytest.approx(0.8, abs=0.1)
    digits = [lightness(steer("digits", Brightness(level), steps=5)) for level in (0.1, 0.5)]
    assert digits[0] < digits[1]  # of one channel


@pytest.mark.parametrize("fields", [{"method": "full"}, {"rule": "course", "scale": 200}, {"start": 0.2, "stop": 0.8}])
def test_it_has_what_every_loss_has(fields):
    bare = lightness(steer("landscapes", steps=6))
    assert lightness(steer("landscapes", Brightness(0.95, **fields), steps=6)) > bare + 0.02


def test_it_goes_with_others_and_each_has_its_curve():
    both = Prompt("hills") * 0.5 + Color("teal", start=0) + Brightness(0.15)  # the last one has the right of way
    first, *_, last = frames("landscapes", both, steps=6)
    assert sorted(first.losses) == ["brightness", "colour", "prompt"]
    assert last.losses["brightness"] < first.losses["brightness"]
    assert lightness(last.images()) < lightness(steer("landscapes", both[:-1], steps=6)) - 0.02


def test_what_it_does_not_take_is_said_in_a_sentence():
    for values, sentence in (
        ({"level": 2}, "Level must be a number from 0 to 1."),
        ({"scale": 3}, "Scale must be a number from 0 to 1."),
        ({"light": 1}, "Brightness has no field of that name: it has level, start, stop, rule, scale, method, weight, "
                       "where, mask."),
    ):  # fmt: skip
        with pytest.raises(RecipeError) as error:
            Brightness(**values)
        assert str(error.value) == sentence


def test_its_recipe_travels():
    recipe = Recipe(Brightness(0.3) + Color("teal"), seed=4)
    assert from_json(to_json(recipe)) == recipe
    assert json.loads(to_json(recipe))["guides"][0]["guide"] == "brightness"
    flat = to_flat(Recipe((Brightness(0.3),), seed=4))
    assert (flat["level"], flat["seed"]) == (0.3, 4)
    assert from_flat(Brightness, flat) == Recipe((Brightness(0.3),), seed=4)


def test_its_command_paints(tmp_path, capsys):
    assert main(["brightness", "0.2", "--steps", "3", "--seed", "5", "--scale", "0.4", "--out", str(tmp_path)]) == 0
    recipe = Recipe((Brightness(0.2, scale=0.4),), steps=3, seed=5)
    assert read_png(tmp_path / "000.png").replace(weights="") == recipe
    assert np.array_equal(np.asarray(Image.open(tmp_path / "000.png")), np.asarray(images(recipe)[0]))
    capsys.readouterr()
    assert main(["brightness", "7", "--out", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == "guidance: Level must be a number from 0 to 1.\n"
    with pytest.raises(SystemExit):
        main(["brightness", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "From black, 0, to white, 1." in words and "--method METHOD" in words


@pytest.mark.parametrize(
    ("words", "guide"),
    [("brightness:0.3", Brightness(0.3)), ("brightness: level = 0.3, scale=0.2", Brightness(0.3, scale=0.2)),
     ("brightness", Brightness()), ("brightness:scale=0.2", Brightness(scale=0.2))],
)  # fmt: skip
def test_paint_has_it_among_others(words, guide, tmp_path):
    assert main(["paint", "--guide", words, "--guide", "color:teal", "--steps", "2", "--out", str(tmp_path)]) == 0
    assert read_png(tmp_path / "000.png").replace(weights="") == Recipe(guide + Color("teal"), steps=2)


WARMTH = '''
"""A guide from elsewhere."""

from typing import ClassVar

from guidance import Color, LossGuide  # others are there while it is being found
from guidance.fields import field


class Warmth(LossGuide):
    """Toward more red than blue."""

    name: ClassVar[str] = "warmth"
    label: ClassVar[str] = "Warmth"
    about: ClassVar[str] = "Paint warm pictures or cold ones."
    curve: ClassVar[str] = "warmth"

    degree: float = field(0.5, "Warmth", "From cold, -1, to warm, 1.", -1, 1)

    def objective(self, run):
        """How far each picture's red lies above its blue, against the degree."""
        return lambda x0, i: (x0[:, 0] - x0[:, 2]).mean((1, 2)).sub(self.degree).square()
'''


def installed(folder, module, text, *entries):
    """A package of one module in a folder, as pip would leave it, with its entry points."""
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (folder / f"{module}.py").write_text(text)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("\n".join(["[guidance.guides]", *entries, ""]))


def run(folder, *command, **environment):
    """A Python that finds the packages in a folder: its exit code, what it printed, and its errors but for the bar."""
    paths = [str(folder), str(Path(guidance.__file__).parent.parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    errors = [line for line in done.stderr.splitlines() if line.strip() and not re.search("step(/s|\\])", line)]
    return done.returncode, done.stdout, errors


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A folder with a package that brings a guide, and one whose guide cannot be imported."""
    folder = tmp_path_factory.mktemp("packages")
    installed(folder, "elsewhere", WARMTH, "warmth = elsewhere:Warmth")
    installed(folder, "ruin", "import no_such_thing\n", "ruin = ruin:Ruin")
    return folder


LEFT_OUT = "The guide ruin is left out: ModuleNotFoundError: No module named 'no_such_thing'"


def test_a_guide_from_elsewhere_steers_in_the_library(elsewhere):
    code = (
        "import numpy as np; from guidance import Prompt, Warmth, steer, guides\n"
        "red, blue = (np.mean([np.subtract(*np.asarray(picture, float).transpose(2, 0, 1)[[0, 2]]) for picture in\n"
        "             steer('landscapes', Warmth(degree) + Prompt('hills') * 0.1, steps=8)]) for degree in (1, -1))\n"
        "assert red > blue + 30, (red, blue)\n"
        "print(*guides.every()); print(*guides.every())"
    )
    every = " ".join([*OWN, "warmth"]) + "\n"
    assert run(elsewhere, "-c", code) == (0, every * 2, [LEFT_OUT])


def test_a_guide_from_elsewhere_has_a_command_and_its_pictures_are_made_again(elsewhere):
    assert run(elsewhere, "-m", "guidance", "warmth", "0.9", "--steps", "2", "--out", "own") == (
        0, f"{Path('own', '000.png')}\n", [LEFT_OUT]
    )  # fmt: skip
    command = ("paint", "--guide", "warmth:0.9, scale=0.2", "--guide", "color:teal", "--steps", "2", "--out", "both")
    assert run(elsewhere, "-m", "guidance", *command)[0] == 0
    kept = json.loads(Image.open(elsewhere / "both" / "000.png").text["guidance"])
    assert [(guide["guide"], guide["scale"]) for guide in kept["guides"]] == [("warmth", 0.2), ("color", 0.2)]
    assert run(elsewhere, "-m", "guidance", "again", "both/000.png", "--out", "again")[0] == 0
    first, second = (np.asarray(Image.open(elsewhere / name / "000.png")) for name in ("both", "again"))
    assert np.array_equal(first, second)
    with pytest.raises(RecipeError, match="^Guide must be one of: color, prompt, digits, brightness"):
        read_png(elsewhere / "own" / "000.png")  # where that package is not


def test_on_public_pages_it_is_off(elsewhere):
    code = "from guidance import guides; print(*guides.every()); guides.find('warmth')"
    status, printed, errors = run(elsewhere, "-c", code, GUIDANCE_PUBLIC="1")
    assert (status, printed) == (1, " ".join(OWN) + "\n")
    assert errors[-1].endswith(f"RecipeError: Guide must be one of: {', '.join(OWN)}.")
    assert LEFT_OUT not in errors  # nothing of it is even imported


class Foreign(LossGuide):
    """Something that entry points may name."""


@pytest.fixture
def brought(monkeypatch):
    """What is left out, and why, of the guides of some names that packages bring."""

    def bring(*names, kind=None):
        kinds = [kind or type("Named", (Foreign,), {"name": name, "__module__": __name__}) for name in names]
        points = [EntryPoint(f"{name}{k}", f"tests.test_brightness:{name}{k}", guides.GROUP) for k, name in
                  enumerate(names)]  # fmt: skip
        by_point = dict(zip(points, kinds, strict=True))
        monkeypatch.setattr(EntryPoint, "load", lambda point: by_point[point])
        monkeypatch.setattr(guides, "entries", lambda: points)
        monkeypatch.setattr(guides, "loaded", {})
        return guides.foreign()

    return bring


def test_a_name_that_is_taken_is_left_to_whose_it_is(brought, caplog):
    commands = next(action.choices for action in parser()._actions if action.choices)
    taken = ["color", "prompt", *commands]
    with caplog.at_level(logging.WARNING):
        assert list(brought("twice", "twice", *taken)) == ["twice"]
    assert [record.getMessage() for record in caplog.records] == [
        f"The guide {name}{k} is left out: ValueError: The name {name} is taken."
        for k, name in enumerate(["twice", *taken], start=1)
    ]
    assert guides.find("color") is Color and "twice" in guides.every()
    assert "twice" in next(action.choices for action in parser()._actions if action.choices)


@pytest.mark.parametrize("kind", [Foreign, int, "warmth", type("Odd", (Foreign,), {"name": "Über: alles"})])
def test_what_is_no_guide_is_left_out(kind, brought, caplog):
    with caplog.at_level(logging.WARNING):
        assert brought("odd", kind=kind) == {}
    assert caplog.messages == [
        "The guide odd0 is left out: ValueError: It must be a subclass of Guide with a name of small letters, digits "
        "and underscores."
    ]
    assert list(guides.every()) == OWN


def test_public_pages_are_told_by_the_settings_when_asked(brought, monkeypatch):
    brought("warmth")
    assert "warmth" in guides.every()
    monkeypatch.setattr(settings, "PUBLIC", True)
    assert "warmth" not in guides.every()
