"""Boards of many small pictures as HTML, each picture with a verdict under it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from PIL import Image

from guidance.recipes import DigitRecipe
from guidance.sheets import sheet
from guidance.ui.pictures import png_url, remembered

if TYPE_CHECKING:
    from guidance.ui.run import View

COLUMNS = 10  # at most so many pictures in a row


def columns(recipe: DigitRecipe) -> int:
    """As many as there are digits, so that a round is a row."""
    return min(len(recipe.digits), COLUMNS)


def cell(image: Image.Image, recipe: DigitRecipe, digit: int, confidence: float, view: View) -> str:
    """One digit, which a click downloads, and its verdict."""
    right = recipe.digits == str(digit)
    verdict = view.say(f"Asked for {recipe.digits}, read as {digit}, {confidence:.0%} sure")
    title = view.say(f"Seed {recipe.seed}") + ". " + verdict
    mark, url = "\N{CHECK MARK}" if right else "\N{BALLOT X}", png_url(image, recipe if view.keep else None)
    return (
        f'<div class="g-cell" data-right="{str(right).lower()}"><a href="{url}" '
        f'download="{escape(recipe.slug)}.png" title="{escape(title)}"><img class="g-picture g-crisp" src="{url}" '
        f'width="28" height="28" alt="{escape(verdict)}"></a><span>{mark} {digit} <i>{confidence:.0%}</i></span></div>'
    )


def board(label: str, recipe: DigitRecipe, readings: list[tuple[int, float]], view: View) -> str:
    """A variant's pictures: as one sheet while there are no readings, then each with its own."""
    wide, images = columns(recipe), view.images[recipe]
    name = f"<h3>{escape(view.say(label))}</h3>" if label else ""
    if not readings:
        alt = escape(view.say("Preview of the digits"))
        body = f'<img class="g-picture g-crisp" src="{png_url(sheet(images, wide))}" alt="{alt}">'
        return f'<figure class="g-board" style="--columns:{wide}">{name}{body}</figure>'
    right = sum(str(digit) == str(wanted) for (digit, _), wanted in zip(readings, recipe.classes, strict=True))
    sure = sum(confidence for _, confidence in readings) / len(readings)
    cells = "".join(cell(image, recipe.picture(k), *readings[k], view) for k, image in enumerate(images))
    whole = png_url(sheet(images, wide), recipe if view.keep else None)
    verdict = escape(view.say(f"{right} of {len(images)} read as asked, {sure:.0%} sure on average"))
    title = escape(view.say("All of them as one PNG"))
    return (
        f'<figure class="g-board" style="--columns:{wide}"{remembered(recipe)}>{name}<div class="g-cells">{cells}</div>'
        f'<figcaption><span>{verdict}</span><a class="g-save" href="{whole}" download="{escape(recipe.slug)}.png" '
        f'title="{title}" aria-label="{title}">PNG</a></figcaption></figure>'
    )


def stack(legend: str, boards: list[str], final: bool) -> str:
    """Boards one above another, under a legend (HTML)."""
    state = "final" if final else "preview"
    return f'<div class="g-legend">{legend}</div><div class="g-boards" data-state="{state}">{"".join(boards)}</div>'
