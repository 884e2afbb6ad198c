"""Many recipes: the lines of a file, the rows of a table, or all of a grid, each made only when it is asked for."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

from guidance import guides
from guidance.codec import pack
from guidance.fields import PICTURES, RecipeError, look
from guidance.recipe import MAX_SEED, Recipe, about, form, from_flat, from_json

Asked = str | dict[str, str]  # JSON, or the fields of a recipe's flat form


class Grid(Sequence):
    """All combinations of some values of each field, the last field's changing first."""

    def __init__(self, axes: dict[str, Sequence]):
        self.axes = axes

    def __len__(self) -> int:
        """How many there are."""
        return math.prod(map(len, self.axes.values()))

    def __getitem__(self, k: int) -> dict[str, str]:
        """The k-th of them."""
        found = {}
        for name, values in reversed(self.axes.items()):
            k, at = divmod(k, len(values))
            found[name] = str(values[at])
        return dict(reversed(found.items()))


def values(text: str) -> Sequence:
    """What "teal,gold" stands for, "0..999", or "a lake, at dusk; snow": where there is a semicolon, it separates."""
    first, dots, last = text.partition("..")
    if dots and first.isdecimal() and last.isdecimal() and int(first) <= int(last) <= MAX_SEED:
        return range(int(first), int(last) + 1)
    return [part.strip() for part in text.split(";" if ";" in text else ",") if part.strip()]


def grid(axes: dict[str, str]) -> Grid:
    """The grid of fields and their values as they are typed; RecipeError for a field without values."""
    found = {name: values(text) for name, text in axes.items()}
    if empty := [name for name in found if not found[name]]:
        raise RecipeError(f"A grid needs values for --{empty[0].replace('_', '-')}, such as teal,gold or 0..999.")
    return Grid(found)


def read(path: Path) -> list[Asked]:
    """The recipes in a file: JSON in each line, or for a CSV the fields of one in each row."""
    if path.suffix.lower() != ".csv":
        return [line for line in path.read_text(errors="replace").split("\n") if line.strip()]
    with path.open(newline="", errors="replace") as file:
        return [{name: text for name, text in row.items() if name and text} for row in csv.DictReader(file)]


def recipe(asked: Asked) -> Recipe:
    """The recipe that was asked for; RecipeError, or of a picture's file OSError, if it is none.

    Of a flat form, the guide is the one whose first field is given.
    """
    if isinstance(asked, str):
        return from_json(asked)
    kind = next((kind for kind in guides.every().values() if form(kind)[0] in asked), None)
    if kind is None:
        return Recipe(**asked)
    pictures = [name for name in asked if name in form(kind) and look(about(kind, name)).get("control") in PICTURES]
    return from_flat(kind, asked | {name: pack(Path(asked[name])) for name in pictures})


def words(asked: Asked) -> str:
    """What was asked for, as JSON or what was meant for it."""
    return asked if isinstance(asked, str) else json.dumps(asked)
