"""Live: the pictures follow a hand on a slider, and what stands there in the end is the recipe's own."""

import base64
import io
import threading
import time

from PIL import Image

from guidance import images
from guidance.recipe import from_json
from guidance.ui.runs.live import LINGER
from tests.browser.conftest import drag

SEEN = """() => {
  window.seen = new Set();
  const view = document.querySelector('#color-view');
  const look = () => { const all = view.querySelectorAll('img'); window.seen.add(all[all.length - 1]?.src); };
  new MutationObserver(look).observe(view, {childList: true, subtree: true, attributes: true});
}"""


def test_a_drag_shows_pictures_on_the_way_and_ends_in_the_one_of_the_last_move(page):
    before = threading.active_count()
    page.fill("#color-count input[type=number]", "1")
    page.keyboard.press("Tab")
    page.check("#color-live input")
    page.evaluate(SEEN)
    drag(page)
    scale = page.input_value("#color-scale input[type=number]")
    page.wait_for_selector('#color-view [data-state="final"]')
    page.wait_for_function(f"JSON.parse(document.querySelector('#color-view [data-recipe]')?.dataset.recipe || '{{}}')"
                           f".guides?.[0].scale == {scale}")  # fmt: skip
    assert len(page.evaluate("[...window.seen]")) > 3
    made = from_json(page.get_attribute("#color-view [data-recipe]", "data-recipe"))
    shown = page.get_attribute('#color-view img[alt^="Guided"]', "src").split(",")[1]
    alone = images(made.replace(weights=""))[0]
    assert Image.open(io.BytesIO(base64.b64decode(shown))).tobytes() == alone.tobytes()
    page.wait_for_selector("#color-halt[disabled]")  # it rests, and ends after LINGER
    until = time.monotonic() + 3 * LINGER
    while threading.active_count() > before + 1 and time.monotonic() < until:
        page.wait_for_timeout(100)
    assert threading.active_count() <= before + 1  # Gradio's own may come and go


def test_paint_takes_the_place_of_what_followed_the_controls(page):
    page.fill("#color-count input[type=number]", "1")
    page.keyboard.press("Tab")
    page.check("#color-live input")
    page.fill("#color-scale input[type=number]", "0.3")
    page.keyboard.press("Tab")
    page.wait_for_selector('#color-view [data-state="preview"]')
    page.uncheck("#color-live input")
    page.click("#color-paint")
    page.wait_for_selector('#color-status [data-state="done"]')
    made = from_json(page.get_attribute("#color-view [data-recipe]", "data-recipe"))
    assert (made.scale, made.count) == (0.3, 1) and page.locator("#color-view img").count() == 2
