"""What a public page answers to requests that are not made as it wants them, and what it does not do for them."""

import base64
import gc
import io
import itertools
import json
import os
import re
import shutil
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from guidance import guides, settings
from guidance.codec import UNKEPT, UNREADABLE
from guidance.recipe import ColorRecipe, from_json, to_json
from guidance.ui import page, recall
from guidance.ui.html import words
from guidance.ui.server import limits
from guidance.ui.tabs import guide
from tests.fake import COLOUR, LISTED, Fake
from tests.hostile import CLIENT, described

PICTURE = {"path": "x.png", "meta": {"_type": "gradio.FileData"}}
VALUES = "This endpoint takes so many values, in this order: {}."
NAMES = "This endpoint takes these values: {}."
NO_FILE = "A file stands where a word or a number belongs."
NOT_UPLOADED = "A picture must be uploaded here first: no address and no path is followed."
NOT_UNDERSTOOD = "This request was not understood: it must be JSON as the page's own description has it."


@pytest.fixture(scope="module")
def compute() -> Fake:
    """What the page paints with."""
    return Fake()


@pytest.fixture(scope="module")
def demo(compute, tmp_path_factory) -> Iterator[page.gr.Blocks]:
    """A public page with no limit on how often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        patch.setattr(settings, "PUBLIC", True)
        patch.setattr(settings, "RATE", 0)
        patch.setattr(page, "POSTS", 0)
        demo = page.build(compute)
        page.launch(demo, host="127.0.0.1", port=None, quiet=True)
        yield demo
        demo.close()


@pytest.fixture(scope="module")
def url(demo) -> str:
    """Where it is served."""
    return demo.local_url


def called(url: str, endpoint: str, data: list) -> str:
    """What a call of an endpoint comes to: its last event, and what that says."""
    event = CLIENT.post(f"{url}gradio_api/call/{endpoint}", json={"data": data}).json()["event_id"]
    text = CLIENT.get(f"{url}gradio_api/call/{endpoint}/{event}").text
    kind, said = re.findall(r"event: (complete|error)\ndata: (.*)", text)[-1]
    return json.loads(said)["error"] if kind == "error" else kind


def defaults(url: str, endpoint: str) -> list:
    """The values that an endpoint takes when it is told nothing."""
    return [parameter.get("parameter_default", "{}") for parameter in described(url)[endpoint]]


def event(demo, name: str) -> int:
    """The number of the page's first event with a function of this name."""
    return next(fn._id for fn in demo.fns.values() if fn.name == name)


@pytest.mark.parametrize("endpoint", [*map(guides.endpoint, guides.own().values()), "paint"])
def test_too_few_or_too_many_values_are_told_which_there_are(url, compute, endpoint):
    values, before = defaults(url, endpoint), len(compute.asked)
    names = ", ".join(parameter["parameter_name"] for parameter in described(url)[endpoint])
    for data in ([], values[:-1], [*values, 0], values * 50):
        said = called(url, endpoint, data)
        assert said == VALUES.format(names)
        assert words.chinese(said) != said
    assert len(compute.asked) == before


@pytest.mark.parametrize("values", [{"colour": "red"}, {"color": "red", "0": 1}])
def test_unknown_names_are_told_which_there_are(url, values):
    answer = CLIENT.post(f"{url}gradio_api/call/v2/color", json=values)
    names = ", ".join(parameter["parameter_name"] for parameter in described(url)["color"])
    assert (answer.status_code, answer.json()) == (400, {"detail": NAMES.format(names)})
    missing = CLIENT.post(f"{url}gradio_api/call/v2/paint", json={})
    assert (missing.status_code, missing.json()) == (400, {"detail": NAMES.format("recipe")})


