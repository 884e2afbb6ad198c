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

    After an error, or when the power fails, what was there before is there still. Of a folder that is there already,
    the files are replaced one by one.
    """
    part = path.with_name(f".part-{path.name}")
    clear(part)
    try:
        yield part
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


def clear(path: Path) -> None:
    """Remove a file, or a folder with all that it contains, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
