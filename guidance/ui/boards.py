"""Boards of many small pictures as HTML, each picture with a verdict under it."""

from html import escape

from PIL import Image

from guidance.recipes import DigitRecipe
from guidance.sheets import sheet
from guidance.ui.pictures import png_url

COLUMNS = 10  # at most so many pictures in a row


def columns(recipe: DigitRecipe) -> int:
    """As many as there are digits, so that a round is a row."""
    return min(len(recipe.digits), COLUMNS)


def cell(image: Image.Image, recipe: DigitRecipe, digit: int, confidence: float) -> str:
    """One digit, which a click downloads, and its verdict."""
    right = recipe.digits == str(digit)
    verdict = f"read as {digit}, {confidence:.0%} sure"
    mark, url = "\N{CHECK MARK}" if right else "\N{BALLOT X}", png_url(image, recipe)
    return (
        f'<div class="g-cell" data-right="{str(right).lower()}"><a href="{url}" '
        f'download="{escape(recipe.slug)}.png" title="Seed {recipe.seed}: asked for {recipe.digits}, {verdict}. '
        f'Click for the PNG."><img class="g-picture g-crisp" src="{url}" width="28" height="28" '
        f'alt="{recipe.digits}, {verdict}"></a><span>{mark} {digit} <i>{confidence:.0%}</i></span></div>'
    )


def board(label: str, recipe: DigitRecipe, images: list[Image.Image], readings: list[tuple[int, float]]) -> str:
    """A variant's pictures: as one sheet while there are no readings, then each with its own."""
    wide = columns(recipe)
    name = f"<h3>{escape(label)}</h3>" if label else ""
    if not readings:
        body = f'<img class="g-picture g-crisp" src="{png_url(sheet(images, wide))}" alt="Preview of the digits">'
        return f'<figure class="g-board" style="--columns:{wide}">{name}{body}</figure>'
    right = sum(str(digit) == str(wanted) for (digit, _), wanted in zip(readings, recipe.classes, strict=True))
    sure = sum(confidence for _, confidence in readings) / len(readings)
    cells = "".join(cell(image, recipe.picture(k), *readings[k]) for k, image in enumerate(images))
    whole = png_url(sheet(images, wide), recipe)
    return (
        f'<figure class="g-board" style="--columns:{wide}">{name}<div class="g-cells">{cells}</div><figcaption>'
        f"<span><b>{right} of {len(images)}</b> read as asked, {sure:.0%} sure on average</span>"
        f'<a class="g-save" href="{whole}" download="{escape(recipe.slug)}.png" title="All of them as one PNG with the '
        f'recipe inside">PNG</a></figcaption></figure>'
    )


def stack(legend: str, boards: list[str], final: bool) -> str:
    """Boards one above another, under a legend (HTML)."""
    state = "final" if final else "preview"
    return f'<div class="g-legend">{legend}</div><div class="g-boards" data-state="{state}">{"".join(boards)}</div>'
