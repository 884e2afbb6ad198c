"""The pictures of rows, each made once, and what is measured of them."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch

from guidance import cielab
from guidance.atomic import written
from guidance.engine import SENTENCES, network_of
from guidance.fields import RecipeError
from guidance.frame import Frame
from guidance.models import catalogue
from guidance.recipe import Recipe, readings_json
from guidance.scale import pictures
from guidance.scale.company import paint, runs
from guidance.scale.rows import Asked, recipe, words

WENT_WRONG = "Something went wrong on our side: {name}."

Place = tuple[int, int, int]  # a row, which of its pictures, and how many it has


def sentence(error: Exception) -> str:
    """What is said of a row that failed."""
    known = isinstance(error, (RecipeError, FileExistsError, *SENTENCES))
    return str(error) if known else WENT_WRONG.format(name=type(error).__name__)


class Painter:
    """Makes the pictures of rows that are not there yet; OSError where they cannot be written."""

    def __init__(self, asked: Sequence[Asked], out: Path, size: int = 0):
        self.asked, self.out, self.size = asked, out, size  # of a shard, if there are any

    def __call__(self, numbers: Iterable[int]) -> Iterator[int]:
        """Make the pictures of the rows of these numbers, of failures write down why; each number when it is done."""
        wrong, left = dict[int, Exception](), Counter[int]()
        wanted: defaultdict[str, list[tuple[Place, Recipe]]] = defaultdict(list)  # by network
        numbers = [int(number) for number in numbers]
        for number in numbers:
            try:
                for place, picture in self.missing(number):
                    wanted[network_of(picture)].append((place, picture))
                    left[number] += 1
            except Exception as error:
                wrong[number] = error
        yield from (self.over(number, wrong.get(number)) for number in numbers if not left[number])
        for asked in wanted.values():
            for number, error in self.painted(asked):
                left[number] -= 1
                if error:
                    wrong.setdefault(number, error)
                if not left[number]:
                    yield self.over(number, wrong.get(number))

    def missing(self, number: int) -> list[tuple[Place, Recipe]]:
        """The pictures of a row that are not there."""
        if self.size and pictures.shard(self.out, number // self.size).exists():
            return []
        made = recipe(self.asked[number])
        count = len(made.seeds)
        wanted = [((number, k, count), made.picture(k)) for k in range(count)]
        return [(place, picture) for place, picture in wanted
                if not pictures.is_there(pictures.path(self.out, *place), picture)]  # fmt: skip

    def over(self, number: int, error: Exception | None) -> int:
        """A row is done; why it failed, if it did, is written down."""
        target = pictures.failure(self.out, number)
        if error:
            row = {"row": number, "recipe": words(self.asked[number]), "error": sentence(error)}
            with written(target) as part:
                part.write_text(json.dumps(row))
        else:
            target.unlink(missing_ok=True)
        return number

    def painted(self, asked: list[tuple[Place, Recipe]]) -> Iterator[tuple[int, Exception | None]]:
        """Make pictures of one network, as many together as it is good at: of each its row, and why it failed."""
        try:
            with torch.inference_mode(False):
                most = catalogue.get(network_of(asked[0][1])).most
        except Exception as error:
            yield from ((number, error) for (number, _, _), _ in asked)
            return
        for first in range(0, len(asked), most):
            part = asked[first : first + most]
            began, made = time.monotonic(), runs([picture for _, picture in part], most)
            frames = paint(made)
            seconds, rest = (time.monotonic() - began) / len(part), iter(part)
            for run, frame in zip(made, frames, strict=True):
                for k, (place, picture) in enumerate(islice(rest, len(run.seeds))):
                    if not isinstance(frame, Exception):
                        self.keep(place, picture, frame, k, seconds)
                    yield place[0], frame if isinstance(frame, Exception) else None

    def keep(self, place: Place, picture: Recipe, frame: Frame, k: int, seconds: float) -> None:
        """Write the k-th picture of a run, with what is measured of it."""
        image, seen = frame.images()[k], frame.seen[k]
        likely = [name for name, chance in seen.items() if chance > 0.5] or [max(seen, key=seen.get, default="")]
        row = {
            "row": place[0], "losses": json.dumps({name: value[k].item() for name, value in frame.losses.items()}),
            "colour": cielab.mean(image), "shows": " ".join(likely),
            "readings": readings_json(picture.readings(0, seen)), "notes": " ".join(frame.notes),
            "seconds": round(seconds, 4),
        }  # fmt: skip
        pictures.save(image, pictures.path(self.out, *place), picture.replace(weights=frame.weights), row)
