"""What stands on the page before anything is painted are pictures that the recipes inside them make again."""

import pytest

from guidance import images, read_png
from guidance.frame import sheet
from guidance.ui.html import welcome
from tests.test_recorded import as_recorded, differs, same  # noqa: F401 - a fixture

SHOTS = sorted(welcome.SHOTS.glob("*.png"))


@pytest.mark.parametrize("path", SHOTS, ids=lambda path: path.stem)
def test_a_picture_on_the_page_is_made_again(path):
    recipe = read_png(path)
    made = sheet(images(recipe), len(recipe.seeds))
    # What a CLIP guides is only near what it is on another processor: see `same`.
    near = any(guide.name == "prompt" for guide in recipe.guides) and differs(made, path)[2] > 15
    assert near or same(made, path), differs(made, path)
    assert recipe.guided == path.stem.endswith("-steered")


@pytest.mark.parametrize("tab", ["blend", "color", "prompt", "digits"])
def test_a_tab_shows_pairs_of_the_same_noise(tab):
    alone, steered = ([read_png(path) for path in SHOTS if path.stem.startswith(tab) and path.stem.endswith(end)]
                      for end in ("-alone", "-steered"))  # fmt: skip
    assert [recipe.seeds for recipe in alone] == [recipe.seeds for recipe in steered]
    html = welcome.drawing(tab, "A text.")(str)
    assert html.count("data:image/webp") == len(alone) + len(steered) == 4 and "A text." in html
