"""The files of a batch: each picture once, with its recipe and what was measured inside; a manifest; shards."""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from guidance.atomic import written
from guidance.recipe import AS_PNG, KEY, Recipe, png_info, read_png

ROW = "guidance-row"  # the PNG text chunk that holds a picture's row of the manifest
NAME = re.compile(r"(\d{6,})(-\d{3})?\.(png|failed\.json)")  # of a picture, by its row and which of that it is
OTHERS = "There is a picture of another recipe in its place: choose another folder."
GROUP = 10_000  # rows of the manifest that are written at once


def path(out: Path, row: int, k: int = 0, pictures: int = 1) -> Path:
    """Where picture k of a row goes."""
    return out / (f"{row:06d}-{k:03d}.png" if pictures > 1 else f"{row:06d}.png")


def failure(out: Path, row: int) -> Path:
    """Where it is said why a row has not come to all its pictures."""
    return out / f"{row:06d}.failed.json"


def shard(out: Path, number: int) -> Path:
    """Where a shard goes."""
    return out / f"shard-{number:06d}.tar"


def save(image: Image.Image, path: Path, recipe: Recipe, row: dict) -> None:
    """Write a picture, whole or not at all."""
    info = png_info(recipe)
    info.add_text(ROW, json.dumps(row))
    with written(path) as part:
        image.save(part, **AS_PNG, pnginfo=info)


def is_there(path: Path, recipe: Recipe) -> bool:
    """Whether a recipe's picture is there; FileExistsError if another's is."""
    if not path.exists():
        return False
    if read_png(path).replace(weights="") != recipe.replace(weights=""):
        raise FileExistsError(OTHERS)
    return True


def row(name: str, file: BinaryIO) -> dict:
    """The row of the manifest that a file of a batch holds."""
    if name.endswith(".json"):
        return json.load(file)
    with Image.open(file, formats=("PNG",)) as image:  # no pixel is read
        return json.loads(image.info[ROW]) | {"file": name, "recipe": image.info[KEY]}


def mine(out: Path, first: int, last: int) -> list[Path]:
    """The files of the rows from `first` to `last`, in their order."""
    found = [(int(match[1]), file.name, file) for file in out.iterdir() if (match := NAME.fullmatch(file.name))]
    return [file for number, _, file in sorted(found) if first <= number <= last]


def pack(out: Path, number: int, size: int) -> None:
    """Make the files of a shard's rows one tar, each picture beside its row as JSON, as WebDataset has it."""
    files, target = mine(out, number * size, (number + 1) * size - 1), shard(out, number)
    if not target.exists():
        with written(target) as part, tarfile.open(part, "w") as tar:
            for file in files:
                data = file.read_bytes()
                about = json.dumps(row(file.name, io.BytesIO(data))).encode()
                for name, content in {file.name: data, f"{file.stem}.json": about}.items():  # one, of a failure
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    for file in files:
        file.unlink()


def rows(out: Path, count: int) -> Iterator[dict]:
    """All rows of the manifest of a batch of `count` recipes, from its shards and its files."""
    for tar in sorted(out.glob("shard-*.tar")):
        with tarfile.open(tar) as members:
            for member in members:
                if member.name.endswith(".json"):
                    yield json.load(members.extractfile(member)) | {"shard": tar.name}
    for file in mine(out, 0, count - 1):
        with file.open("rb") as content:
            yield row(file.name, content)


def manifest(out: Path, count: int) -> tuple[int, int]:
    """Write the manifest, a row for each picture and for each recipe that has failed; how many there are of both."""
    import pyarrow as pa
    from pyarrow import parquet

    texts = ("file", "shard", "recipe", "error", "losses", "colour", "shows", "readings", "notes")
    schema = pa.schema([("row", pa.int64()), *((name, pa.string()) for name in texts), ("seconds", pa.float64())])
    found, made, failed = rows(out, count), 0, 0
    with written(out / "manifest.parquet") as part, parquet.ParquetWriter(part, schema) as writer:
        while group := list(islice(found, GROUP)):
            failed += (wrong := sum("error" in one for one in group))
            made += len(group) - wrong
            writer.write_table(pa.Table.from_pylist(group, schema))
    return made, failed
