"""Labelled X/Y grids: any setting of a recipe against any other."""

from dataclasses import dataclass, fields, replace
from html import escape

from PIL import Image, ImageDraw, ImageFont

from guidance.checks import RecipeError, choice, whole
from guidance.recipes import DEFAULTS, DIGIT_DEFAULTS, PRESETS, Recipe
from guidance.sheets import sheet
from guidance.ui.pictures import CRISP, png_url, remembered
from guidance.ui.words import Say

MOST = 36  # cells
SETTINGS = {  # the page's names of a recipe's fields
    "color": "Colour", "prompt": "Prompt", "digits": "Digits", "scale": "Strength", "seed": "Seed",
    "method": "Gradient", "rule": "Rule", "loss": "What is compared", "weight": "Weight over the steps",
    "start": "Start", "stop": "Stop", "steps": "Steps", "solver": "Solver", "model": "Model", "preset": "Preset",
    "clip": "CLIP", "cuts": "Cuts", "travel": "Time travel", "candidates": "Candidates",
    "guidance": "Guidance", "eta": "Eta",
    "conditioning": "How the network is told", "text": "Text for the model", "negative": "Not in the text",
    "text_scale": "Strength of the text",
}  # fmt: skip
# What a setting brings along, unless it is on the other axis.
BRINGS = {"rule": DEFAULTS["normalized"], "preset": PRESETS["fast"], "guidance": DIGIT_DEFAULTS["none"]}
INK, GROUND, PAD, SIZE = "#1b1e20", "#ffffff", 10, 15  # of the picture to keep


@dataclass(frozen=True)
class Grid:
    """Recipes by row and column."""

    x: str
    y: str
    xs: list[str]
    ys: list[str]
    rows: list[list[Recipe]]


def values(text: object) -> list[str]:
    """What was typed for an axis, as in "0.1; 0.3; 0.5"."""
    parts = [part.strip() for part in text.split(";")] if isinstance(text, str) and len(text) <= 2000 else []
    return [part for part in parts if part]


def cross(recipe: Recipe, x: object, xs: object, y: object, ys: object) -> Grid:
    """The grid of a recipe, one picture or round a cell; RecipeError when it is none or too large."""
    names = tuple(field.name for field in fields(recipe) if field.name not in ("count", "image"))
    x, y, xs, ys = choice("Across", x, names), choice("Down", y, names), values(xs), values(ys)
    if x == y:
        raise RecipeError("Across and down must be two different settings.")
    if not xs or not ys:
        raise RecipeError("A grid needs values for both settings, such as 0.1; 0.3; 0.5.")
    whole("Cells of a grid", len(xs) * len(ys), 1, MOST)
    anew = {name: None for axis in (x, y) for name in BRINGS.get(axis, ())}
    rows = [[replace(recipe, count=1, **anew | {x: across, y: down}) for across in xs] for down in ys]
    return Grid(x, y, xs, ys, rows)


def picture(images: list[Image.Image]) -> Image.Image:
    """A cell: the one picture, or a round of digits in a row."""
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


def table(grid: Grid, images: dict[Recipe, list[Image.Image]], final: bool, say: Say, keep: bool) -> str:
    """The grid as a table; each picture downloads itself, and a link all of it."""
    head = "".join(f"<th scope='col'>{escape(value)}</th>" for value in grid.xs)
    body = ""
    for value, row in zip(grid.ys, grid.rows, strict=True):
        body += f"<tr><th scope='row'>{escape(value)}</th>"
        for recipe, across in zip(row, grid.xs, strict=True):
            image = picture(images[recipe]) if recipe in images else Image.new("RGB", (64, 64), "#808080")
            url = png_url(image, recipe if final and keep else None)
            crisp = " g-crisp" if image.height <= CRISP else ""
            label = escape(f"{grid.x} {across}, {grid.y} {value}")
            body += (
                f'<td><a href="{url}" download="{escape(recipe.slug)}.png" title="{label}">'
                f'<img class="g-picture{crisp}" src="{url}" alt="{label}"></a></td>'
            )
        body += "</tr>"
    link = mark = ""
    if final:
        first = grid.rows[0][0]
        url, mark = png_url(drawn(grid, images), first if keep else None), remembered(first)
        link = (
            f'<a class="g-save" href="{url}" download="grid-{escape(grid.x)}-{escape(grid.y)}.png">'
            f"{escape(say('The whole grid as one PNG'))}</a>"
        )
    state = "final" if final else "preview"
    corner = escape(f"{say(SETTINGS[grid.y])} \N{DOWNWARDS ARROW} {say(SETTINGS[grid.x])} \N{RIGHTWARDS ARROW}")
    return (
        f'<div class="g-grid" data-state="{state}"{mark}><table><thead><tr><th>{corner}</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>{link}</div>"
    )
