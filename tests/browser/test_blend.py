"""The Blend tab in a real browser: cards, canvases, and what they make."""

import base64
import io
import json
from urllib.parse import urlencode

import pytest
from PIL import Image

from guidance.recipe import from_json, read_png
from tests.browser.test_accessibility import findings
from tests.browser.test_page import number
from tests.browser.test_tabs import downloaded, open_tab, status
from tests.browser.test_wishes import drop, paint, pixels, ready

KEPT = "JSON.parse(localStorage.getItem('guidance-blend') || '{}')"


def cards(page) -> list[dict]:
    """The cards as they stand."""
    return json.loads(page.evaluate(f"{KEPT}.guides || '[]'"))


def held(text: str) -> Image.Image:
    """The picture that a card holds."""
    return Image.open(io.BytesIO(base64.b64decode(text)))


def add(page, label: str) -> None:
    """Add a card."""
    if page.locator(".g-add").get_attribute("open") != "":
        page.locator(".g-add > summary").click()
    page.locator(".g-add button").get_by_text(label, exact=True).click()


def card(page, guide: str):
    """The last card of a guide."""
    return page.locator(f'.g-card[data-guide="{guide}"]').last


def field(page, guide: str, name: str, control: str = "input"):
    """A field of a card."""
    return card(page, guide).locator(f'[data-name="{name}"] {control}').first


