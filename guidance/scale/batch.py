"""A batch: the pictures of many recipes, however often it is begun, in this process or on Ray."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from guidance.fields import RecipeError
from guidance.scale import cluster, pictures
from guidance.scale.painter import Painter
from guidance.scale.rows import Asked

TOGETHER = 64  # rows that are looked through for pictures of one network


def here(painter: Painter, count: int) -> Iterator[int]:
    """Make all rows in this process; the number of each when it is done."""
    for first in range(0, count, TOGETHER):
        yield from painter(range(first, min(first + TOGETHER, count)))


def batch(
    asked: Sequence[Asked], out: Path, shards: int = 0, replicas: int | None = None, cores: int = 0
) -> None:  # fmt: skip
    """Make the pictures of all rows and the manifest, in `shards` of so many rows if that is given.

    They are made by so many `replicas` of so many `cores` on Ray, by as many as fit if that is None, and in this
    process if it is 0 or Ray is not installed. RecipeError if there is nothing to make, OSError where nothing can be
    written.
    """
    import pyarrow  # noqa: F401  what is needed at last had better be there at first

    if not asked:
        raise RecipeError("There is no recipe to make.")
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK):
        raise OSError(f"Nothing can be written to {out}.")
    painter, count = Painter(asked, out.absolute(), shards), len(asked)
    on_ray, left = replicas != 0 and cluster.is_here(), Counter[int]()
    done = cluster.spread(painter, count, replicas, cores) if on_ray else here(painter, count)
    for number in tqdm(done, total=count, unit="row"):
        if shards:
            left[shard := number // shards] += 1
            if left[shard] == min(shards, count - shard * shards):
                pictures.pack(out, shard, shards)
    made, failed = pictures.manifest(out, count)
    print(f"{made:,} pictures, {failed:,} recipes that could not be made: {out / 'manifest.parquet'}")
