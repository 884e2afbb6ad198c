"""What a field is: type, range, default, label and help, said once; checks, options, controls and schemas follow."""

import math
from collections.abc import Iterator
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

PICTURES = ("picture", "sketch", "mask")  # controls of fields that hold a small picture


class RecipeError(ValueError):
    """A recipe cannot be made; the message is one sentence for the user and never echoes what was put in."""


def field(default: object, label: str, help: str, low: float | None = None, high: float | None = None,
          **look: object) -> Any:  # fmt: skip
    """A field of Values: its default, its name on the page, what it does, and for a number its range.

    `look` is how a page shows it: `slider` (end, step), `labels` of the values to choose from, `control`, and
    `front` if it stands with what is always seen.
    """
    return Field(default, title=label, description=help, ge=low, le=high, json_schema_extra=look)


def look(info: FieldInfo | None) -> dict[str, Any]:
    """How a page shows a field, if it is one."""
    return info.json_schema_extra or {} if info else {}


def kind(info: FieldInfo) -> Any:
    """The type of a field's values, apart from None."""
    return next((part for part in get_args(info.annotation) if get_origin(info.annotation) is not Literal
                 and part is not NoneType), info.annotation)  # fmt: skip


def choices(info: FieldInfo) -> tuple[str, ...]:
    """The values to choose from, if a field has a list of them."""
    return get_args(kind(info)) if get_origin(kind(info)) is Literal else ()


def limits(info: FieldInfo) -> tuple[float, float] | None:
    """The least and the greatest value of a number."""
    low = [part.ge for part in info.metadata if hasattr(part, "ge")]
    high = [part.le for part in info.metadata if hasattr(part, "le")]
    return (low[0], high[0]) if low and high else None


def named(name: str, info: FieldInfo) -> str:
    """A field's name as sentences about it begin: with its label's capitals, such as CLIP's, where that is the name."""
    words = name.replace("_", " ")
    return info.title if (info.title or "").lower() == words else words.capitalize()


class Values(BaseModel):
    """A frozen set of fields. Values are checked and brought to their plain form; RecipeError if they cannot be."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def __init__(self, /, *values: object, **others: object):
        """The first fields may be given by position: those of the class itself, then those it has in common."""
        if len(values) > len(names := self.names()):
            raise TypeError(f"{type(self).__name__} takes at most {len(names)} values.")
        try:
            super().__init__(**dict(zip(names, values, strict=False)), **others)
        except ValidationError as error:
            raise RecipeError(sentence(type(self), error)) from None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all fields, those of the class itself before those it inherits."""
        own = [name for name in cls.__dict__.get("__annotations__", ()) if name in cls.model_fields]
        return tuple(dict.fromkeys([*own, *cls.model_fields]))

    @classmethod
    def limits(cls, name: str, others: dict) -> tuple[float, float] | None:
        """The least and the greatest value of a number, given the fields before it."""
        return limits(cls.model_fields[name])

    @field_validator("*", mode="before")
    @classmethod
    def number(cls, value: object, info: ValidationInfo) -> object:
        """Numbers are taken as text too, in the range of their field."""
        about, ends = cls.model_fields[info.field_name], cls.limits(info.field_name, info.data)
        if ends is None or value is None and NoneType in get_args(about.annotation):
            return value
        return (whole if kind(about) is int else real)(named(info.field_name, about), value, *ends)

    def replace(self, **changes: object) -> "Values":
        """The same with some fields changed."""
        return type(self)(**dict(self) | changes)

    def fill(self, defaults: dict[str, object]) -> None:
        """Give fields that were left open their values, while this is being made."""
        self.__dict__.update({name: value for name, value in defaults.items() if self.__dict__.get(name, 0) is None})

    def __iter__(self) -> Iterator[tuple[str, object]]:
        """The fields with their values."""
        return iter(self.__dict__.items())


def sentence(cls: type[Values], error: ValidationError) -> str:
    """What is wrong with the first of the values that were refused, for the user."""
    first = error.errors(include_url=False, include_input=False)[0]
    if isinstance(said := first.get("ctx", {}).get("error"), RecipeError):
        return str(said)
    name = str(first["loc"][0]) if first["loc"] else ""
    if name not in cls.model_fields:
        return f"{cls.__name__} has no field of that name: it has {', '.join(cls.names())}."
    label = named(name, cls.model_fields[name])
    if options := choices(cls.model_fields[name]):
        return f"{label} must be one of: {', '.join(options)}."
    return f"{label} is needed, and must be of its type."


def whole(label: str, value: object, low: int, high: int) -> int:
    """`value` as an int from `low` to `high`; numbers and digits in text are taken, else RecipeError."""
    message = f"{label} must be a whole number from {low:,} to {high:,}."
    number = real(label, value, low, high, message)
    if number != int(number):
        raise RecipeError(message)
    return int(number)


def real(label: str, value: object, low: float, high: float, message: str = "") -> float:
    """`value` as a float from `low` to `high`; numbers and digits in text are taken, else RecipeError."""
    message = message or f"{label} must be a number from {low:g} to {high:g}."
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or len(str(value)) > 40:
        raise RecipeError(message)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise RecipeError(message) from None
    if not (math.isfinite(number) and low <= number <= high):
        raise RecipeError(message)
    return number


def choice(label: str, value: object, among: tuple[str, ...]) -> str:
    """`value` if it is one of `among`, else RecipeError."""
    if value not in among:
        raise RecipeError(f"{label} must be one of: {', '.join(among)}.")
    return value


def text(label: str, value: object, most: int = 1000) -> str:
    """A text in one line, control characters and runs of spaces one space each, or nothing; else RecipeError."""
    if not isinstance(value, str) or len(value) > most:
        raise RecipeError(f"{label} must be a text of at most {most:,} characters.")
    return " ".join("".join(character if character.isprintable() else " " for character in value).split())
