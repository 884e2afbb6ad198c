"""A real browser on the real page, walled off from every other host."""

import os
import shutil
from collections.abc import Iterator

import pytest

from guidance.recipe import read_png

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
LEFT = ("AbortError", "Unexpected error Connection errored out")  # Gradio's own, when a page is left while it listens
LOOPBACK = ("http://127.0.0.1", "http://localhost", "ws://127.0.0.1", "data:", "blob:", "about:")


def read(path):
    """The recipe inside a PNG, apart from the fingerprint of the weights, which every PNG must have."""
    recipe = read_png(path)
    assert recipe.weights
    return recipe.replace(weights="")


def drag(page) -> None:
    """Drag the strength's slider on the Colour tab, 40 moves in two seconds, and let it go."""
    slider = page.locator("#color-scale input[type=range]")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.1 * box["width"], middle)
    page.mouse.down()
    for k in range(40):
        page.mouse.move(box["x"] + (0.1 + 0.02 * k) * box["width"], middle)
        page.wait_for_timeout(50)
    page.mouse.up()


def missing(what: str) -> None:
    """Skip, or fail where the browser tests are required."""
    if os.environ.get("GUIDANCE_BROWSER_TESTS") == "required":
        pytest.fail(f"{what} is missing, and GUIDANCE_BROWSER_TESTS=required.")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Chromium, driven by Playwright."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        missing("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def url(browser, tmp_path_factory) -> Iterator[str]:
    """The page over the real built-in model; with GUIDANCE_TEST_SERVE set, the one that is served on Ray."""
    if os.environ.get("GUIDANCE_TEST_SERVE"):
        from guidance import settings
        from tests.painters import joined, served

        os.environ["GUIDANCE_LIVE"] = "0"  # until a test turns it on, however quick the machine is
        settings.TRAINED = tmp_path_factory.mktemp("trained")
        with joined(1):
            served(1)
            yield f"http://127.0.0.1:{settings.PORT}/"
        return
    import torch

    from guidance.ui import page

    torch.get_num_threads()  # settles this thread's number, before the page settles that of all but its own
    demo = page.build()
    yield page.launch(demo, host="127.0.0.1", port=None, quiet=True)
    demo.close()


@pytest.fixture
def page(browser, url) -> Iterator:
    """A fresh page; a request that leaves the machine, or an error in the console, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    left, errors = [], []

    def gate(route) -> None:
        if route.request.url.startswith(LOOPBACK):
            route.continue_()
        else:
            left.append(route.request.url)
            route.abort()

    context.route("**/*", gate)
    page = context.new_page()
    page.set_default_timeout(60_000)  # a slow machine is no failure
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    page.wait_for_selector("#color-paint")
    page.wait_for_function("window.guidance?.standing()")
    yield page
    context.close()
    assert not left
    assert not [error for error in errors if not error.startswith(LEFT)]
