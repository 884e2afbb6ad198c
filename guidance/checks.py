"""Checks of values from outside: each gives the plain value, or a sentence for the user."""

import base64
import io
import math
import re
import unicodedata
from pathlib import Path

from PIL import Image, ImageColor, ImageOps


class RecipeError(ValueError):
    """A recipe cannot be made; the message is one sentence for the user and never echoes what was put in."""


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


def choice(label: str, value: object, choices: tuple[str, ...]) -> str:
    """`value` if it is one of `choices`, else RecipeError."""
    if value not in choices:
        raise RecipeError(f"{label} must be one of: {', '.join(choices)}.")
    return value


def color(value: object) -> str:
    """A colour as "#rrggbb": hex, a CSS name, rgb(...), rgba(...), hsl(...) are taken, else RecipeError."""
    text = value.strip().lower() if isinstance(value, str) and len(value) <= 60 else ""
    rgb = re.fullmatch(r"rgba?\(([\d.]+)[, ]+([\d.]+)[, ]+([\d.]+)(?:[,/ ]+[\d.]+%?)?\)", text)
    try:
        channels = [float(part) for part in rgb.groups()] if rgb else ImageColor.getrgb(text)[:3]
    except ValueError:
        channels = [-1]
    if not all(0 <= channel <= 255 for channel in channels):
        raise RecipeError("Colour must be a hex value such as #2080ff, a CSS name such as teal, or rgb(32, 128, 255).")
    return "#" + "".join(f"{round(channel):02x}" for channel in channels)


def digits(value: object, most: int) -> str:
    """One to `most` digits as "0" to "9"; those of other scripts and spaces between are taken, else RecipeError."""
    text = "".join(value.split()) if isinstance(value, str) and len(value) <= 20 * most else ""
    try:
        plain = "".join(str(unicodedata.decimal(character)) for character in text)
    except ValueError:
        plain = ""
    if not 1 <= len(plain) <= most:
        raise RecipeError(f"Digits must be 1 to {most} of the digits 0 to 9, such as 2026.")
    return plain


MAX_PROMPT, MAX_PARTS, MAX_WEIGHT = 1000, 16, 10.0
SIDE = 256  # a picture used as a prompt is kept at this size; few CLIPs see more
REPOSITORY = re.compile(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}(@\w[\w./-]{0,95})?", re.ASCII)
UNREADABLE = "The picture used as a prompt cannot be read: a PNG, JPEG or WebP of at most 50 megapixels is taken."


def prompts(value: object) -> list[tuple[str, float]]:
    """"a moon:0.5 | clouds:-0.5" as [("a moon", 0.5), ("clouds", -0.5)], without a weight 1; else RecipeError."""
    parts = []
    for part in filter(str.strip, text("Prompt", value).split("|")):
        words, colon, number = part.rpartition(":")
        message = f"A weight must be a number from -{MAX_WEIGHT:g} to {MAX_WEIGHT:g} after a colon, as in a moon:0.5."
        weight = real("", number.strip(), -MAX_WEIGHT, MAX_WEIGHT, message) if colon else 1.0
        words = " ".join((words if colon else part).split())
        if not words or ":" in words:
            raise RecipeError(message)
        parts.append((words, weight))
    if len(parts) > MAX_PARTS:
        raise RecipeError(f"Prompt must have at most {MAX_PARTS} parts.")
    return parts


def text(label: str, value: object) -> str:
    """A text in one line, control characters and runs of spaces one space each, or nothing; else RecipeError."""
    if not isinstance(value, str) or len(value) > MAX_PROMPT:
        raise RecipeError(f"{label} must be a text of at most {MAX_PROMPT:,} characters.")
    return " ".join("".join(character if character.isprintable() else " " for character in value).split())


def picture(value: object) -> str:
    """A small picture as base64 of its WebP, or nothing; RecipeError if it is none."""
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or len(value) > 200_000:
        raise RecipeError(UNREADABLE)
    try:
        with Image.open(io.BytesIO(base64.b64decode(value, validate=True)), formats=["WEBP"]) as image:
            image.load()
            if max(image.size) > SIDE:
                raise RecipeError(UNREADABLE)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise RecipeError(UNREADABLE) from None
    return value


def unpack(picture: str) -> Image.Image:
    """The picture that `pack` packed."""
    return Image.open(io.BytesIO(base64.b64decode(picture)))


def pack(path: Path) -> str:
    """A picture file as `picture` takes it; RecipeError if it cannot be read."""
    try:
        with Image.open(path, formats=["PNG", "JPEG", "WEBP"]) as image:
            if image.width * image.height > 50_000_000:
                raise RecipeError(UNREADABLE)
            small = ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail((SIDE, SIDE))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise RecipeError(UNREADABLE) from None
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=90)
    return base64.b64encode(buffer.getvalue()).decode()


def model(value: object, built_in: tuple[str, ...]) -> str:
    """A built-in model's name, a repository "owner/name" with or without "@revision", or a folder; else RecipeError."""
    text = value if isinstance(value, str) and len(value) <= 200 and value.isprintable() else ""
    there = text in built_in or REPOSITORY.fullmatch(text)
    if not there and not (text and Path(text).expanduser().is_dir()):
        names = ", ".join(built_in)
        raise RecipeError(f"Model must be {names}, a model on the Hub such as google/ddpm-cat-256, or a folder.")
    return text
