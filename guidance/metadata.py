"""Recipes as text, and inside PNG files."""

import json
from dataclasses import asdict, fields
from pathlib import Path

from PIL import Image, PngImagePlugin

from guidance.checks import RecipeError
from guidance.recipes import ClipRecipe, ColorRecipe, DigitRecipe, Recipe

KEY = "guidance"  # the PNG text chunk that holds a recipe
KINDS = {"color": ColorRecipe, "clip": ClipRecipe, "digits": DigitRecipe}


def to_json(recipe: Recipe) -> str:
    """The recipe as JSON, its kind among the fields."""
    kind = next(name for name, cls in KINDS.items() if type(recipe) is cls)
    return json.dumps({"kind": kind, **asdict(recipe)})


def from_json(text: str) -> Recipe:
    """The recipe in a JSON text; RecipeError if it is none. Unknown fields are refused, missing ones take defaults."""
    try:
        values = json.loads(text)
        cls = KINDS[values.pop("kind")]
        if unknown := set(values) - {field.name for field in fields(cls)}:
            raise KeyError(unknown)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RecipeError("This is not a recipe that this version understands.") from None
    return cls(**values)


def png_info(recipe: Recipe) -> PngImagePlugin.PngInfo:
    """PNG metadata that carries the recipe."""
    info = PngImagePlugin.PngInfo()
    info.add_text(KEY, to_json(recipe))
    return info


def save_png(image: Image.Image, path: Path, recipe: Recipe) -> Path:
    """Save one picture with its recipe inside."""
    image.save(path, pnginfo=png_info(recipe))
    return path


def read_png(path: Path) -> Recipe:
    """The recipe inside a PNG; RecipeError if the file is not a picture or carries none."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            text = image.info.get(KEY)
            if text is None:  # text chunks may stand behind the pixels
                image.load()
                text = image.info.get(KEY)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise RecipeError("This file is not a PNG picture that can be read.") from None
    if not isinstance(text, str):
        raise RecipeError("This picture carries no recipe.")
    return from_json(text)
