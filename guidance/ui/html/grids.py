"""Labelled X/Y grids as HTML, and as one picture."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from guidance.recipe import Recipe, about
from guidance.ui.html.pictures import CRISP, png_url, remembered, save

if TYPE_CHECKING:
    from guidance.ui.runs.grids import Grid
    from guidance.ui.runs.painting import View

INK, GROUND, PAD, SIZE = "#1b1e20", "#ffffff", 10, 15  # of the picture to keep


def picture(images: list[Image.Image]) -> Image.Image:
    """A cell: the one picture, or a round of digits in a row."""
    from guidance.frame import sheet  # imports torch

    return sheet(images, len(images))


def drawn(grid: Grid, images: dict[Recipe, list[Image.Image]]) -> Image.Image:
    """The grid as one picture with its labels, to be kept."""
    cells = [[picture(images[recipe]) for recipe in row] for row in grid.rows]
    scale = max(1, 128 // cells[0][0].height)
    width, height = cells[0][0].width * scale, cells[0][0].height * scale
    font = ImageFont.load_default(SIZE)
    downs = [f"{grid.y} = {value}"[:40] for value in grid.ys]
    left = max(int(font.getlength(text)) for text in downs) + 2 * PAD
    top = SIZE + 2 * PAD
    whole = Image.new("RGB", (left + len(grid.xs) * (width + PAD), top + len(grid.ys) * (height + PAD)), GROUND)
    draw = ImageDraw.Draw(whole)
    for column, value in enumerate(grid.xs):
        text = f"{grid.x} = {value}"
        while font.getlength(text) > width and len(text) > 1:
            text = text[:-1]
        draw.text((left + column * (width + PAD), PAD), text, INK, font)
    for row, text in enumerate(downs):
        draw.text((PAD, top + row * (height + PAD) + height // 2 - SIZE // 2), text, INK, font)
        for column, cell in enumerate(cells[row]):
            big = cell.convert("RGB").resize((width, height), Image.Resampling.NEAREST)
            whole.paste(big, (left + column * (width + PAD), top + row * (height + PAD)))
    return whole


def table(grid: Grid, view: View) -> str:
    """The grid as a table; each picture downloads itself, and a button all of it."""
    head = "".join(f"<th scope='col'>{escape(value)}</th>" for value in grid.xs)
    body = ""
    for value, row in zip(grid.ys, grid.rows, strict=True):
        body += f"<tr><th scope='row'>{escape(value)}</th>"
        for recipe, across in zip(row, grid.xs, strict=True):
            image = picture(view.images[recipe]) if recipe in view.images else Image.new("RGB", (64, 64), "#808080")
            url = png_url(image, view.made(recipe) if view.final and view.keep else None)
            crisp = " g-crisp" if image.height <= CRISP else ""
            label = escape(f"{grid.x} {across}, {grid.y} {value}")
            body += (
                f'<td><button type="button" class="g-tile" data-save="{escape(recipe.slug)}.png" title="{label}">'
                f'<img class="g-picture{crisp}" src="{url}" alt="{label}"></button></td>'
            )
        body += "</tr>"
    link = mark = ""
    if view.final:
        first = view.made(grid.rows[0][0])
        url, mark = png_url(drawn(grid, view.images), first if view.keep else None), remembered(first)
        link = save(first, view.say("The whole grid as one PNG"), url, f"grid-{grid.x}-{grid.y}")
    state = "final" if view.final else "preview"
    down, across = (view.say(about(type(view.recipe.guides[0]), name).title) for name in (grid.y, grid.x))
    corner = escape(f"{down} \N{DOWNWARDS ARROW} {across} \N{RIGHTWARDS ARROW}")
    return (
        f'<div class="g-grid" data-state="{state}"{mark}><table><thead><tr><th>{corner}</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>{link}</div>"
    )