def test_a_file_where_a_word_belongs_is_answered_by_a_sentence(url):
    for path in ("/etc/passwd", "http://127.0.0.1:1/x", "../x", "\x00"):
        for k in range(2):
            data = defaults(url, "color")
            data[k] = PICTURE | {"path": path}
            assert called(url, "color", data) == NO_FILE
    assert words.chinese(NO_FILE) != NO_FILE


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"{}", b'{"data": null}', b'{"data": {"0": "x"}}'])
@pytest.mark.parametrize("route", ["queue/join", "call/color", "run/predict"])
def test_a_malformed_body_is_answered_by_a_sentence(url, route, body):
    answer = CLIENT.post(f"{url}gradio_api/{route}", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (422, {"detail": NOT_UNDERSTOOD})
    assert words.chinese(NOT_UNDERSTOOD) != NOT_UNDERSTOOD


@pytest.mark.parametrize(
    "file",
    [
        {"path": "http://picture.example/x.png"}, {"path": "https://picture.example"}, {"path": "/etc/passwd"},
        {"path": "x", "url": "http://picture.example/x.png"}, {"path": "HTTP://picture.example/x.png"},
    ],
)  # fmt: skip
def test_nothing_that_is_typed_makes_the_server_ask_for_a_host(url, demo, monkeypatch, file):
    asked, lookup = [], socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: asked.append(host) or lookup(host, *rest))
    file |= {"meta": {"_type": "gradio.FileData"}}
    body = {"data": [file], "fn_index": event(demo, "packed"), "session_hash": "host"}
    assert CLIENT.post(f"{url}gradio_api/queue/join", json=body).status_code == 200
    text = CLIENT.get(f"{url}gradio_api/queue/data", params={"session_hash": "host"}).text
    assert NOT_UPLOADED in text
    for path in ("file=http://picture.example/x.png", "file=HTTPS://picture.example", "proxy=http://picture.example/"):
        assert CLIENT.get(f"{url}gradio_api/{path}").status_code == 404
    assert not [host for host in asked if host and "example" in str(host)]


def test_a_broken_picture_is_answered_in_the_status_line(url, demo):
    files = CLIENT.post(f"{url}gradio_api/upload", files={"files": ("a.png", b"\x89PNG\r\n\x1a\n broken")}).json()
    body = {"data": [PICTURE | {"path": files[0], "orig_name": "a.png"}], "fn_index": event(demo, "packed")}
    CLIENT.post(f"{url}gradio_api/queue/join", json=body | {"session_hash": "broken"})
    text = CLIENT.get(f"{url}gradio_api/queue/data", params={"session_hash": "broken"}).text
    assert UNREADABLE in text


def folder_of(demo) -> set:
    """What lies in the folder of uploads."""
    return {path for path in Path(demo.GRADIO_CACHE).rglob("*") if path.is_file()}


def test_a_request_uploads_one_file_s_worth_however_many_files_it_has(url, demo):
    before = folder_of(demo)
    many = [("files", (f"{k}.png", bytes([k]) * 700_000)) for k in range(8)]
    answer = CLIENT.post(f"{url}gradio_api/upload", files=many)
    assert (answer.status_code, answer.json()) == (413, {"detail": "A request may have at most 5,000,000 bytes."})
    unsaid = CLIENT.post(f"{url}gradio_api/upload", content=iter([b"x" * 1000] * 6000),
                         headers={"content-type": "multipart/form-data; boundary=x"})  # fmt: skip
    assert unsaid.status_code == 413
    assert folder_of(demo) == before
    assert CLIENT.post(f"{url}gradio_api/upload", files=many[:2]).status_code == 200
    assert len(folder_of(demo)) == len(before) + 2


def test_an_upload_that_breaks_off_leaves_nothing(url, demo):
    before, host = folder_of(demo), httpx.URL(url)
    head = "POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nContent-Type: "
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + b"a" * 50_000
    with socket.create_connection((host.host, host.port)) as line:
        line.sendall(f"{head}multipart/form-data; boundary=x\r\n\r\n".encode() + part)
    assert CLIENT.get(f"{url}config").status_code == 200
    assert folder_of(demo) == before


def test_one_s_own_page_takes_many_pictures_to_learn_from(monkeypatch):
    monkeypatch.setattr(settings, "PUBLIC", False)
    demo = page.build(Fake())
    url = page.launch(demo, host="127.0.0.1", port=None, quiet=True)
    try:
        many = [("files", (f"{k}.png", bytes([k]) * 700_000)) for k in range(8)]
        assert CLIENT.post(f"{url}gradio_api/upload", files=many).status_code == 200
    finally:
        demo.close()


