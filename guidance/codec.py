"""Pictures inside recipes: small ones, as base64 of a WebP or a PNG; and picture files, as eyes see them."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps

from guidance.fields import RecipeError

SIDE = 256  # a picture in a recipe is kept at this size; few CLIPs see more
PIXELS, WEBP = 50_000_000, 16_000_000  # of a file that is taken, at most; decoding WebP takes four times the memory
LARGE = 8_000_000  # pixels; of larger pictures a sixteenth is kept, so that no copy takes much memory
UNKEPT = "The pictures could not be kept: is the disk full?"
UNREADABLE = "This picture cannot be read: taken is a PNG, JPEG or GIF of at most 50 megapixels, or a WebP of 16."
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


@contextmanager
def opened(path: Path, formats: tuple[str, ...], sentence: str) -> Iterator[Image.Image]:
    """The picture in a file, with no pixel decoded; RecipeError if there is no file, or with `sentence` no picture."""
    if not Path(path).is_file():  # a pipe would be waited for
        raise RecipeError("There is no file of that name.")
    try:
        with Image.open(path, formats=formats) as image:
            if image.width * image.height > (WEBP if image.format == "WEBP" else PIXELS):
                raise RecipeError(sentence)
            yield image
    except RecipeError:
        raise
    except BROKEN:
        raise RecipeError(sentence) from None


def upright(image: Image.Image) -> Image.Image:
    """A picture as it is meant, in 8 bits, RGBA if any of it is transparent and else RGB; smaller if it is large."""
    if image.width * image.height > LARGE:
        quarter = (max(1, image.width // 4), max(1, image.height // 4))
        image.draft(image.mode, quarter)  # a JPEG need not be decoded in full
        image = image.resize(quarter, Image.Resampling.NEAREST)
    if image.mode.startswith("I"):  # 16 bits of grey, of which PIL would take all from 255 on for white
        image = image.point(lambda value: value / 257)
    return ImageOps.exif_transpose(image).convert("RGBA" if image.has_transparency_data else "RGB")


def seen(image: Image.Image) -> Image.Image:
    """A picture as eyes see it: the same, but in RGB, and white where it is transparent."""
    image = upright(image)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def pack(path: Path) -> str:
    """A picture file as recipes hold it; RecipeError if it cannot be read."""
    with opened(path, ("PNG", "JPEG", "GIF", "WEBP"), UNREADABLE) as image:
        drawn = image.has_transparency_data or image.mode in ("1", "L", "P")  # and not taken by a camera
        small = upright(image)
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=90, lossless=drawn)
    return base64.b64encode(buffer.getvalue()).decode()
