"""Screenshots of every tab before, during and after painting, wide and narrow, light and dark.

python -m tests.browser.screenshots OUTDIR
"""

import os
import shutil
import sys
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from playwright.sync_api import Page, sync_playwright  # noqa: E402

from guidance.ui import page as ui  # noqa: E402

TABS = {"Colour": "color", "Prompt": "clip", "Digits": "digits"}
WIDTHS = {"wide": (1440, 1000), "narrow": (390, 844)}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main(out: Path) -> None:
    """Serve the page on a free port and photograph every tab."""
    out.mkdir(parents=True, exist_ok=True)
    demo = ui.build()
    url = ui.launch(demo, host="127.0.0.1", port=None, quiet=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for size, (width, height) in WIDTHS.items():
            for scheme in ("light", "dark"):
                tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                tab.set_default_timeout(300_000)
                tab.goto(url)
                for label, name in TABS.items():
                    photograph(tab, label, name, out / f"{size}-{scheme}-{name}")
                tab.close()
        browser.close()
    demo.close()


def photograph(tab: Page, label: str, name: str, path: Path) -> None:
    """A tab before, during and after painting, and with its advanced settings."""
    tab.get_by_role("tab", name=label).click()
    tab.wait_for_selector(f"#{name}-paint", state="visible")
    tab.screenshot(path=f"{path}-1-before.png", full_page=True)
    tab.click(f"#{name}-paint")
    tab.wait_for_selector(f'#{name}-view [data-state="preview"]')
    tab.screenshot(path=f"{path}-2-during.png")
    tab.wait_for_selector(f'#{name}-status [data-state="done"]')
    tab.screenshot(path=f"{path}-3-after.png", full_page=True)
    tab.click(f"#{name}-advanced > button")
    tab.wait_for_selector(f"#{name}-steps", state="visible")
    tab.screenshot(path=f"{path}-4-advanced.png", full_page=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