@pytest.mark.parametrize("name", ["dropped", "recalled"])
def test_of_many_recipes_at_once_no_more_are_made_than_there_are_tabs(url, demo, monkeypatch, name):
    made = []
    monkeypatch.setattr(recall, "from_json", lambda *given, **more: made.append(given) or from_json(*given, **more))
    texts = json.dumps([to_json(ColorRecipe())] * 100)
    data = {"data": [texts]} if name == "recalled" else {"data": [], "event_data": {"recipes": texts}}
    answer = CLIENT.post(f"{url}gradio_api/run/predict", json=data | {"fn_index": event(demo, name)})
    assert answer.status_code == 200
    assert len(made) == sum(fn.name == "begin" for fn in demo.fns.values()) < 100


@pytest.mark.parametrize("given", [
    None, "x", [1], {"recipes": 5}, {"recipes": "x"}, {"recipes": "5"}, {"index": 99}, {"index": "1"}, {"index": -1},
    {"seed": 1e400}, {"seed": -1},
])  # fmt: skip
def test_an_event_that_says_what_no_page_says_is_refused_and_leaves_no_trace_in_the_log(url, demo, caplog, given):
    for name in ("dropped", "example", "use_seed"):
        body = {"fn_index": event(demo, name), "data": [], "event_data": given, "session_hash": "events"}
        answer = CLIENT.post(f"{url}gradio_api/run/predict", content=json.dumps(body),
                             headers={"content-type": "application/json"})  # fmt: skip
        assert "This request was not understood" in answer.text
        assert answer.status_code == (200 if name == "dropped" else 400)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("cards", [None, 1.5, [1], "x", "5", "[" * 10_000])
def test_cards_that_no_page_keeps_are_refused_and_leave_no_trace_in_the_log(url, demo, caplog, cards):
    fn = demo.fns[event(demo, "joined")]
    data = [cards, *(getattr(component, "value", None) for component in fn.inputs[1:])]
    answer = CLIENT.post(f"{url}gradio_api/run/predict", json={"fn_index": fn._id, "data": data})
    assert answer.status_code == 200 and "This request was not understood" in answer.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_whatever_opens_a_picture_stands_in_the_queue(url, demo):
    opening = [fn for fn in demo.fns.values() if fn.name in ("packed", "unpacked")]
    assert opening and all(fn.queue for fn in opening)
    # Thirty kilobytes that would be 176 million pixels.
    data, big = io.BytesIO(), Image.new("1", (16_000, 11_000))
    big.save(data, "PNG")
    body = {"data": [base64.b64encode(data.getvalue()).decode()], "fn_index": event(demo, "unpacked")}
    assert CLIENT.post(f"{url}gradio_api/run/predict", json=body).status_code == 404
    tracemalloc.start()
    CLIENT.post(f"{url}gradio_api/queue/join", json=body | {"session_hash": "big"})
    text = CLIENT.get(f"{url}gradio_api/queue/data", params={"session_hash": "big"}).text
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert '"data":[null]' in text.replace(" ", "")
    assert peak < 30_000_000


def test_a_visitor_opens_one_picture_after_another(monkeypatch, tmp_path):
    begun, go = threading.Event(), threading.Event()
    monkeypatch.setattr(guide, "visitor", lambda: "someone")
    monkeypatch.setattr(guide, "pack", lambda path: begun.set() or str(go.wait(20)))
    first = ThreadPoolExecutor(1).submit(guide.packed, {"path": "a.png"}, None)
    assert begun.wait(20)
    packed, status = guide.packed({"path": "b.png"}, None)
    assert packed == "" and "One picture after another: the last one is still being opened." in status
    go.set()
    assert first.result(20)[0] == "True"
    assert guide.packed({"path": "b.png"}, None)[0] == "True"


def test_what_was_sent_is_not_kept(url, demo):
    data = ["a" * 900_000, *defaults(url, "color")[1:]]
    body = {"fn_index": event(demo, "unpacked"), "data": data[:1], "session_hash": "kept"}

    def send() -> None:
        assert called(url, "color", data) == COLOUR
        CLIENT.post(f"{url}gradio_api/queue/join", json=body)
        assert "process_completed" in CLIENT.get(f"{url}gradio_api/queue/data", params={"session_hash": "kept"}).text

    send()
    tracemalloc.start()
    for _ in range(10):
        send()
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 5_000_000  # of nine million that were sent


