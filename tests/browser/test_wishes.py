"""The twelve wishes of people who use image pages, and guidance made visible: each on the real page."""

import re
from pathlib import Path

import pytest
from PIL import Image

from guidance import guides
from guidance.fields import RecipeError
from guidance.recipe import ClipRecipe, ColorRecipe, DigitRecipe, read_png, save_png, to_flat
from tests.browser.conftest import read
from tests.browser.test_page import number, status
from tests.browser.test_tabs import downloaded

DROP = """([name, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/png'}));
  for (const kind of ['dragover', 'drop'])
    document.querySelector('h1').dispatchEvent(
      new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def drop(page, path: Path) -> None:
    """Drop a file somewhere on the page."""
    page.evaluate(DROP, [path.name, list(path.read_bytes())])


def paint(page, name: str = "color") -> None:
    """Press Paint and wait for the end."""
    page.click(f"#{name}-paint")
    page.wait_for_selector(f'#{name}-view [data-state="final"]')
    page.wait_for_selector(f"#{name}-paint:not([disabled])")


def ready(page) -> None:
    """Wait until the page answers and stands as it was left, on whatever tab that was."""
    page.wait_for_function("window.guidance?.standing()")
    page.wait_for_selector("#color-paint:not([disabled])", state="attached")


def link(page, recipe, url: str) -> None:
    """Open the page by a link that carries a recipe."""
    from urllib.parse import urlencode

    kind = guides.endpoint(type(recipe.guides[0]))
    values = {"kind": kind} | {k: v for k, v in to_flat(recipe).items() if v not in (None, "")}
    page.goto(f"{url}?{urlencode(values)}")  # as version 0.1 wrote it
    ready(page)


@pytest.fixture
def small(page, url):
    """The page with little to paint."""
    link(page, ColorRecipe(steps=3, seed=5), url)
    return page


def pixels(path: Path) -> bytes:
    """A picture's pixels."""
    with Image.open(path) as image:
        return image.tobytes()


@pytest.mark.parametrize(
    "recipe",
    [
        ColorRecipe(color="teal", steps=4, seed=11, rule="course", scale=20, stop=0.8, method="full", solver="ddpm"),
        ClipRecipe(prompt="a moon:0.5 | snow", preset="quality", steps=4, cuts=2, travel=1, seed=3),
        DigitRecipe(digits="42", guidance="classifier", scale=20, steps=4, seed=9, conditioning="channels"),
    ],
    ids=["color", "clip", "digits"],
)
def test_a_dropped_picture_restores_every_setting_pixel_for_pixel(page, tmp_path, recipe):
    from guidance import images
    from guidance.frame import sheet

    made = images(recipe)
    path = save_png(sheet(made, len(made)), tmp_path / "given.png", recipe)
    ready(page)
    name = guides.endpoint(type(recipe.guides[0]))
    drop(page, path)
    page.wait_for_selector(f"#{name}-paint", state="visible")
    page.wait_for_function(
        "seed => [...document.querySelectorAll('.g-seed input')].some(i => i.value == seed)", arg=recipe.seed
    )
    paint(page, name)
    again = downloaded(page, page.locator(f"#{name}-view button.g-save").last, tmp_path)
    assert read(again) == recipe
    assert pixels(again) == pixels(path)


def test_a_picture_of_version_0_1_and_one_of_other_weights_are_painted_as_they_say(page, tmp_path):
    recorded = Path(__file__).parent.parent / "recorded" / "color-course-0.png"
    ready(page)
    drop(page, recorded)
    page.wait_for_function("document.querySelector('.g-seed input').value === '5'")
    assert not page.locator("#notice p").count()
    paint(page)
    again = downloaded(page, page.locator("#color-view button.g-save").last, tmp_path)
    assert read(again) == read_png(recorded)
    save_png(Image.open(again), tmp_path / "other.png", read_png(again).replace(weights="0123456789ab", seed=8))
    drop(page, tmp_path / "other.png")
    assert "other weights" in page.wait_for_selector("#notice p").inner_text()
    page.wait_for_function("document.querySelector('.g-seed input').value === '8'")


def test_a_dropped_picture_without_a_recipe_is_answered_by_a_sentence(page, tmp_path):
    ready(page)
    Image.new("RGB", (9, 9)).save(tmp_path / "plain.png")
    drop(page, tmp_path / "plain.png")
    assert "carries no recipe" in page.wait_for_selector('#notice [data-state="error"]').inner_text()


def test_recipes_stay_out_of_pictures_when_they_are_switched_off(small, tmp_path):
    small.click("#color-recipe > button")
    small.get_by_label("Write the recipe into each PNG").uncheck()
    paint(small)
    with pytest.raises(RecipeError):
        read_png(downloaded(small, small.locator("#color-view button.g-save").last, tmp_path))


def test_settings_survive_a_reload(page):
    ready(page)
    number(page, "Seed", 77)
    number(page, "Pictures", 2)
    page.wait_for_function("(localStorage.getItem('guidance-color') || '').includes('77')")
    page.reload()
    ready(page)
    page.wait_for_function("document.querySelector('.g-seed input').value === '77'")
    assert page.locator('#color-count input[type="number"]').input_value() == "2"


