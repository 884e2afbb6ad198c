"""The Hub, as a server on this machine plays it to huggingface_hub: what is fetched, and each way it fails."""

import hashlib
import json
import os
import threading
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from diffusers import DDPMPipeline, DDPMScheduler
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, IncompleteSnapshotError, RepositoryNotFoundError

from guidance import ColorRecipe, generate, progress
from guidance.engine import OTHER_WEIGHTS, changed, fingerprint
from guidance.models import catalogue, hub
from guidance.models.device import ModelError
from guidance.models.loading import open_model
from guidance.ui.runs.jobs import Jobs
from guidance.ui.runs.task import Task
from tests.exact import tiny_unet
from tests.test_programs import wait_until

COMMIT = "0123456789" * 4


class Hub(BaseHTTPRequestHandler):
    """Serves one folder as the repository tests/model, and what is wrong with others."""

    folder, asked, cut = None, [], 0  # where, the files asked for, the bytes after which a download breaks off
    hangs, go = "", threading.Event()  # in which part of a path, and until when, the connection says nothing more
    wrong = {
        "gated": (403, "GatedRepo"), "missing": (404, "RepoNotFound"), "private": (401, "RepoNotFound"),
        "broken": (500, ""),
    }  # fmt: skip

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path, _, _ = self.path.partition("?")
        for name, (status, code) in self.wrong.items():
            if f"tests/{name}" in path:
                return self.answer(status, b"", {"X-Error-Code": code})
        if "nowhere" in path:
            return self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        files = [file for file in self.folder.rglob("*") if file.is_file()]
        names = {str(file.relative_to(self.folder)): file for file in files}
        if "/tree/" in path:
            rows = [{"type": "file", "path": name, "size": file.stat().st_size, "oid": hashlib.sha1(name.encode())
                     .hexdigest()} for name, file in names.items()]  # fmt: skip
            return self.answer(200, json.dumps(rows).encode())
        if path.startswith("/api/"):
            facts = {"id": "tests/model", "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
            return self.answer(200, json.dumps(facts).encode())
        name = path.split(f"/resolve/{COMMIT}/")[1]
        if self.command == "GET":
            self.asked.append(name)
        tag = hashlib.sha1(name.encode()).hexdigest()
        return self.answer(200, names[name].read_bytes(), {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT}, self.cut)

    def answer(self, status, body, headers=(), cut=0):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        hung = self.hangs and self.hangs in self.path and self.command == "GET"
        cut = len(body) // 2 if hung else cut
        if self.command == "GET":
            self.wfile.write(body[:cut] if cut and len(body) > cut else body)
        if hung:
            self.go.wait(60)
        if cut:
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The folder that the Hub serves, a cache of its own, and no proxy on the way."""
    for name in list(os.environ):
        if name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = tmp_path / "served"
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name, value in {"folder": folder, "asked": [], "cut": 0, "hangs": "", "go": threading.Event()}.items():
        monkeypatch.setattr(Hub, name, value)
    DDPMPipeline(tiny_unet(), DDPMScheduler()).save_pretrained(folder)
    yield folder
    Hub.go.set()
    server.shutdown()
    server.server_close()


def test_a_repository_is_fetched_once_and_only_what_is_needed(served, monkeypatch):
    (served / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle that nobody asked for")
    (served / "picture.png").write_bytes(b"nor this")
    recipe = ColorRecipe(model="tests/model", steps=2, weights="0123456789ab")
    assert fingerprint(recipe) == changed(recipe) == ""  # nothing is here to compare with, and nothing is asked for
    assert not Hub.asked
    *_, last = generate(recipe)
    assert last.x0.isfinite().all()
    assert last.weights == fingerprint(recipe) and changed(recipe) == OTHER_WEIGHTS
    assert sorted(Hub.asked) == ["model_index.json", "scheduler/scheduler_config.json", "unet/config.json",
                                 "unet/diffusion_pytorch_model.safetensors"]  # fmt: skip
    monkeypatch.setattr(hub, "online", lambda: False)
    assert open_model("tests/model").channels == 3  # from the cache


def test_a_pickle_is_fetched_where_there_is_nothing_else(served):
    DDPMPipeline(tiny_unet(), DDPMScheduler()).save_pretrained(served, safe_serialization=False)
    (served / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    open_model("tests/model@main")
    assert "unet/diffusion_pytorch_model.bin" in Hub.asked


def test_of_each_group_the_first_is_fetched(served):
    names = ["vae/config.json", "vae/a.safetensors", "vae/a.bin", "text_encoder/b.bin", "unet/a.fp16.safetensors"]
    for name in names:
        (served / name).parent.mkdir(exist_ok=True)
        (served / name).write_text(name)
    groups = [[f"{part}.safetensors", f"{part}.bin"] for part in ("vae/a", "text_encoder/b")]
    hub.fetch("tests/model", ["vae/config.json"], groups)
    assert sorted(Hub.asked) == ["text_encoder/b.bin", "vae/a.safetensors", "vae/config.json"]


def test_what_is_no_such_model_is_refused_before_its_weights_are_fetched(served):
    path = served / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"_class_name": "Transformer2DModel"}))
    with pytest.raises(ModelError, match="is no diffusers model"):
        open_model("tests/model")
    assert not any("safetensors" in name for name in Hub.asked)


@pytest.mark.parametrize(
    ("source", "sentence", "cause"),
    [
        ("tests/gated", "tests/gated is gated: accept its terms on the Hub", GatedRepoError),
        ("tests/missing", "There is no model tests/missing on the Hub, or it is private", RepositoryNotFoundError),
        ("tests/private", "There is no model tests/private on the Hub, or it is private", RepositoryNotFoundError),
        ("tests/model@nowhere", "tests/model has no revision of that name", Exception),
        ("tests/broken", "cannot be reached|was interrupted", Exception),
    ],
)  # fmt: skip
def test_each_way_the_hub_refuses_has_its_sentence(served, source, sentence, cause):
    with pytest.raises(ModelError, match=sentence) as error:
        open_model(source)
    assert isinstance(error.value.__cause__, cause)
    assert len(list(generate(ColorRecipe(steps=1)))) == 1  # what is there goes on working


def test_an_interrupted_download_says_so_and_goes_on(served, monkeypatch):
    monkeypatch.setattr(Hub, "cut", 3000)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the client's own attempts
    with pytest.raises(ModelError, match="The download of tests/model was interrupted: try again, and it goes on"):
        open_model("tests/model")
    monkeypatch.setattr(Hub, "cut", 0)
    assert open_model("tests/model").channels == 3


@pytest.mark.parametrize("hangs", ["/api/", "config.json", ".safetensors"])
def test_a_download_that_stands_still_ends_in_a_sentence_and_in_no_model(served, monkeypatch, hangs):
    monkeypatch.setattr(Hub, "hangs", hangs)
    with monkeypatch.context() as patch:
        patch.setattr(hub, "STILL", 0.5)
        with pytest.raises(ModelError, match="The download of tests/model was interrupted: try again, and it goes on"):
            open_model("tests/model")
        patch.setattr(hub, "online", lambda: False)
        with pytest.raises(ModelError, match="tests/model is not on this machine"):
            open_model("tests/model")
    monkeypatch.setattr(Hub, "hangs", "")
    Hub.go.set()
    assert open_model("tests/model").channels == 3


class Loading(Task):
    """A run that only loads a model."""

    def go(self):
        yield self.status("done", catalogue.get("tests/model").fingerprint)

    def end(self, begun):
        return self.status("stopped", "Stopped.")


def test_runs_that_wait_for_a_download_that_hangs_can_be_stopped(served, monkeypatch):
    monkeypatch.setattr(Hub, "hangs", ".safetensors")
    monkeypatch.setattr("guidance.ui.runs.jobs.GRACE", 600)
    monkeypatch.setattr(catalogue.cache, "things", OrderedDict())
    jobs = Jobs()
    first, second = (jobs.start(Loading(str)) for _ in range(2))
    wait_until(lambda: any("safetensors" in name for name in Hub.asked) and second.state == "running")
    for job in (second, first):
        jobs.stop(job.key)
        wait_until(lambda job=job: job.state == "over")
        assert "Stopped." in job.shown["status"][1]
    monkeypatch.setattr(Hub, "hangs", "")
    Hub.go.set()
    third = jobs.start(Loading(str))
    wait_until(lambda: third.state == "over")
    assert fingerprint(ColorRecipe(model="tests/model")) in third.shown["status"][1]


def test_without_the_hub_half_a_download_is_not_taken_for_a_model(served, monkeypatch):
    hub.fetch("tests/model", ["unet/config.json"])
    monkeypatch.setattr(hub, "online", lambda: False)
    with pytest.raises(ModelError, match="tests/model is not on this machine, and the Hub cannot be reached") as error:
        open_model("tests/model")
    assert isinstance(error.value.__cause__, IncompleteSnapshotError)


class Disabled(hub.tqdm):
    """A bar as it is where TQDM_DISABLE was set when Python began."""

    def __init__(self, *args, disable=True, **options):
        super().__init__(*args, disable=disable, **options)


@pytest.mark.parametrize("shown", [True, False])
def test_a_download_tells_how_far_it_is(served, monkeypatch, capsys, shown):
    if not shown:
        monkeypatch.setattr(hub, "tqdm", Disabled)
        monkeypatch.setenv("TQDM_DISABLE", "1")
    told, note = [], progress.downloaded
    monkeypatch.setattr(progress, "downloaded", lambda *args: (note(*args), told.append(progress.doing())))
    assert progress.doing() == ""
    with progress.loading("tests/model"):
        assert progress.doing() == "Loading tests/model"
        open_model("tests/model")
    size = (served / "unet" / "diffusion_pytorch_model.safetensors").stat().st_size
    assert any(text.startswith("Downloading tests/model: ") for text in told)
    assert told[-1].split()[-2] == f"{size / 1e6:.0f}"
    assert progress.doing() == ""
    assert ("Download complete" in capsys.readouterr().err) == (not os.environ.get("TQDM_DISABLE"))
