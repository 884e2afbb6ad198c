"""The one command: its options and variables, and what it says where something is missing."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import gradio as gr
import httpx
import pytest

from guidance import guides, settings
from guidance.guides.prompt import CLIPS
from guidance.recipe import form
from guidance.ui import page
from guidance.ui.server import start
from guidance.ui.tabs import controls
from tests.fake import Fake

ROOT = Path(__file__).parent.parent
NO_MODEL = "Model must be landscapes, a model on the Hub such as google/ddpm-cat-256, or a folder."
# So that a start that should have failed ends at once, instead of serving.
NO_SERVER = "from guidance.ui import app, page; page.launch = lambda *a, **k: exit('it was served'); app.main([])"


def run(**variables: str) -> str:
    """What app.py, started with a server that does nothing, says in its last words."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GUIDANCE_")}
    done = subprocess.run(
        [sys.executable, "-c", NO_SERVER], cwd=ROOT, env=environment | variables,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def stub(folder: Path, name: str, version: str) -> str:
    """A package path on which one package has another version."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return str(folder)


def test_the_table_of_the_docs_is_the_settings_and_the_options():
    table = (ROOT / "docs" / "serving.md").read_text().split("## Settings")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(GUIDANCE_\w+)` \| (?:`(--[\w-]+)`)?", table, re.MULTILINE))
    read = set(re.findall(r'"(GUIDANCE_\w+)"', (ROOT / "guidance" / "settings.py").read_text()))
    assert set(rows) == read
    options = subprocess.run([sys.executable, "app.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(filter(None, rows.values())) == set(re.findall(r"^  (--[\w-]+)", options.stdout, re.MULTILINE))
    for name, option in rows.items():
        assert not option or option == "--" + name.removeprefix("GUIDANCE_").lower().replace("_", "-")


def test_no_other_file_reads_the_environment_for_settings_of_ours():
    for path in [*(ROOT / "guidance").rglob("*.py"), ROOT / "app.py"]:
        assert path.name == "settings.py" or "environ" not in path.read_text() or "GUIDANCE_" not in path.read_text()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("MODEL", "../nowhere", NO_MODEL),
        ("MODEL", "~nosuchuser", NO_MODEL),
        ("CLIP", "ViT/none", f"CLIP must be one of: {', '.join(CLIPS)}."),
        ("AUTH", "nobody", 'The account must be written "user:password".'),
        ("PORT", 70000, "The port must be from 1 to 65535."),
        ("DEVICE", "tpu", "GUIDANCE_DEVICE must be cuda, mps or cpu, or not set."),
        ("PRECISION", "int4", "GUIDANCE_PRECISION must be float32 or bfloat16, or not set."),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_a_sentence(monkeypatch, name, value, sentence):
    start.ready()
    monkeypatch.setattr(settings, name, value)
    with pytest.raises(start.StartError, match=f"^{re.escape(sentence)}$"):
        start.ready()


def test_a_device_that_is_not_there_is_refused():
    words = run(GUIDANCE_DEVICE="cuda", CUDA_VISIBLE_DEVICES="")
    assert words == "guidance: GUIDANCE_DEVICE is cuda, which torch does not find here: leave it out."


def test_a_variable_that_is_no_number_is_refused():
    assert run(GUIDANCE_PORT="many") == "guidance: GUIDANCE_PORT must be a number from 0 on, such as 7860."


def test_the_page_starts_where_the_home_cannot_be_written_and_there_is_no_network():
    assert run(HOME="/proc", HF_HUB_OFFLINE="1") == "it was served"


def test_another_gradio_is_refused_before_the_page_is_built(tmp_path):
    words = run(PYTHONPATH=stub(tmp_path, "gradio", "5.49.1"))
    assert words == "guidance: The page needs Gradio 6 and this is 5.49.1: pip install -r requirements.txt"


@pytest.mark.parametrize(("module", "package"), start.NEEDED.items())
def test_a_missing_package_is_named(monkeypatch, module, package):
    find = start.importlib.util.find_spec
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: None if name == module else find(name))
    with pytest.raises(start.StartError, match=f"^The page needs {package}: {re.escape(start.INSTALL)}$"):
        start.packages()


def test_without_its_package_mcp_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(settings, "MCP", True)
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: None)
    sentence = "Serving agents needs one more package: pip install 'gradio[mcp]'"
    with pytest.raises(start.StartError, match=f"^{re.escape(sentence)}$"):
        start.ready()


def test_without_its_package_zerogpu_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(settings, "ZERO", True)
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(start.StartError, match=r"^ZeroGPU needs one more package in requirements\.txt: spaces$"):
        start.ready()


def test_behind_a_proxy_and_a_login_the_page_says_where_it_is_and_to_whom():
    demo = page.build(Fake())
    url = page.launch(demo, host="127.0.0.1", port=None, root_path="/guidance", auth=("me", "secret"), quiet=True)
    try:
        assert httpx.get(f"{url}config").status_code == 401
        assert httpx.post(f"{url}gradio_api/call/color", json={"data": []}).status_code == 401
        cookies = httpx.post(f"{url}login", data={"username": "me", "password": "secret"}).cookies
        assert httpx.get(f"{url}config", cookies=cookies).json()["root"].endswith("/guidance")
    finally:
        demo.close()


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "app.py", "--port", port], cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert done.stderr.strip().splitlines()[-1] == (
        f"guidance: The page cannot listen on 127.0.0.1, port {port}: choose others with --host and --port."
    )


def test_a_page_that_cannot_reach_itself_says_so():
    code = """
from guidance.ui import app, page
page.gr.Blocks.launch = lambda self, **options: exec("raise ValueError('When localhost is not accessible')")
app.main([])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("guidance: The page does not answer on this machine: is a")


def test_a_share_link_that_cannot_be_had_leaves_the_local_page(tmp_path):
    # 127.0.0.1:9 answers nobody, as when there is no network.
    offline = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    code = "from guidance.ui import app, page; page.gr.Blocks.block_thread = lambda self: None; app.main(['--share'])"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | offline | {"PYTHONPATH": str(ROOT), "GUIDANCE_PORT": port},
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    sentence = f"There is no public link: Gradio's servers cannot be reached. The page goes on at http://127.0.0.1:{port}/"
    assert sentence in done.stderr
    assert done.returncode == 0


def test_the_page_begins_with_the_model_and_the_clip_it_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "MODEL", str(tmp_path))
    monkeypatch.setattr(settings, "CLIP", "ViT-B-32/openai")
    values = [block.value for block in page.build(Fake()).blocks.values() if isinstance(block, gr.Dropdown)]
    own = [kind for kind in guides.every().values() if kind.alone and "model" in form(kind)]
    assert values.count(str(tmp_path)) == len(own) + 1 == 4  # and on the Blend tab
    assert values.count("ViT-B-32/openai") == 1
    controls.offered(str(tmp_path))


def test_variables_are_switches_as_people_write_them(monkeypatch):
    for text, on in {"1": True, "yes": True, "true": True, "0": False, "off": False, "False": False, "": False}.items():
        monkeypatch.setenv("GUIDANCE_TEST", text)
        assert settings.switch("GUIDANCE_TEST") is on
