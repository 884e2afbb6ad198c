"""The Digits and Prompt tabs in a real browser."""

import pytest
from PIL import Image

from guidance.recipe import ClipRecipe, DigitRecipe
from tests.browser.conftest import read
from tests.browser.test_page import idle


def open_tab(page, label: str, name: str) -> None:
    """Go to a tab."""
    page.get_by_role("tab", name=label).click()
    page.wait_for_selector(f"#{name}-paint", state="visible")
    idle(page)


def status(page, name: str, state: str) -> str:
    """The status line's text once it is in a state."""
    return page.wait_for_selector(f'#{name}-status [data-state="{state}"]').inner_text()


def small(page, name: str, count: int, steps: int = 4) -> None:
    """Ask for little, so that the test is quick."""
    page.click(f"#{name}-advanced > button")
    idle(page)
    for box, value in ((f"#{name}-count", count), (f"#{name}-steps", steps)):
        field = page.locator(f'{box} input[type="number"]')
        field.fill(str(value))
        field.press("Tab")


def downloaded(page, link, folder):
    """The file behind a link."""
    with page.expect_download() as download:
        link.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_number_is_drawn_read_and_kept(page, tmp_path):
    open_tab(page, "Digits", "digits")
    small(page, "digits", 1)
    page.locator("#digits-digits input, #digits-digits textarea").fill("２026")
    page.click("#digits-paint")
    assert status(page, "digits", "done").startswith("Done: 4 pictures in 4 steps")
    cells = page.locator("#digits-view .g-cell")
    assert cells.count() == 4
    assert all("%" in text for text in cells.all_inner_texts())
    one = downloaded(page, cells.nth(2).locator("button"), tmp_path)
    assert read(one) == DigitRecipe(digits="2", steps=4, seed=2)
    whole = downloaded(page, page.locator("#digits-view button.g-save"), tmp_path)
    assert read(whole) == DigitRecipe(digits="2026", steps=4)
    assert Image.open(whole).size == (4 * 28, 28)


@pytest.mark.parametrize(("comparison", "boards"), [("Ways of telling", 3), ("Kinds of guidance", 4), ("Strengths", 5)])
def test_digits_are_compared_on_the_same_seeds(page, comparison, boards):
    open_tab(page, "Digits", "digits")
    small(page, "digits", 1, 2)
    page.get_by_label(comparison, exact=True).check()
    page.click("#digits-paint")
    status(page, "digits", "done")
    assert page.locator("#digits-view .g-board").count() == boards
    assert page.locator("#digits-view .g-cell").count() == 10 * boards


@pytest.mark.parametrize("typed", ["twenty", "", "1" * 101])
def test_what_is_no_digit_is_answered_by_a_sentence(page, typed):
    open_tab(page, "Digits", "digits")
    page.locator("#digits-digits input, #digits-digits textarea").fill(typed)
    page.click("#digits-paint")
    assert status(page, "digits", "error").startswith("Digits must be 1 to 100 of the digits 0 to 9")


def test_a_prompt_steers_and_its_unknown_words_are_named(page, tmp_path):
    open_tab(page, "Prompt", "clip")
    small(page, "clip", 2)
    page.fill("#clip-prompt textarea", "a montain at night | clouds:-0.5")
    page.click("#clip-paint")
    done = status(page, "clip", "done")
    assert done.startswith("Done: 2 pictures in 4 steps")
    assert "does not know the word montain: perhaps mountain" in done
    assert page.locator("#clip-view img").count() == 4
    assert page.locator("#clip-view .g-curve polyline").count() == 1
    path = downloaded(page, page.locator("#clip-view button.g-save").nth(3), tmp_path)
    made = read(path)
    assert made == ClipRecipe(prompt="a montain at night | clouds:-0.5", steps=4, seed=1)


def test_an_example_prompt_paints(page):
    open_tab(page, "Prompt", "clip")
    small(page, "clip", 1, 2)
    page.get_by_role("button", name="a pine forest in the mist at dawn").click()
    page.wait_for_selector('#clip-view .g-legend:has-text("pine forest")')  # with Live on, others may be done before
    status(page, "clip", "done")
    assert page.inner_text("#clip-view .g-legend").startswith("a pine forest in the mist at dawn\n")
    assert page.input_value("#clip-prompt textarea") == "a pine forest in the mist at dawn"


def test_an_empty_prompt_is_answered_by_a_sentence(page):
    open_tab(page, "Prompt", "clip")
    page.fill("#clip-prompt textarea", "   ")
    page.click("#clip-paint")
    assert status(page, "clip", "error").startswith("Prompt must say something")


def test_what_is_in_memory_can_be_seen(page):
    open_tab(page, "Digits", "digits")
    small(page, "digits", 1, 2)
    page.click("#digits-paint")
    status(page, "digits", "done")
    page.click("#memory > button")
    shown = page.wait_for_selector("#memory li").text_content() and page.inner_text("#memory")
    assert "digits/embedding" in shown
    assert "GB that networks may take" in shown
