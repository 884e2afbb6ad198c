"""Files and folders that are there whole or not at all, whatever happens while they are written."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sync(path: Path) -> None:
    """Have the disk hold what a file contains, or which names a folder has, before anything else is done."""
    if path.is_dir() and os.name == "nt":  # where folders cannot be opened
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A name beside `path` to write a file to, or the files of a folder; it takes the place of `path` at the end.

    Meant for nothing but writing: OSError when that fails. Whatever happens, what was there before is there until the
    new one is whole on the disk. Of a folder that is there already, the files are replaced one by one.
    """
    part = path.with_name(f".part-{path.name}")
    clear(part)
    try:
        try:
            yield part
        except OSError:
            raise
        except Exception as error:  # torch and safetensors have their own for a disk that is full
            raise OSError(f"{path} could not be written: {error}") from error
        for file in [*part.rglob("*"), part] if part.is_dir() else [part]:
            sync(file)
        if path.is_dir():
            for file in sorted(file for file in part.rglob("*") if file.is_file()):
                file.replace(path / file.relative_to(part))
                sync((path / file.relative_to(part)).parent)
        else:
            part.replace(path)
        sync(path.parent)
    finally:
        clear(part)


def save(thing: object, path: Path) -> None:
    """Have what can save itself to a file or a folder, such as a picture, do so, whole or not at all."""
    with written(path) as part:
        thing.save(part)


def clear(path: Path) -> None:
    """Remove a file, or a folder with all that it contains, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