def stroke(page, canvas, *points: tuple[float, float]) -> None:
    """Draw a line with the mouse, in shares of a canvas."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for k, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
        if k == 0:
            page.mouse.down()
    page.mouse.up()


def quick(page, count: int = 1, steps: int = 4) -> None:
    """Ask for little, so that the test is quick."""
    page.click("#blend-advanced > button")
    page.locator("#blend-own input").check()
    page.wait_for_selector("#blend-steps", state="visible")
    number(page, "Steps", steps)
    number(page, "Pictures", count)


@pytest.fixture
def blend(page):
    """The tab, without cards."""
    ready(page)
    open_tab(page, "Blend", "blend")
    page.wait_for_selector(".g-add[open]")
    return page


def test_a_painted_sketch_and_a_prompt_come_back_from_the_picture_with_the_same_pixels(blend, browser, url, tmp_path):
    add(blend, "Sketch")
    canvas = card(blend, "sketch").locator("canvas").first
    card(blend, "sketch").get_by_role("button", name="#e0703c").click()
    stroke(blend, canvas, (0.1, 0.15), (0.9, 0.15), (0.1, 0.3), (0.9, 0.3))
    card(blend, "sketch").get_by_role("button", name="#12355b").click()
    stroke(blend, canvas, (0.1, 0.8), (0.9, 0.8))
    add(blend, "Prompt")
    field(blend, "prompt", "prompt", "textarea").fill("a sunset over the sea")
    quick(blend)
    number(blend, "Seed", 5)
    before = cards(blend)
    painted = held(before[0]["image"])
    assert painted.mode == "RGBA"
    assert [painted.getpixel((64, y)) for y in (20, 60, 102)] == [(224, 112, 60, 255), (0, 0, 0, 0), (18, 53, 91, 255)]
    paint(blend, "blend")
    path = downloaded(blend, blend.locator("#blend-view button.g-save").last, tmp_path)
    recipe = read_png(path)
    assert [guide.name for guide in recipe.guides] == ["sketch", "prompt"]
    assert recipe.guides[0].image == before[0]["image"]

    fresh = browser.new_context(accept_downloads=True).new_page()
    fresh.set_default_timeout(60_000)
    fresh.goto(url)
    ready(fresh)
    drop(fresh, path)
    fresh.wait_for_selector("#blend-paint", state="visible")
    fresh.wait_for_function(f"JSON.parse({KEPT}.guides || '[]').length === 2")
    assert cards(fresh)[0]["image"] == before[0]["image"]
    assert field(fresh, "prompt", "prompt", "textarea").input_value() == "a sunset over the sea"
    paint(fresh, "blend")
    (tmp_path / "again").mkdir()
    again = downloaded(fresh, fresh.locator("#blend-view button.g-save").last, tmp_path / "again")
    assert read_png(again) == recipe
    assert pixels(again) == pixels(path)
    shown = card(fresh, "sketch").locator("canvas").first
    seen = shown.evaluate("canvas => [...canvas.getContext('2d').getImageData(64, 20, 1, 1).data]")
    assert seen == [224, 112, 60, 255]
    fresh.context.close()


def test_cards_are_ordered_switched_and_removed(blend):
    for label in ("Prompt", "Colour", "Brightness"):
        add(blend, label)
    card(blend, "brightness").get_by_role("button", name="Up").click()
    card(blend, "prompt").get_by_role("button", name="Down").click()
    assert [one["guide"] for one in cards(blend)] == ["brightness", "prompt", "color"]
    card(blend, "prompt").get_by_role("button", name="Remove").click()
    card(blend, "brightness").get_by_role("checkbox").first.uncheck()
    assert cards(blend) == [{"guide": "brightness", "off": True}, {"guide": "color"}]
    assert card(blend, "brightness").locator(".g-field").first.is_hidden()
    quick(blend)
    blend.reload()
    ready(blend)
    blend.wait_for_selector(".g-card")
    assert cards(blend) == [{"guide": "brightness", "off": True}, {"guide": "color"}]
    paint(blend, "blend")
    made = from_json(blend.locator("#blend-view [data-recipe]").get_attribute("data-recipe"))
    assert [guide.name for guide in made.guides] == ["color"]


def test_an_empty_blend_is_answered_by_a_sentence(blend):
    blend.click("#blend-paint")
    assert status(blend, "blend", "error") == "Add something to blend first."


def test_a_field_that_nobody_touched_follows_the_leading_one_and_is_left_to_the_server(blend):
    add(blend, "Prompt")
    strength = field(blend, "prompt", "scale", "input[type=number]")
    assert strength.input_value() == "0.12"
    field(blend, "prompt", "preset", "select").select_option("live")
    assert strength.input_value() == "0.15"
    strength.fill("0.3")
    assert cards(blend) == [{"guide": "prompt", "preset": "live", "scale": 0.3}]
    field(blend, "prompt", "preset", "select").select_option("course")
    assert strength.input_value() == "8"
    assert field(blend, "prompt", "scale", "input[type=range]").get_attribute("max") == "1000"
    assert cards(blend) == [{"guide": "prompt", "preset": "course"}]


def test_the_guide_of_a_tab_is_added_with_its_settings(page):
    ready(page)
    page.locator("#color-scale input[type=number]").fill("0.4")
    page.keyboard.press("Tab")
    page.click("#color-join")
    page.wait_for_selector("#blend-paint", state="visible")
    page.wait_for_function(f"JSON.parse({KEPT}.guides || '[]').length === 1")
    assert card(page, "color").locator("b").inner_text() == "Colour"
    assert field(page, "color", "scale", "input[type=number]").input_value() == "0.4"


def test_a_card_moved_by_hand_repaints_the_pictures_live(blend):
    add(blend, "Colour")
    quick(blend)
    blend.check("#blend-live input")
    painted = "JSON.parse(document.querySelector('#blend-view [data-recipe]')?.dataset.recipe || '{}').guides?.[0]"
    field(blend, "color", "scale", "input[type=range]").fill("0.35")
    blend.wait_for_function(f"{painted}?.scale === 0.35")
    field(blend, "color", "color").fill("#13808a")
    blend.wait_for_function(f"{painted}?.color === '#13808a'")


def test_one_guide_is_left_out_at_a_time_beside_all_together(blend):
    add(blend, "Colour")
    add(blend, "Brightness")
    quick(blend)
    blend.locator("#blend-compare").get_by_label("One left out").check()
    paint(blend, "blend")
    labels = blend.locator("#blend-view .g-label").all_inner_texts()
    assert labels == ["Without Colour", "Without Brightness", "Together"]
    assert len({image.get_attribute("src") for image in blend.locator("#blend-view img").all()}) == 3


def test_strokes_are_undone_erased_and_made_by_the_keyboard_and_by_touch(blend):
    add(blend, "Sketch")
    canvas = card(blend, "sketch").locator("canvas").first
    stroke(blend, canvas, (0.2, 0.5), (0.8, 0.5))
    one = cards(blend)[0]["image"]
    card(blend, "sketch").get_by_role("button", name="Eraser").click()
    stroke(blend, canvas, (0.5, 0.1), (0.5, 0.9))
    two = cards(blend)[0]["image"]
    assert [held(text).getpixel((64, 64))[3] for text in (one, two)] == [255, 0]
    card(blend, "sketch").get_by_role("button", name="Undo").click()
    assert cards(blend)[0]["image"] == one
    card(blend, "sketch").get_by_role("button", name="Clear").click()
    assert cards(blend) == [{"guide": "sketch"}]
    card(blend, "sketch").get_by_role("button", name="#4f9bd9").click()
    canvas.focus()
    blend.keyboard.press("ArrowUp")
    blend.keyboard.press("Space")
    assert held(cards(blend)[0]["image"]).getpixel((64, 54)) == (79, 155, 217, 255)
    card(blend, "sketch").get_by_role("button", name="Clear").click()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    fingers = blend.context.new_cdp_session(blend)
    for kind, x in (("touchStart", 0.2), ("touchMove", 0.5), ("touchMove", 0.8), ("touchEnd", None)):
        points = [] if x is None else [{"x": box["x"] + x * box["width"], "y": box["y"] + 0.5 * box["height"]}]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    blend.wait_for_function(f"JSON.parse({KEPT}.guides)[0].image")
    painted = held(cards(blend)[0]["image"])
    assert [painted.getpixel((x, 64))[3] for x in (30, 64, 98)] == [255] * 3


def test_a_region_is_painted_and_comes_back_after_a_reload(blend):
    add(blend, "Colour")
    card(blend, "color").get_by_text("Painted region").click()
    stroke(blend, card(blend, "color").locator("canvas"), (0.2, 0.2), (0.8, 0.2))
    mask = cards(blend)[0]["mask"]
    assert [held(mask).convert("L").getpixel((64, y)) for y in (26, 90)] == [255, 0]
    blend.reload()
    ready(blend)
    blend.wait_for_selector(".g-card")
    assert cards(blend)[0]["mask"] == mask
    stroke(blend, card(blend, "color").locator("canvas"), (0.2, 0.7), (0.8, 0.7))
    assert [held(cards(blend)[0]["mask"]).convert("L").getpixel((64, y)) for y in (26, 90)] == [255, 255]


def test_a_link_carries_the_cards_with_their_pictures(blend, tmp_path):
    add(blend, "Sketch")
    Image.effect_noise((128, 128), 90).convert("RGB").save(tmp_path / "given.png")
    card(blend, "sketch").locator("input[type=file]").first.set_input_files(tmp_path / "given.png")
    blend.wait_for_function(f"JSON.parse({KEPT}.guides)[0].image")
    quick(blend)
    before = cards(blend)[0]["image"]
    paint(blend, "blend")
    blend.click("#blend-recipe > button")
    blend.locator("#blend-recipe").get_by_role("button", name="Copy a link to these settings").click()
    blend.wait_for_function("location.hash.startsWith('#recipe=')")
    blend.evaluate("localStorage.clear()")
    blend.reload()
    ready(blend)
    blend.wait_for_selector(".g-card")
    assert [one["image"] for one in cards(blend)] == [before]
    assert len(before) > 10_000


def test_cards_of_a_hostile_link_ask_for_nothing_and_run_nothing(page, url):
    ready(page)
    image = "iVBOR), url(https://example.com/x.png"
    given = [{"guide": "__proto__"}, {"guide": "color", "color": "<img src=x onerror=alert(1)>", "scale": {}},
             {"guide": "hold", "image": image, "mask": image}, 7, None, {"guide": "prompt", "preset": "constructor"},
             {"guide": "palette", "colors": "#ffffff 1;background:url(https://example.com/x.png)"}]  # fmt: skip
    kept = {"kind": "blend", "guides": json.dumps(given)}
    page.goto(f"{url}?{urlencode({'recipe': json.dumps(kept)})}")
    ready(page)
    page.wait_for_selector(".g-card")
    shown = page.locator(".g-card").evaluate_all("nodes => nodes.map(node => node.dataset.guide)")
    assert shown == ["color", "hold", "prompt", "palette"]
    page.click("#blend-paint")
    assert status(page, "blend", "error").startswith("Colour must be a hex value")


def test_pictures_are_taken_upright_and_small_and_what_is_none_is_answered_by_a_sentence(blend, tmp_path):
    add(blend, "Hold and fill")
    choose = field(blend, "hold", "image", "input[type=file]")
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    choose.set_input_files(tmp_path / "bad.png")
    says = card(blend, "hold").locator(".g-card-says")
    says.get_by_text("This file cannot be read as a picture: a PNG, JPEG or WebP is taken.").wait_for()
    turned, exif = Image.new("CMYK", (900, 600), (0, 255, 255, 0)), Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    turned.save(tmp_path / "turned.jpg", exif=exif)
    choose.set_input_files(tmp_path / "turned.jpg")
    blend.wait_for_function(f"JSON.parse({KEPT}.guides)[0].image")
    given = held(cards(blend)[0]["image"]).convert("RGB")
    assert given.size == (171, 256)
    red, green, blue = given.getpixel((80, 128))
    assert red > 200 > 80 > max(green, blue)
    assert says.inner_text() == ""
    stroke(blend, card(blend, "hold").locator("canvas"), (0.3, 0.3), (0.7, 0.3))
    assert "mask" in cards(blend)[0]
    card(blend, "hold").get_by_role("button", name="Remove the picture").click()
    assert "image" not in cards(blend)[0]


def test_colours_with_shares_are_picked_and_typed(blend):
    add(blend, "Palette")
    field(blend, "palette", "colors").fill("#ff0000 0.5, #00ff00 0.5")
    rows = card(blend, "palette").locator(".g-palette-rows > div")
    assert rows.count() == 2
    rows.nth(1).locator("input[type=range]").fill("0.2")
    card(blend, "palette").get_by_role("button", name="One more colour").click()
    rows.nth(2).locator("input[type=color]").fill("#0000ff")
    rows.nth(0).get_by_role("button").click()
    assert cards(blend)[0]["colors"] == "#00ff00 0.2, #0000ff 0.2"
    assert field(blend, "palette", "colors").input_value() == "#00ff00 0.2, #0000ff 0.2"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_among_cards(blend, scheme):
    blend.emulate_media(color_scheme=scheme)
    blend.reload()
    ready(blend)
    open_tab(blend, "Blend", "blend")
    labels = blend.locator(".g-add button").all_inner_texts()
    for label in labels:
        add(blend, label)
    card(blend, "brightness").get_by_role("checkbox").first.uncheck()
    for fold in blend.locator(".g-card summary:visible").all():
        fold.click()
    assert blend.locator(".g-card").count() == len(labels) > 2
    assert not findings(blend)
