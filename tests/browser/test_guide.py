"""A guide that a package from elsewhere brings, on the app as it runs: its tab in a browser, its endpoint, its tool."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from PIL import Image

from tests.test_brightness import WARMTH, installed
from tests.test_mcp import ask

ROOT = Path(__file__).parent.parent.parent
FIELDS = {"degree": 0.9, "steps": 2}


@pytest.fixture
def served(browser, tmp_path) -> Iterator[str]:
    """The address of the app, started where the package is installed."""
    installed(tmp_path, "elsewhere", WARMTH, "warmth = elsewhere:Warmth")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    app = subprocess.Popen([sys.executable, "app.py", "--port", str(port), "--mcp"], cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{port}/"
    try:
        while app.poll() is None:
            with suppress(httpx.HTTPError):
                if httpx.get(url, timeout=5).status_code == 200:
                    break
        yield url
    finally:
        app.terminate()
        app.wait()


def guide(text: str) -> dict:
    """The only guide in a recipe."""
    (only,) = json.loads(text)["guides"]
    return only


def test_it_paints_on_the_page_through_the_api_and_for_agents(browser, served):
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{served}?recipe={json.dumps({'guides': [{'guide': 'warmth', 'degree': 0.9}], 'steps': 2})}")
    page.wait_for_function("window.guidance?.standing()")
    assert page.get_by_role("tab", name="Warmth").get_attribute("aria-selected") == "true"
    page.click("#warmth-paint")
    page.wait_for_selector('#warmth-view [data-state="final"]')
    made = guide(page.locator("#warmth-view [data-recipe]").first.get_attribute("data-recipe"))
    assert (made["guide"], made["degree"]) == ("warmth", 0.9)
    page.close()
    (file,) = Client(served, verbose=False).predict(**FIELDS, api_name="/warmth")
    with Image.open(file) as image:
        assert guide(image.text["guidance"])["degree"] == 0.9
    with ThreadPoolExecutor(1) as thread:  # Playwright has a loop of its own in this one
        tools, (answer,) = thread.submit(ask, served, ("warmth", FIELDS)).result()
    assert "warmth" in tools and not answer.isError and any(part.type == "image" for part in answer.content)
