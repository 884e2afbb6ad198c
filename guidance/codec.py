"""Pictures inside recipes: small ones, as base64 of a WebP or a PNG."""

import base64
import io
from pathlib import Path

from PIL import Image, ImageOps

from guidance.fields import RecipeError

SIDE = 256  # a picture in a recipe is kept at this size; few CLIPs see more
PIXELS = 50_000_000  # of a file that is taken, at most
UNREADABLE = "This picture cannot be read: a PNG, JPEG or WebP of at most 50 megapixels is taken."
KINDS = ["WEBP", "PNG"]  # of a picture in a recipe
BROKEN = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what PIL raises at a damaged file


def packed(value: object) -> str:
    """A small picture as base64 of its WebP or PNG, or nothing; RecipeError if it is none."""
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or len(value) > 400_000:
        raise RecipeError(UNREADABLE)
    try:
        with Image.open(io.BytesIO(base64.b64decode(value, validate=True)), formats=KINDS) as image:
            if max(image.size) > SIDE:  # before a pixel is decoded
                raise RecipeError(UNREADABLE)
            image.load()
    except BROKEN:
        raise RecipeError(UNREADABLE) from None
    return value


def unpack(picture: str) -> Image.Image:
    """The picture that `pack` packed; RecipeError for anything else."""
    if not packed(picture):
        raise RecipeError(UNREADABLE)
    return Image.open(io.BytesIO(base64.b64decode(picture)), formats=KINDS)


def pack(path: Path) -> str:
    """A picture file as recipes hold it; RecipeError if it cannot be read."""
    try:
        with Image.open(path, formats=["PNG", "JPEG", "WEBP"]) as image:
            if image.width * image.height > PIXELS:
                raise RecipeError(UNREADABLE)
            drawn = image.has_transparency_data or image.mode in ("1", "L", "P")  # and not taken by a camera
            small = ImageOps.exif_transpose(image).convert("RGBA" if image.has_transparency_data else "RGB")
            small.thumbnail((SIDE, SIDE))
    except BROKEN:
        raise RecipeError(UNREADABLE) from None
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=90, lossless=drawn)
    return base64.b64encode(buffer.getvalue()).decode()
