"""What a person does on the page: paint, stop, keep, try an example, type nonsense."""

import json
import re
import threading

import pytest
from PIL import Image

from guidance.guides.color import Color
from guidance.recipe import ColorRecipe, Recipe, to_json
from tests.browser.conftest import read
from tests.fake import Fake

FINAL = '#color-view .g-gallery[data-state="final"]'
PREVIEW = '#color-view .g-gallery[data-state="preview"]'


def status(page, state: str) -> str:
    """The status line's text once it is in a state."""
    return page.wait_for_selector(f'#color-status [data-state="{state}"]').inner_text()


def idle(page) -> None:
    """Wait until a tab or a fold that was just opened is all there: what is typed while Gradio makes it can be lost."""
    page.evaluate("() => new Promise(done => requestIdleCallback(() => requestIdleCallback(done)))")


def number(page, label: str, value: object) -> None:
    """Type into the number box of a slider, or of the seed."""
    idle(page)
    slider = f'input[aria-label="number input for {label}"]:visible'
    box = page.locator(".g-seed input:visible" if label == "Seed" else slider)
    box.fill(str(value))
    box.press("Tab")
    page.wait_for_function("([box, value]) => box.value === value", arg=[box.element_handle(), str(value)])


def small(page, steps: int = 4, count: int = 2) -> None:
    """Ask for little, so that the test is quick: by a link, since what is typed while a page is made can be lost."""
    page.goto(f"{page.url.partition('?')[0]}?kind=color&steps={steps}&count={count}")
    page.wait_for_function("window.guidance?.standing()")
    page.click("#color-advanced > button")
    page.wait_for_selector("#color-steps", state="visible")


def test_painting_previews_and_ends_in_pictures_that_can_be_kept(page, tmp_path):
    small(page, steps=30)
    page.evaluate("""() => {
      window.states = [];
      const look = () => {
        const state = document.querySelector('#color-view .g-gallery')?.dataset.state;
        if (state && state !== window.states.at(-1)) window.states.push(state);
      };
      new MutationObserver(look).observe(document.getElementById('color-view'),
        {subtree: true, childList: true, attributes: true});
    }""")
    page.click("#color-paint")
    page.wait_for_selector(FINAL)
    assert status(page, "done").startswith("Done: 2 pictures in 30 steps")
    assert page.evaluate("window.states") == ["preview", "final"]
    assert [page.inner_text(f"#color-{button}") for button in ("paint", "halt")] == ["Paint", "Stop"]
    assert page.locator("#color-view img").count() == 4
    singles = [ColorRecipe(steps=30, seed=k) for k in range(2)]
    made = [recipe for single in singles for recipe in (single.unguided(), single)]
    for link, expected in zip(page.locator("#color-view button.g-save").all(), made, strict=True):
        with page.expect_download() as download:
            link.click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        assert read(path) == expected
        with Image.open(path) as image:
            assert image.size == (256, 256)


def test_stop_keeps_the_last_preview_and_the_next_run_starts_afresh(page):
    small(page, steps=250, count=1)
    page.click("#color-paint")
    page.wait_for_selector(PREVIEW)
    page.click("#color-halt")
    text = status(page, "stopped").strip()
    stopped = re.fullmatch(r"Stopped at step (\d+) of 250\.", text)
    assert stopped and 1 <= int(stopped[1]) < 250, text
    assert page.locator(PREVIEW).count() == 1
    assert page.locator("#color-halt").is_disabled()
    number(page, "Steps", 2)
    page.click("#color-paint")
    assert "1 picture in 2 steps" in status(page, "done")


def test_an_example_sets_the_colour_and_paints(page):
    small(page, steps=3, count=1)
    page.get_by_role("button", name="Crimson").click()
    status(page, "done")
    page.click("#color-recipe > button")
    page.wait_for_selector("#color-recipe .cm-content")
    shown = json.loads(page.locator("#color-recipe .cm-content").inner_text())
    assert shown.pop("weights")
    assert shown == {name: value for name, value in json.loads(to_json(ColorRecipe(color="#a8142f", steps=3))).items()
                     if name != "weights"}  # fmt: skip


def test_a_seed_can_be_rolled_and_taken_from_a_picture(page):
    small(page, steps=2, count=3)
    number(page, "Seed", 40)
    page.click("#color-paint")
    status(page, "done")
    page.get_by_role("button", name="Use this seed").nth(2).click()
    page.wait_for_function("document.querySelector('.g-seed input').value === '42'")
    page.wait_for_function("document.querySelector('input[aria-label=\"number input for Pictures\"]').value === '1'")
    page.get_by_role("button", name="Random seed").click()
    page.wait_for_function("document.querySelector('.g-seed input').value !== '42'")


def test_the_rule_brings_its_own_range(page):
    small(page)
    box = page.locator('#color-scale input[type="number"]')
    assert float(box.input_value()) == Color().scale
    page.locator("#color-advanced").get_by_label("The course's", exact=True).check()
    page.wait_for_function("document.querySelector('input[aria-label=\"number input for Strength\"]').max === '1000'")
    assert float(box.input_value()) == Color(rule="course").scale


@pytest.mark.parametrize("typed", ["#12", "$44CCAA", "<img src=x>"])
def test_a_bad_colour_is_answered_by_a_sentence(page, typed):
    page.click("#color-color .dialog-button")
    box = page.locator("#color-color .input-wrap input")
    box.fill(typed)
    box.press("Enter")
    page.click("#color-paint")
    assert status(page, "error").startswith("Colour must be a hex value")
    assert page.locator(".g-welcome").count() == 1
    assert typed not in page.inner_text("#color-status")
    assert page.locator("#color-paint").is_enabled()


def test_a_seed_that_is_none_is_answered_by_a_sentence(page):
    number(page, "Seed", "")
    page.click("#color-paint")
    assert status(page, "error").startswith("Seed must be a whole number")


def test_the_page_fits_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    small(page, steps=2, count=4)
    page.click("#color-paint")
    status(page, "done")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_leaving_the_page_stops_its_run(browser, monkeypatch):
    from guidance.ui import page as ui
    from guidance.ui.runs import jobs

    monkeypatch.setattr(jobs, "GRACE", 2.0)

    closed = threading.Semaphore(0)

    def compute(recipe: Recipe):
        try:
            for frame in Fake()(recipe):
                yield frame
                threading.Event().wait(0.02)  # a step takes a while
        finally:
            closed.release()

    demo = ui.build(compute)
    try:
        page = browser.new_page()
        page.goto(ui.launch(demo, host="127.0.0.1", port=None, quiet=True))
        small(page, steps=250)
        page.click("#color-paint")
        page.wait_for_selector(PREVIEW)
        page.close()
        for _ in ("guided", "unguided"):
            assert closed.acquire(timeout=60)
        assert page.is_closed()
    finally:
        demo.close()


def test_an_idle_page_asks_for_few_frames(page):
    page.add_init_script("""{
      const frame = window.requestAnimationFrame.bind(window);
      let asked = 0;
      window.requestAnimationFrame = act => { asked += 1; return frame(act); };
      window.asked = () => new Promise(done => {  // frames a second, over 60 of them
        let left = 60;
        const began = performance.now(), before = asked;
        const next = () => {
          if (left--) frame(next);
          else done((asked - before) / (performance.now() - began) * 1000);
        };
        frame(next);
      });
    }""")
    page.goto(page.url)
    page.wait_for_function("window.guidance?.standing()")
    page.wait_for_function("async () => await window.asked() < 20")  # Gradio alone goes on at every frame
