"""The pictures that stand on the page before anything is painted, and of them the README's first one.

python -m tests.shots          # all of them; or those of some tabs: python -m tests.shots color prompt
"""

import sys
from pathlib import Path

import torch
from PIL import Image

from guidance import ClipRecipe, ColorRecipe, DigitRecipe, Recipe, images
from guidance.engine import fingerprint
from guidance.frame import sheet
from guidance.guides import find
from guidance.recipe import from_json, to_json
from guidance.ui.html.welcome import SHOTS
from guidance.ui.tabs.blend import EXAMPLES

DESCRIPTION = 0x010E  # the EXIF tag that holds a recipe
FIRST = SHOTS.parents[3] / "assets" / "figures" / "first.webp"
ROW = ("prompt-0", "color-1", "prompt-1", "blend-0", "blend-1", "digits-0")  # of the README's picture
SIZE, GAP = 256, 12


def blend(name: str, seed: int) -> Recipe:
    """An example of the Blend tab."""
    cards = [{**card} for card in EXAMPLES[name]]
    return Recipe(guides=[find(card.pop("guide"))(**card) for card in cards], seed=seed)


RECIPES = {
    "color-0": ColorRecipe(), "color-1": ColorRecipe(color="#13808a", seed=4), "prompt-0": ClipRecipe(seed=1),
    "prompt-1": ClipRecipe(prompt="a pine forest in the mist at dawn", seed=11), "digits-0": DigitRecipe(digits="2026"),
    "digits-1": DigitRecipe(digits="2026", seed=20), "brightness-0": Recipe(guides=find("brightness")(), seed=1),
    "brightness-1": Recipe(guides=find("brightness")(0.2), seed=4), "blend-0": blend("A golden lake", 9),
    "blend-1": blend("Rose over green", 6),
}  # fmt: skip


def pair(name: str) -> dict[Path, Recipe]:
    """The files of a pair, each with its recipe."""
    steered = RECIPES[name]
    alone = steered.change(scale=0) if steered.model == "digits" else steered.unguided()
    return {SHOTS / f"{name}-alone.webp": alone, SHOTS / f"{name}-steered.webp": steered}


def inside(path: Path) -> Recipe:
    """The recipe inside a picture of these."""
    with Image.open(path) as image:
        return from_json(image.getexif()[DESCRIPTION], old=False)


def paint(path: Path, recipe: Recipe) -> None:
    """Make a picture, digits in a row, with its recipe inside."""
    made, exif = images(recipe), Image.Exif()
    exif[DESCRIPTION] = to_json(recipe.replace(weights=fingerprint(recipe)))
    small = recipe.model == "digits"
    sheet(made, len(made)).save(path, "WEBP", quality=90, method=6, lossless=small, exif=exif)
    print(path, path.stat().st_size, flush=True)


def tile(path: Path) -> Image.Image:
    """A picture as the README shows it; four digits two by two."""
    image = Image.open(path).convert("RGBA")
    if image.height < SIZE:
        side = image.height
        image = sheet([image.crop((x, 0, x + side, side)) for x in range(0, image.width, side)], 2)
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def first() -> None:
    """The README's picture: in its upper row what the models paint, in the lower one the same noise steered."""
    step = SIZE + GAP
    whole = Image.new("RGBA", (len(ROW) * step - GAP, 2 * step - GAP))
    for column, name in enumerate(ROW):
        for row, path in enumerate(pair(name)):
            whole.paste(tile(path), (column * step, row * step))
    whole.save(FIRST, "WEBP", quality=90, method=6)
    print(FIRST, FIRST.stat().st_size)


if __name__ == "__main__":
    torch.set_num_threads(1)  # what a CLIP guides depends on their number a little, and tests have one
    for name in RECIPES:
        if name.split("-")[0] in (sys.argv[1:] or name):
            for path, recipe in pair(name).items():
                paint(path, recipe)
    first()
