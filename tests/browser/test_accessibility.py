"""An automated accessibility pass over every tab: axe-core finds nothing serious."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from guidance.recipe import ColorRecipe
from tests.browser.test_wishes import link, paint, ready

SERIOUS = ("serious", "critical")


def findings(page) -> list[str]:
    """What axe-core calls serious or critical, each with the first element it found."""
    found = Axe().run(page).response["violations"]
    return [f"{row['id']}: {row['help']}: {row['nodes'][0]['html'][:200]}" for row in found if row["impact"] in SERIOUS]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_on_any_tab(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.reload()
    ready(page)
    wrong = {}
    tabs = {"Colour": "color", "Prompt": "clip", "Digits": "digits", "Fine-tune": "finetune", "History": "history"}
    for label, name in tabs.items():
        page.get_by_role("tab", name=label).click()
        if name in ("color", "clip", "digits"):
            page.click(f"#{name}-advanced > button")
            page.wait_for_selector(f"#{name}-steps", state="visible")
        wrong |= {label: found} if (found := findings(page)) else {}
    assert not wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_among_finished_pictures(page, url, scheme):
    page.emulate_media(color_scheme=scheme)
    link(page, ColorRecipe(steps=2, count=2), url)
    paint(page)
    page.click("#color-film > button")
    page.click("#color-recipe > button")
    page.wait_for_selector("#color-recipe .cm-content")
    assert not findings(page)