def test_a_run_is_still_there_after_a_reload_and_can_be_stopped(page, url):
    link(page, ColorRecipe(steps=250, count=2), url)
    page.click("#color-paint")
    page.wait_for_selector('#color-view [data-state="preview"]')
    page.reload()
    page.wait_for_selector('#color-view [data-state="preview"]')
    page.wait_for_selector("#color-halt:not([disabled])")
    page.click("#color-halt")
    assert re.match(r"Stopped at step \d+ of 250", status(page, "stopped"))
    assert page.locator('#color-view [data-state="preview"]').count() == 1


def test_two_browsers_see_only_their_own_and_wait_their_turn(browser, url):
    from guidance.ui.runs import jobs

    pages = []
    for k in range(jobs.RUNS + 1):
        page = browser.new_context().new_page()
        page.set_default_timeout(120_000)  # a slow machine is no failure
        link(page, ColorRecipe(steps=60, seed=1000 * (k + 1)), url)
        pages.append(page)
    for page in pages[:-1]:
        page.click("#color-paint")
        page.wait_for_selector('#color-view [data-state="preview"]')
    pages[-1].click("#color-paint")
    assert "1 ahead of you" in pages[-1].wait_for_selector('#color-status p:text("ahead of you")').inner_text()
    for k, page in enumerate(pages):
        page.wait_for_selector('#color-view [data-state="final"]')
        assert re.findall(r"Seed (\d+)", page.inner_text("#color-view")) == [str(1000 * (k + 1))]
        page.context.close()


def test_the_history_keeps_pictures_and_restores_them(small):
    paint(small)
    number(small, "Seed", 6)
    paint(small)
    small.wait_for_function("document.body.dataset.remembered === '2'")
    small.reload()
    ready(small)
    small.get_by_role("tab", name="History").click()
    small.wait_for_function("document.querySelectorAll('.g-past').length === 2")
    small.locator(".g-past").nth(1).get_by_role("button", name="Restore").click()
    small.wait_for_selector("#color-paint", state="visible")
    small.wait_for_function("document.querySelector('.g-seed input').value === '5'")
    small.get_by_role("tab", name="History").click()
    small.get_by_role("button", name="Forget all").click()
    small.wait_for_selector("#g-history .g-empty", state="visible")


def test_a_grid_of_two_settings_can_be_kept_as_one_picture(small, tmp_path):
    small.locator("#color-compare").get_by_label("A grid").check()
    small.fill("#color-across input, #color-across textarea", "0.2; 0.6")
    small.fill("#color-down input, #color-down textarea", "red; teal; gold")
    paint(small)
    assert small.locator("#color-view td img").count() == 6
    with Image.open(downloaded(small, small.locator("#color-view button.g-save"), tmp_path)) as whole:
        assert whole.width > 2 * 128
        assert whole.height > 3 * 128


def test_before_and_after_can_be_wiped(small):
    paint(small)
    assert small.locator(".g-wipe").is_hidden()
    small.get_by_role("button", name="Before and after").click()
    small.locator(".g-wipe").fill("80")
    shown = small.locator("#color-view .g-shot:nth-child(2) img").evaluate("image => getComputedStyle(image).clipPath")
    assert shown == "inset(0px 0px 0px 80%)"


@pytest.mark.parametrize("comparison", ["Shortcut and full", "Both rules"])
def test_methods_and_rules_are_compared_in_one_click(small, comparison):
    small.locator("#color-compare").get_by_label(comparison).check()
    paint(small)
    assert small.locator("#color-view img").count() == 2
    one, two = (small.locator("#color-view img").nth(k).get_attribute("src") for k in (0, 1))
    assert one != two


def test_the_step_viewer_goes_through_the_run(small):
    paint(small)
    small.click("#color-film > button")
    output = small.locator("#color-film output")
    assert output.inner_text().startswith("Step 3 of 3")
    frame = small.locator("#color-film .g-frame").nth(1)
    last = frame.evaluate("frame => getComputedStyle(frame).backgroundPosition")
    small.locator("#color-film input").fill("1")  # the first one is not guided
    assert re.match(r"Step 2 of 3, w = \d\.\d+, colour", output.inner_text())
    assert frame.evaluate("frame => getComputedStyle(frame).backgroundPosition") != last
    assert small.locator("#color-film .g-plot").count() == 2


def test_a_term_of_the_formula_leads_to_its_control(page):
    ready(page)
    page.locator('.g-term[data-focus="color-weight"]').click()
    page.wait_for_selector("#color-weight.g-flash", state="visible")


def test_the_title_tells_how_a_run_goes(page, url):
    link(page, ColorRecipe(steps=120), url)
    page.click("#color-paint")
    page.wait_for_function("document.title.startsWith('Step')")
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    page.wait_for_function("document.title.startsWith('\u2713')", timeout=60_000)


def test_the_link_to_the_settings_restores_them(small):
    paint(small)
    small.click("#color-recipe > button")
    small.get_by_role("button", name="Copy a link to these settings").click()
    small.wait_for_function("JSON.parse(new URLSearchParams(location.search).get('recipe'))?.seed === 5")
    small.evaluate("localStorage.clear()")
    small.reload()
    ready(small)
    small.wait_for_function("document.querySelector('.g-seed input').value === '5'")


def test_the_page_speaks_chinese_to_a_chinese_browser(browser, url):
    page = browser.new_context(locale="zh-CN").new_page()
    link(page, ColorRecipe(steps=3), url)
    assert page.inner_text("#color-paint") == "作画"
    paint(page)
    assert status(page, "done").startswith("完成：1 张，3 步")
    assert "Strength" not in page.inner_text("body")
    page.context.close()
