"""How soon the page is there, and how soon a click shows something: python -m tests.browser.speed.

The start is told as a ratio to importing torch and gradio in the same run; the first preview in seconds.
"""

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent.parent
PORT = 7931
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def imports() -> float:
    """Seconds that it takes to import what the page cannot do without."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch, gradio"], check=True, cwd=ROOT)
    return time.perf_counter() - began


def main() -> None:
    """Start the app as a user does and measure until its first paint, then from a click to the first preview."""
    imports()  # once to have the files in memory
    needed = min(imports() for _ in range(3))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page()
        began = time.perf_counter()
        app = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(PORT)], cwd=ROOT, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=os.environ | {"GRADIO_ANALYTICS_ENABLED": "False"},
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{PORT}"
            while True:
                with suppress(httpx.HTTPError):
                    if httpx.get(url).status_code == 200:
                        break
            page.goto(url)
            page.wait_for_selector("#color-paint", state="visible")
            painted = time.perf_counter() - began
            ratio = painted / needed
            print(f"First paint after {painted:.1f} s: {ratio:.2f} x importing torch and gradio ({needed:.1f} s)")
            page.click("#color-paint")  # cold: what is not in memory yet is loaded
            page.wait_for_selector('#color-view [data-state="final"]', timeout=300_000)
            for _ in range(3):
                page.wait_for_selector("#color-paint:not([disabled])")
                page.click(".g-dice")
                began = time.perf_counter()
                page.click("#color-paint")
                page.wait_for_selector('#color-view [data-state="preview"]', state="attached")
                print(f"First preview {time.perf_counter() - began:.2f} s after a click on Paint")
                page.wait_for_selector('#color-view [data-state="final"]', timeout=300_000)
        finally:
            app.terminate()
            browser.close()


if __name__ == "__main__":
    main()
