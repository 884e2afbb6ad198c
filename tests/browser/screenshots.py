"""Screenshots of the page before and after painting, wide and narrow, light and dark.

python -m tests.browser.screenshots OUTDIR
"""

import os
import shutil
import sys
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from playwright.sync_api import sync_playwright  # noqa: E402

from guidance.ui import page as ui  # noqa: E402

WIDTHS = {"wide": (1440, 1000), "narrow": (390, 844)}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main(out: Path) -> None:
    """Serve the page on a free port and photograph it."""
    out.mkdir(parents=True, exist_ok=True)
    demo = ui.build()
    url = ui.launch(demo, host="127.0.0.1", port=None, quiet=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for name, (width, height) in WIDTHS.items():
            for scheme in ("light", "dark"):
                tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                tab.goto(url)
                tab.wait_for_selector("#color-paint")
                tab.screenshot(path=out / f"{name}-{scheme}-1-before.png", full_page=True)
                tab.click("#color-paint")
                tab.wait_for_selector('.g-gallery[data-state="preview"]', timeout=120_000)
                tab.screenshot(path=out / f"{name}-{scheme}-2-during.png")
                tab.wait_for_selector('.g-gallery[data-state="final"]', timeout=120_000)
                tab.wait_for_selector('[data-state="done"]')
                tab.screenshot(path=out / f"{name}-{scheme}-3-after.png", full_page=True)
                tab.click("#color-advanced button")
                tab.wait_for_selector("text=What is compared")
                tab.screenshot(path=out / f"{name}-{scheme}-4-advanced.png", full_page=True)
                tab.close()
        browser.close()
    demo.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
