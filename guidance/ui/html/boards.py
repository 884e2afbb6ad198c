"""Boards of many small pictures as HTML, each picture with a verdict under it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from PIL import Image

from guidance.guides.base import Reading
from guidance.recipe import Recipe
from guidance.ui.html.pictures import in_words, png_url, remembered, save, seen

if TYPE_CHECKING:
    from guidance.ui.runs.painting import View

COLUMNS = 10  # at most so many pictures in a row


def columns(recipe: Recipe) -> int:
    """As many as there are digits, so that a round is a row."""
    return min(recipe.each, COLUMNS)


def cell(image: Image.Image, recipe: Recipe, reading: Reading, view: View) -> str:
    """One digit, which a click downloads, and its verdict."""
    seed, url = view.say(f"Seed {recipe.seed}"), png_url(image, recipe if view.keep else None)
    return (
        f'<div class="g-cell"><button type="button" class="g-tile" data-save="{escape(recipe.slug)}.png" '
        f'title="{escape(f"{seed}. {in_words(reading, view.say)}")}"><img class="g-picture g-crisp" src="{url}" '
        f'width="28" height="28" alt="{escape(seed)}"></button>{seen(reading, view.say)}</div>'
    )


def board(label: str, recipe: Recipe, view: View) -> str:
    """A variant's pictures: as one sheet until they are finished, then each with what is read in it."""
    from guidance.frame import sheet  # imports torch

    wide, images = columns(recipe), view.images[recipe]
    name = f"<h3>{escape(view.say(label))}</h3>" if label else ""
    if not view.final:
        alt = escape(view.say("Preview of the digits"))
        body = f'<img class="g-picture g-crisp" src="{png_url(sheet(images, wide))}" alt="{alt}">'
        return f'<figure class="g-board" style="--columns:{wide}">{name}{body}</figure>'
    made = view.made(recipe)
    wanted = [made.picture(k) for k in range(len(images))]
    readings = [view.readings(recipe, k)[0] for k in range(len(images))]
    right, sure = sum(one.met for one in readings), sum(one.sure for one in readings) / len(readings)
    cells = "".join(cell(image, one, read, view) for image, one, read in zip(images, wanted, readings, strict=True))
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
