"""What stands on the page before anything is painted are pictures that the recipes inside them make again."""

import numpy as np
import pytest
from PIL import Image

from guidance import images
from guidance.frame import sheet
from guidance.ui.html import welcome
from guidance.ui.tabs.guide import Look
from tests.shots import FIRST, RECIPES, inside, pair

SHOTS = {path: recipe for name in RECIPES for path, recipe in pair(name).items()}


@pytest.mark.parametrize("path", SHOTS, ids=lambda path: path.stem)
def test_a_picture_on_the_page_is_made_again(path):
    recipe = inside(path)
    assert recipe.replace(weights="") == SHOTS[path] and recipe.weights
    made = np.asarray(sheet(images(recipe), len(recipe.seeds)).convert("RGB")).astype(float)
    with Image.open(path) as image:
        apart = abs(made - np.asarray(image.convert("RGB")))
    # The files are lossy, and what a CLIP guides is only near what it is on another processor.
    assert apart.mean() < (40 if any(guide.name == "prompt" for guide in recipe.guides) else 4)


def test_they_are_large_and_light_and_there_are_no_others():
    assert set(welcome.SHOTS.iterdir()) == set(SHOTS)
    for path in SHOTS:
        with Image.open(path) as image:
            assert image.size == ((112, 28) if path.stem.startswith("digits") else (256, 256))
        assert path.stat().st_size < 25_000
    assert FIRST.stat().st_size < 400_000


@pytest.mark.parametrize("tab", ["blend", "color", "prompt", "digits", "brightness"])
def test_a_tab_shows_pairs_of_the_same_noise(tab):
    pairs = [list(pair(name).values()) for name in RECIPES if name.startswith(tab)]
    assert all(alone.seeds == steered.seeds and alone != steered for alone, steered in pairs)
    html = welcome.drawing(tab, "A text.")(str)
    assert html.count("data:image/webp") == 2 * len(pairs) == 4 and "A text." in html


def test_a_guide_without_pictures_of_its_own_shows_none():
    assert Look().drawing is None
    html = welcome.drawing("ridges", "A text.")(str)
    assert "<img" not in html and "g-tiles" not in html and "A text." in html
