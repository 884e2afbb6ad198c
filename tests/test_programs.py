"""The snippets of docs/serving.md for programs, executed as they stand against a page over a fake."""

import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.utils import Status

from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.recipe import ClipRecipe, ColorRecipe, DigitRecipe, Recipe, read_png
from guidance.ui import page
from tests.fake import Fake

SERVING = (Path(__file__).parent.parent / "docs" / "serving.md").read_text()
SECTION = SERVING.split("## Programs and agents")[1].split("\n## ")[0]
PYTHON = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
SHELL = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
ADDRESS = "http://127.0.0.1:7860/"


class Endless(Fake):
    """A fake whose runs of 300 steps go on until they are closed."""

    def __call__(self, recipe):
        runs = super().__call__(recipe)
        with closing(runs):
            for frame in runs:
                yield frame
                while recipe.steps == 300:
                    yield frame


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Endless]]:
    """The address of a page and its compute function."""
    compute = Endless()
    demo = page.build(compute)
    yield page.launch(demo, host="127.0.0.1", port=None, quiet=True), compute
    demo.close()


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for what other threads bring about."""
    for _ in range(600):
        if true():
            return
        threading.Event().wait(0.05)
    pytest.fail("It did not come about.")


def test_the_python_snippets_do_what_they_say(served, tmp_path, monkeypatch, capsys):
    url, compute = served
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    first, second = PYTHON
    values = {"files": []}
    exec(first.replace(ADDRESS.rstrip("/"), url).replace("files = ", "files += "), values)
    assert compute.asked == [
        ColorRecipe(color="teal", count=2), ClipRecipe(prompt="a red sunset over the sea", steps=20),
        DigitRecipe(digits="2026", scale=3), Recipe(guides=Color("teal") + Brightness()),
    ]  # fmt: skip
    paths = [file["path"] if isinstance(file, dict) else file for file in values["files"]]
    assert [read_png(path) for path in paths] == [
        recipe.picture(k) for recipe in compute.asked for k in range(len(recipe.seeds))
    ]
    exec(second.replace(ADDRESS.rstrip("/"), url), values)
    told = re.search(r"# (Colour must be .*)", second)[1]
    assert told in capsys.readouterr().out


def test_a_run_that_is_given_up_ends(served):
    url, compute = served
    client = Client(url, verbose=False, download_files=False, analytics_enabled=False)
    job = client.submit(color="gold", steps=300, api_name="/color")
    wait_until(lambda: job.outputs() or job.status().code is Status.ITERATING)
    assert compute.asked[-1] not in compute.over
    job.cancel()
    wait_until(lambda: compute.asked[-1] in compute.over)


def test_the_shell_snippet_gives_the_files(served):
    url, compute = served
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (snippet,) = SHELL
    done = subprocess.run(
        ["bash", "-euc", snippet.replace(ADDRESS, url)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "event: complete" in done.stdout
    assert "guidance-008080-0.png" in done.stdout
    assert compute.asked[-1] == ColorRecipe(color="teal", steps=20)
