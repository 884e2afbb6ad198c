"""Boards of many small pictures as HTML, each picture with a verdict under it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from PIL import Image

from guidance.recipe import Recipe
from guidance.ui.html.pictures import png_url, remembered, save

if TYPE_CHECKING:
    from guidance.ui.runs.painting import View

COLUMNS = 10  # at most so many pictures in a row


def columns(recipe: Recipe) -> int:
    """As many as there are digits, so that a round is a row."""
    return min(recipe.each, COLUMNS)


def cell(image: Image.Image, recipe: Recipe, digit: int, confidence: float, view: View) -> str:
    """One digit, which a click downloads, and its verdict."""
    verdict = view.say(f"Asked for {recipe.digits}, read as {digit}, {confidence:.0%} sure")
    title = view.say(f"Seed {recipe.seed}") + ". " + verdict
    right, url = recipe.digits == str(digit), png_url(image, recipe if view.keep else None)
    return (
        f'<div class="g-cell" data-right="{str(right).lower()}"><button type="button" class="g-tile" '
        f'data-save="{escape(recipe.slug)}.png" title="{escape(title)}"><img class="g-picture g-crisp" src="{url}" '
        f'width="28" height="28" alt="{escape(verdict)}"></button><span>'
        f"{chr(0x2713) if right else chr(0x2717)} {digit} <i>{confidence:.0%}</i></span></div>"
    )


def board(label: str, recipe: Recipe, readings: list[tuple[int, float]], view: View) -> str:
    """A variant's pictures: as one sheet while there are no readings, then each with its own."""
    from guidance.frame import sheet  # imports torch

    wide, images = columns(recipe), view.images[recipe]
    name = f"<h3>{escape(view.say(label))}</h3>" if label else ""
    if not readings:
        alt = escape(view.say("Preview of the digits"))
        body = f'<img class="g-picture g-crisp" src="{png_url(sheet(images, wide))}" alt="{alt}">'
        return f'<figure class="g-board" style="--columns:{wide}">{name}{body}</figure>'
    made = view.made(recipe)
    wanted = [made.picture(k) for k in range(len(images))]
    right = sum(str(digit) == one.digits for (digit, _), one in zip(readings, wanted, strict=True))
    sure = sum(confidence for _, confidence in readings) / len(readings)
    cells = "".join(cell(image, one, *read, view) for image, one, read in zip(images, wanted, readings, strict=True))
    whole = png_url(sheet(images, wide), made if view.keep else None)
    verdict = escape(view.say(f"{right} of {len(images)} read as asked, {sure:.0%} sure on average"))
    return (
        f'<figure class="g-board" style="--columns:{wide}"{remembered(made)}>{name}<div class="g-cells">{cells}</div>'
        f"<figcaption><span>{verdict}</span>{save(made, view.say('All of them as one PNG'), whole)}</figcaption>"
        "</figure>"
    )


def stack(legend: str, boards: list[str], final: bool) -> str:
    """Boards one above another, under a legend (HTML)."""
    state = "final" if final else "preview"
    return f'<div class="g-legend">{legend}</div><div class="g-boards" data-state="{state}">{"".join(boards)}</div>'
