"""Checks of values from outside: each gives the plain value, or a sentence for the user."""

import math
import re
import unicodedata

from PIL import ImageColor


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
