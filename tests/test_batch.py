"""Batches: the pictures of many recipes, each once and as alone, whatever happens on the way."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from guidance import images
from guidance.__main__ import main
from guidance.fields import RecipeError
from guidance.models.model import Model
from guidance.recipe import ColorRecipe, DigitRecipe, read_png, to_json
from guidance.scale import batch, cluster, painter, pictures, rows

ROOT = Path(__file__).parent.parent
DIGITS = [
    DigitRecipe(digits="3", steps=3), DigitRecipe(digits="58", steps=5), DigitRecipe(digits="7", steps=4, seed=9),
    DigitRecipe(digits="7", steps=4, guidance="classifier"), DigitRecipe(digits="1", steps=3, conditioning="channels"),
    DigitRecipe(digits="2", steps=3, guidance="none", count=2), DigitRecipe(digits="9", steps=3, batched=True),
]  # fmt: skip


def made(asked, out, **options):
    """The rows of the manifest of a batch that is made in this process."""
    batch.batch(asked, out, replicas=0, **options)
    return parquet.read_table(out / "manifest.parquet").to_pylist()


def same(path, image):
    return np.array_equal(np.asarray(Image.open(path)), np.asarray(image))


def test_pictures_of_many_recipes_share_the_network_and_are_those_of_each_alone(tmp_path, monkeypatch):
    alone = [image for recipe in DIGITS for image in images(recipe)]
    calls, run = [], Model.run
    monkeypatch.setattr(Model, "run", lambda self, t, *rest: calls.append(len(t)) or run(self, t, *rest))
    table = made([to_json(recipe) for recipe in DIGITS], tmp_path)
    assert [row["row"] for row in table] == [0, 1, 1, 2, 3, 4, 5, 5, 6]
    assert all(same(tmp_path / row["file"], image) for row, image in zip(table, alone, strict=True))
    assert max(calls) > 8  # of the pictures of five recipes, and of some twice
    assert len(calls) < sum(recipe.steps for recipe in DIGITS)
    for row in table:
        recipe = read_png(tmp_path / row["file"])
        assert recipe.weights and to_json(recipe) == row["recipe"]
        assert row["colour"].startswith("#") and row["shows"].isdigit() and row["seconds"] > 0
        (reading,) = json.loads(row["readings"])
        assert (reading["asked"], reading["seen"]) == (recipe.guides[0].digits, row["shows"])
    assert "classifier" in json.loads(table[4]["losses"])


def test_where_networks_see_one_picture_at_a_time_pictures_are_those_alone_too(tmp_path):
    asked = [ColorRecipe(color=color, seed=seed, steps=2) for color in ("teal", "gold") for seed in (4, 5)]
    table = made([to_json(recipe) for recipe in asked], tmp_path)
    for row, recipe in zip(table, asked, strict=True):
        assert same(tmp_path / row["file"], images(recipe)[0])
        assert row["shows"] and "colour" in json.loads(row["losses"])


def test_what_is_there_is_not_made_again_and_a_picture_of_another_recipe_is_left(tmp_path, monkeypatch):
    asked = [to_json(DigitRecipe(digits=digit, steps=2)) for digit in "0123"]
    made(asked, tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.png")}
    (lost := tmp_path / "000002.png").unlink()
    saved, save = [], pictures.save
    monkeypatch.setattr(pictures, "save", lambda *all: saved.append(all[1]) or save(*all))
    assert len(made(asked, tmp_path)) == 4 and saved == [lost]
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items() if path != lost)
    table = made([*asked[:3], asked[0]], tmp_path)
    assert len(table) == 5 and table[3]["error"] == pictures.OTHERS and table[4]["file"] == "000003.png"
    assert read_png(tmp_path / "000003.png").digits == "3"


def test_a_broken_recipe_is_a_row_with_its_sentence_and_is_tried_again(tmp_path, monkeypatch):
    good, wrong = to_json(DigitRecipe(digits="4", steps=2)), {"color": "mauvish"}
    blown = to_json(ColorRecipe(color="teal", rule="course", scale=10_000, steps=3, method="full"))
    monkeypatch.setattr("guidance.scale.painter.paint", lambda recipes, paint=painter.paint: (
        [RuntimeError("secret")] * len(recipes) if recipes[0].model == "landscapes" else paint(recipes)))  # fmt: skip
    table = made([good, wrong, "{", blown, good], tmp_path)
    assert [row["error"] for row in table] == [
        None, "Colour must be a hex value such as #2080ff, a CSS name such as teal, or rgb(32, 128, 255).",
        "This is not a recipe that this version understands.", "Something went wrong on our side: RuntimeError.", None,
    ]  # fmt: skip
    assert table[1]["recipe"] == json.dumps(wrong) and table[2]["recipe"] == "{"
    table = made([good, good, "{", blown, good], tmp_path)
    assert [bool(row["error"]) for row in table] == [False, False, True, True, False]


def test_shards_hold_pictures_beside_their_rows_and_are_made_once(tmp_path):
    asked = [to_json(DigitRecipe(digits=digit, steps=2)) for digit in "01234"]
    asked[1] = "{"
    table = made(asked, tmp_path, shards=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "manifest.parquet", *(f"shard-00000{k}.tar" for k in range(3))
    ]  # fmt: skip
    assert [row["shard"] for row in table] == [f"shard-00000{k}.tar" for k in (0, 0, 1, 1, 2)] and table[1]["error"]
    with tarfile.open(tmp_path / "shard-000000.tar") as tar:
        assert tar.getnames() == ["000000.png", "000000.json", "000001.failed.json"]
        assert same(tar.extractfile("000000.png"), images(DigitRecipe(digits="0", steps=2))[0])
        assert json.load(tar.extractfile("000000.json"))["row"] == 0
    before = (tmp_path / "shard-000001.tar").stat().st_mtime_ns
    assert made(asked, tmp_path, shards=2) == table
    assert (tmp_path / "shard-000001.tar").stat().st_mtime_ns == before


def test_grids_and_tables_say_what_recipes_do(tmp_path):
    grid = rows.grid({"color": "teal,gold", "seed": "0..999"})
    assert len(grid) == 2000 and grid[1999] == {"color": "gold", "seed": "999"}
    assert rows.recipe(grid[1001]) == ColorRecipe(color="gold", seed=1)
    assert rows.grid({"prompt": "a lake, at dusk; snow"})[0] == {"prompt": "a lake, at dusk"}
    with pytest.raises(RecipeError, match="^A grid needs values for --text-scale, such as teal,gold or 0..999.$"):
        rows.grid({"seed": "1", "text_scale": " , "})
    (tmp_path / "many.csv").write_text("color,seed,digits\nteal,3,\n,,27\n,5,\n")
    recipes = [rows.recipe(asked) for asked in rows.read(tmp_path / "many.csv")]
    assert recipes == [ColorRecipe(color="teal", seed=3), DigitRecipe(digits="27"), rows.Recipe(seed=5)]


def test_the_command_makes_a_grid_or_the_recipes_of_a_file_and_nothing_else(tmp_path, capsys):
    grid = ["--digits", "3,4", "--steps", "2", "--seed", "0..1"]
    assert main(["batch", *grid, "--out", str(tmp_path), "--replicas", "0"]) == 0
    assert "4 pictures, 0 recipes" in capsys.readouterr().out
    assert same(tmp_path / "000003.png", images(DigitRecipe(digits="4", steps=2, seed=1))[0])
    for wrong in ([], ["some.jsonl", *grid]):
        assert main(["batch", *wrong, "--out", str(tmp_path)]) == 2
        assert "A batch is of the recipes in a file, or of a grid" in capsys.readouterr().err
    (tmp_path / "none.jsonl").write_text("\n")
    assert main(["batch", str(tmp_path / "none.jsonl"), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "guidance: There is no recipe to make.\n"
    assert main(["batch", str(tmp_path / "gone.jsonl"), "--out", str(tmp_path)]) == 2
    assert "No such file" in capsys.readouterr().err


def test_without_pyarrow_it_is_said_before_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["batch", "--digits", "3", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "guidance: This command needs pyarrow: pip install pyarrow\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", ["2.40.1", "2.9.0"])
def test_an_old_ray_is_refused_and_one_that_is_missing_done_without(tmp_path, capsys, monkeypatch, wrong):
    def version(name):
        assert name == "ray"
        return wrong

    def missing(name):
        raise cluster.PackageNotFoundError(name)

    monkeypatch.setattr(cluster, "version", version)
    command = ["batch", "--digits", "3", "--steps", "2", "--out", str(tmp_path)]
    sentence = f"Ray 2.50 or newer is needed and this is {wrong}: pip install -U 'diffusion-guidance[ray]'"
    assert main(command) == 2 and capsys.readouterr().err == f"guidance: {sentence}\n"
    assert main(["serve"]) == 2 and capsys.readouterr().err == f"guidance: {sentence}\n"
    monkeypatch.setattr(cluster, "version", missing)
    assert main(command) == 0 and (tmp_path / "000000.png").exists()
    capsys.readouterr()
    assert main(["serve"]) == 2
    assert capsys.readouterr().err == f"guidance: This command needs ray: {cluster.EXTRA}\n"


def test_a_folder_that_cannot_be_written_to_ends_it_with_a_sentence(tmp_path, monkeypatch):
    def full(*all):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pictures, "save", full)
    with pytest.raises(OSError, match="No space left"):
        list(painter.Painter([to_json(DIGITS[0])], tmp_path)([0]))


def test_killed_at_any_moment_it_goes_on_and_ends_with_the_same(tmp_path):
    asked = [to_json(DigitRecipe(digits=str(k % 10), seed=k, steps=4)) for k in range(60)]
    (tmp_path / "many.jsonl").write_text("\n".join(asked))
    command = [sys.executable, "-m", "guidance", "batch", tmp_path / "many.jsonl", "--out", tmp_path / "out"]
    with subprocess.Popen([*command, "--replicas", "0"], cwd=ROOT, stderr=subprocess.PIPE) as process:
        while not re.search(rb"\b[1-4]\d/60", said := os.read(process.stderr.fileno(), 1000)):
            assert said  # it has not ended
        os.kill(process.pid, signal.SIGKILL)
    there = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("0*.png")}
    assert 10 <= len(there) < 60 and not (tmp_path / "out" / "manifest.parquet").exists()
    table = made(asked, tmp_path / "out")
    assert len(table) == 60 and not any(row["error"] for row in table)
    assert all(path.stat().st_mtime_ns == time for path, time in there.items())
    for k in (0, 9, 10, 30, 59):
        assert same(tmp_path / "out" / table[k]["file"], images(rows.recipe(asked[k]))[0])
    assert not list((tmp_path / "out").glob(".part-*"))
