"""Guides: one file a guide, found by its name. Packages from elsewhere bring theirs by the entry point below."""

import logging
import pkgutil
import re
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from guidance import settings
from guidance.codec import pack
from guidance.fields import PICTURES, RecipeError, look
from guidance.guides.base import Guide

GROUP = "guidance.guides"  # of entry points, each a subclass of Guide; off on public pages
FORMER = {"clip": "prompt"}  # names that recipes, commands and endpoints of version 0.1 have
TAKEN = {  # by commands and tabs
    *FORMER, "paint", "again", "page", "train", "finetune", "evaluate", "bench", "batch", "serve", "deploy",
    "history", "blend",
}  # fmt: skip
NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
log = logging.getLogger(__name__)
loaded: dict[EntryPoint, type[Guide] | None] = {}  # by what brings it; None if it cannot be had


@lru_cache(1)
def files() -> list[str]:
    """The modules of this folder."""
    return [f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)]


def own() -> dict[str, type[Guide]]:
    """The guides of this folder by their names."""
    for name in files():
        import_module(name)
    ours = [kind for kind in descendants(Guide) if kind.__module__.startswith(__name__)]
    return {kind.name: kind for kind in ours if getattr(kind, "name", "")}  # a loss of one's own has none


@lru_cache(1)
def entries() -> tuple[EntryPoint, ...]:
    """What installed packages say that they bring."""
    return tuple(entry_points(group=GROUP))


def foreign() -> dict[str, type[Guide]]:
    """Those that installed packages bring; one that cannot be loaded is left out, and the log says so."""
    for entry in entries():
        if entry not in loaded:
            loaded[entry] = None  # its module may ask for the guides that there are
            try:
                loaded[entry] = fitting(entry.load())
            except Exception as error:
                log.warning("The guide %s is left out: %s: %s", entry.name, type(error).__name__, error)
    return {kind.name: kind for kind in loaded.values() if kind}


def fitting(kind: type[Guide]) -> type[Guide]:
    """A guide from elsewhere; ValueError unless it is one, with a name that is free."""
    if not (isinstance(kind, type) and issubclass(kind, Guide) and NAME.fullmatch(getattr(kind, "name", ""))):
        raise ValueError("It must be a subclass of Guide with a name of small letters, digits and underscores.")
    if kind.name in {*own(), *TAKEN, *(other.name for other in loaded.values() if other)}:
        raise ValueError(f"The name {kind.name} is taken.")
    return kind


def descendants(kind: type) -> list[type]:
    """All subclasses of a class, in the order in which they were made."""
    return [found for child in kind.__subclasses__() for found in (child, *descendants(child))]


def every() -> dict[str, type[Guide]]:
    """All guides that there are here, by their names: this project's in a fixed order, then others'."""
    first = ("color", "prompt", "digits")
    known = dict(sorted(own().items(), key=lambda item: (first.index(item[0]) if item[0] in first else 3, item[0])))
    return known | ({} if settings.PUBLIC else foreign())


def find(name: object) -> type[Guide]:
    """The guide of a name; RecipeError if there is none."""
    kinds = every()
    name = FORMER.get(name, name) if isinstance(name, str) else ""
    if name not in kinds:
        raise RecipeError(f"Guide must be one of: {', '.join(kinds)}.")
    return kinds[name]


def endpoint(kind: type[Guide]) -> str:
    """What a guide's command and endpoint are called: its name, or the one that version 0.1 gave it."""
    return {new: old for old, new in FORMER.items()}.get(kind.name, kind.name)


def parse(words: str) -> Guide:
    """The guide that "brightness:0.8" or "prompt:a lake at dusk, scale=0.1" stands for; RecipeError if it is none."""
    name, _, rest = words.partition(":")
    kind = find(name.strip())
    fields = "|".join(kind.model_fields)
    first, *others = re.split(rf",\s*(?=(?:{fields})\s*=)", rest)
    values = dict(other.split("=", 1) for other in others)
    if re.match(rf"\s*(?:{fields})\s*=", first):
        values |= [first.split("=", 1)]
    elif first.strip():
        values[kind.names()[0]] = first
    values = {key.strip(): value.strip() for key, value in values.items()}
    files = [key for key in values if look(kind.model_fields.get(key)).get("control") in PICTURES]
    return kind(**values | {key: pack(Path(values[key])) for key in files})
