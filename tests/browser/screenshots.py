"""Screenshots of every tab before and after painting, wide and narrow, light and dark, in English and Chinese.

python -m tests.browser.screenshots OUTDIR
"""

import os
import re
import shutil
import sys
import tempfile
from itertools import product
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from playwright.sync_api import Page, sync_playwright  # noqa: E402

from guidance import settings  # noqa: E402
from guidance.ui import page as ui  # noqa: E402
from tests.browser.test_finetune_tab import choose, fill, painted  # noqa: E402

TABS = ("color", "clip", "digits", "brightness", "blend", "finetune", "history")
EXAMPLE = re.compile("A sketch of a sunset|日落的草图")
WIDTHS = {"wide": (1440, 1000), "narrow": (390, 844)}
LOCALES = {"en": "en-US", "zh": "zh-CN"}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main(out: Path) -> None:
    """Serve the page on a free port and photograph every tab."""
    out.mkdir(parents=True, exist_ok=True)
    settings.TRAINED = Path(tempfile.mkdtemp())
    demo = ui.build()
    url = ui.launch(demo, host="127.0.0.1", port=None, quiet=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for (size, (width, height)), scheme, (language, locale) in product(
            WIDTHS.items(), ("light", "dark"), LOCALES.items()
        ):
            viewport = {"width": width, "height": height}
            page = browser.new_context(viewport=viewport, color_scheme=scheme, locale=locale).new_page()
            page.set_default_timeout(300_000)
            page.goto(url)
            page.wait_for_function("window.guidance && window.guidance.standing()")
            for index, name in enumerate(TABS):
                photograph(page, index, name, out / f"{size}-{scheme}-{language}-{name}")
            page.context.close()
        browser.close()
    demo.close()


def photograph(page: Page, index: int, name: str, path: Path) -> None:
    """A tab before and after painting, with its steps and its advanced settings, or the history."""
    label = page.locator(".tab-container[aria-hidden] button").nth(index).inner_text()
    if page.get_by_role("tab", name=label, exact=True).count() == 0:  # on a narrow screen some are in a menu
        page.locator(".overflow-menu > button").click()
    page.locator("button:visible").get_by_text(label, exact=True).last.click()
    if name == "history":
        page.wait_for_selector(".g-past")
        page.screenshot(path=f"{path}.png", full_page=True)
        return
    page.wait_for_selector(f"#{name}-paint", state="visible")
    page.screenshot(path=f"{path}-1-before.png", full_page=True)
    if name == "finetune":
        choose(page, painted(settings.TRAINED))
        fill(page, path.name, "0.1")
    if name == "blend":
        page.get_by_role("button", name=EXAMPLE).click()  # sets the cards and paints
    else:
        page.click(f"#{name}-paint")
    page.wait_for_selector(f'#{name}-status [data-state="done"]')
    if name == "finetune":
        page.screenshot(path=f"{path}-2-after.png", full_page=True)
        return
    page.click(f"#{name}-film > button")
    page.locator(f"#{name}-film .g-film input").fill("4")
    page.click(f"#{name}-advanced > button")
    page.wait_for_selector(f"#{name}-{'own' if name == 'blend' else 'steps'}", state="visible")
    page.screenshot(path=f"{path}-2-after.png", full_page=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