def test_no_other_route_of_gradio_s_is_open(url):
    for path in ("pwa_icon/20000", "gradio_api/deep_link?session_hash=x", "monitoring", "gradio_api/stream/a/b/0/x.ts"):
        assert CLIENT.get(f"{url}{path}").status_code == 404
    for path in ("component_server", "process_recording", "vibe-edit", "stream/x"):
        assert CLIENT.post(f"{url}gradio_api/{path}", json={}).status_code == 404


def test_a_clock_that_somebody_sets_harms_nothing(url, monkeypatch):
    real, asked = time.time, itertools.count()
    monkeypatch.setattr(time, "time", lambda: real() + (-86_400, 86_400, 0)[next(asked) % 3])
    for _ in range(5):
        assert called(url, "color", defaults(url, "color")) == "complete"
    assert next(asked) > 10  # by Gradio
    taken = limits.Allowance(2)
    assert [taken.take("me") > 0 for _ in range(4)] == [False, False, True, True]


def test_a_temporary_folder_that_is_gone_is_made_anew(url):
    for _ in range(2):
        assert called(url, "color", defaults(url, "color")) == "complete"
        files = [("files", ("a.png", b"x" * 2_000_000))]
        assert CLIENT.post(f"{url}gradio_api/upload", files=files).status_code == 200
        shutil.rmtree(os.environ["GRADIO_TEMP_DIR"])


def test_pictures_that_cannot_be_kept_are_told_in_a_sentence(url, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "file" / "folder"))
    assert called(url, "color", defaults(url, "color")) == UNKEPT
    assert words.chinese(UNKEPT) != UNKEPT


FOLDERS = ("/etc", "/nonexistent", "~nosuchuser", "~root", "relative", "..")


def test_strangers_get_one_answer_to_a_folder_and_none_is_looked_at(url, demo, monkeypatch):
    looked = []
    for look in ("is_dir", "expanduser", "exists", "stat"):
        asked = getattr(Path, look)
        monkeypatch.setattr(Path, look, lambda path, *more, asked=asked, **rest: looked.append(str(path)) or asked(
            path, *more, **rest))  # fmt: skip

    def sent(name: str, data: list, **more) -> str:
        body = {"fn_index": event(demo, name), "data": data, "session_hash": "folders"} | more
        text = CLIENT.post(f"{url}gradio_api/run/predict", json=body).text
        return re.sub(r'"(average_)?duration":[\d.e-]+', "", text)

    def pressed(**changes) -> str:
        fn = next(fn for fn in demo.fns.values() if fn.name == "begin")
        names = [fn.fn.__self__.names[component] for component in fn.inputs]
        values = dict(zip(names, (component.value for component in fn.inputs), strict=True)) | changes
        return sent("begin", list(values.values()))

    answers = set()
    for folder in FOLDERS:
        recipe = json.dumps({"guides": [{"guide": "color"}], "model": folder})
        old = json.dumps({"kind": "color", "model": folder})
        values = {one["parameter_name"]: one["parameter_default"] for one in described(url)["color"]}
        answers.add((
            called(url, "color", list((values | {"model": folder}).values())),
            called(url, "paint", [recipe]), called(url, "paint", [old]),
            sent("dropped", [], event_data={"recipes": json.dumps([recipe])}), sent("recalled", [json.dumps([recipe])]),
            sent("suit", [folder]), sent("plot", [folder, "ddim", 10, "constant", 0, 1]),
            pressed(model=folder), pressed(compare="grid", x="model", xs=f"{folder}; landscapes"),
            pressed(compare="grid", x="model", xs="someone/else; landscapes"),
        ))  # fmt: skip
    assert len(answers) == 1
    (one,) = answers
    assert one[:3] == (LISTED,) * 3
    assert all(LISTED in said for said in (one[3], *one[7:]))
    assert not [path for path in looked if path in FOLDERS]
