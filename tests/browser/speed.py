"""How soon the page is there, and how soon a click shows something: python -m tests.browser.speed.

The start is told as a ratio to importing torch and gradio in the same run; the first preview in seconds; with Live on,
the time from a slider's move to the changed picture also in passes of the network, measured on the idle page's machine.
"""

import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
from gradio_client import Client
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import drag
from tests.soak import Tab

ROOT = Path(__file__).parent.parent.parent
PORT = 7931
MOVED = """() => new Promise(done => {
  const view = document.querySelector('#color-view');
  const shown = () => [...view.querySelectorAll('img')].at(-1)?.src;
  const before = shown();
  new MutationObserver((_, watch) => {
    if (shown() !== before) { watch.disconnect(); done(performance.now() - window.moved); }
  }).observe(view, {childList: true, subtree: true, attributes: true});
})"""
PASSES = """
import time, torch
from guidance import images
from guidance.recipe import ColorRecipe
from guidance.models import catalogue
from guidance.ui.runs.live import hurried
model = catalogue.get("landscapes")
x = torch.randn(1, 3, 64, 64)
def seconds(action, times=9):
    action()
    taken = []
    for _ in range(times):
        began = time.perf_counter(); action(); taken.append(time.perf_counter() - began)
    return sorted(taken)[times // 2]
with torch.no_grad():
    print(seconds(lambda: model.eps(x, 500)), seconds(lambda: images(hurried(ColorRecipe()))))
"""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def imports() -> float:
    """Seconds that it takes to import what the page cannot do without."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch, gradio"], check=True, cwd=ROOT)
    return time.perf_counter() - began


def live(page: Page) -> list[float]:
    """Seconds from each of ten moves of the strength's slider to the changed picture, the hand resting between."""
    page.fill("#color-count input[type=number]", "1")
    page.keyboard.press("Tab")
    page.check("#color-live input")
    slider = page.locator("#color-scale input[type=range]")
    slider.scroll_into_view_if_needed()
    page.evaluate("""() => document.querySelector('#color-scale input[type=range]')
      .addEventListener('input', () => { window.moved = performance.now(); }, true)""")
    box, taken = slider.bounding_box(), []
    for k in range(10):
        page.evaluate(f"window.changed = ({MOVED})(); 0")  # not the promise, which would be waited for
        page.mouse.click(box["x"] + (0.15 + 0.07 * k) * box["width"], box["y"] + box["height"] / 2)
        taken.append(page.evaluate("window.changed") / 1000)
        page.wait_for_selector('#color-view [data-state="final"]', timeout=300_000)
        page.wait_for_selector("#color-halt[disabled]", state="attached", timeout=300_000)
    return taken


def sent(tab: Tab) -> Callable[[], None]:
    """The same drag as the page of another machine sends it, and follows what comes of it; what ends that.

    What another machine would work for it gives way here to what the server does.
    """
    keys = [tab.move("", scale=0.1)]
    follower = threading.Thread(target=away, args=[lambda: tab.follow(keys[0])])

    def moves() -> None:
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < 2:  # each is sent when the one before is answered
            keys.append(tab.move(keys[-1], scale=0.1 + 0.4 * passed))

    mover = threading.Thread(target=away, args=[moves])
    follower.start()
    mover.start()

    def end() -> None:
        mover.join()
        tab.post("stop", [keys[-1]])
        follower.join()

    return end


def away(work: Callable[[], object]) -> None:
    """Work in this thread while nothing else wants the processor."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    work()


def delayed(page: Page, url: str) -> dict[str, float]:
    """Seconds that another visitor's run takes alone, beside a drag from elsewhere, and beside one in this browser."""
    other, tab = Client(url, verbose=False), Tab(f"{url}/", 0, 0)
    hands = {"alone": lambda: None, "beside a drag from elsewhere": lambda: sent(tab),
             "beside one in a browser on the same cores": lambda: drag(page)}  # fmt: skip
    taken = {name: [] for name in hands}

    def run(seed: int) -> float:
        began = time.perf_counter()
        other.predict(color="teal", seed=seed, steps=40, solver="ddim", count=4, api_name="/color")
        return time.perf_counter() - began

    with ThreadPoolExecutor(1) as visitor:
        for k in range(6):  # the first round is to warm up
            for name, hand in hands.items():
                going = visitor.submit(run, k)
                end = hand()
                taken[name].append(going.result())
                if end:
                    end()
                page.wait_for_selector("#color-halt[disabled]", state="attached", timeout=300_000)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


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
            moves = live(page)
            others = delayed(page, url)
            app.terminate()
            told = subprocess.run([sys.executable, "-c", PASSES], capture_output=True, text=True, check=True, cwd=ROOT)
            step, run = map(float, told.stdout.split()[-2:])
            middle = statistics.median(moves)
            print(f"From a slider's move to the changed picture {middle:.2f} s ({min(moves):.2f} to {max(moves):.2f}): "
                  f"{middle / step:.1f} passes of the network, {1000 * (middle - run):.0f} ms more than the library")
            for name, seconds in others.items():
                print(f"Another visitor's run {name}: {seconds:.2f} s, {seconds / others['alone']:.2f} x")
        finally:
            app.terminate()
            browser.close()


if __name__ == "__main__":
    main()
