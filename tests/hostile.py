"""Requests that nobody sends by mistake: a recorded list for every route, and values for every endpoint."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

VALUES = {
    "nothing": None,
    "nan": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "huge": 10**400,
    "exponent": 1e308,
    "negative": -1,
    "true": True,
    "long": "a" * 500_000,
    "too long": "9" * 1_000_000,
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "control": "\x00\x1b[2J\r\nSet-Cookie: a=b\x7f",
    "surrogate": "\ud800",
    "direction": "\u202egnp.exe",
    "path": "../../../../etc/passwd",
    "absolute": "/etc/passwd",
    "home": "~root",
    "file url": "file:///etc/passwd",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "template": "{{7*7}}${7*7}%s%n{0.__class__}",
    "sql": "'; DROP TABLE users; --",
    "list": [1, [2, [3]]],
    "dict": {"__type__": "update", "value": "x"},
    "deep": json.loads("[" * 200 + "]" * 200),
}
FILES = {  # that nobody has uploaded, as Gradio's clients name those that somebody has
    "file": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    "file up": {"path": "../../../etc/passwd", "meta": {"_type": "gradio.FileData"}},
    "file null": {"path": "/tmp/gradio/\x00", "meta": {"_type": "gradio.FileData"}},
    "file url field": {"path": "x", "url": "http://127.0.0.1:1/x", "meta": {"_type": "gradio.FileData"}},
    "file metadata": {
        "path": "http://169.254.169.254/latest/",
        "url": "http://169.254.169.254/", "meta": {"_type": "gradio.FileData"},
    },
    "stream": {"path": "/etc/passwd", "is_stream": True, "meta": {"_type": "gradio.FileData"}},
}  # fmt: skip
BODIES = {
    "empty": b"",
    "no json": b"{",
    "no object": b"[]",
    "null": b"null",
    "text": b'"data"',
    "bytes": bytes(range(256)),
    "deep": b"[" * 100_000,
    "no data": b"{}",
    "data null": b'{"data": null}',
    "data text": b'{"data": "x"}',
    "data dict": b'{"data": {"0": "x"}}',
    "too few": b'{"data": []}',
    "too many": b'{"data": [%s0]}' % (b"0," * 1000),
    "session number": b'{"data": [], "session_hash": 5}',
    "session list": b'{"data": [], "session_hash": []}',
    "session path": b'{"data": [], "session_hash": "../../etc", "fn_index": 0}',
    "fn text": b'{"data": [], "session_hash": "s", "fn_index": "x"}',
    "fn unknown": b'{"data": [], "session_hash": "s", "fn_index": 99999}',
    "fn negative": b'{"data": [], "session_hash": "s", "fn_index": -1}',
    "fn huge": b'{"data": [], "session_hash": "s", "fn_index": 1e400}',
    "event": b'{"data": [], "session_hash": "s", "fn_index": 0, "event_id": "x", "event_data": "y", "trigger_id": -5}',
    "twice": b'{"data": [], "data": [1], "fn_index": 0, "fn_index": 1, "session_hash": "s"}',
    "batched": b'{"data": [], "batched": true, "fn_index": 0, "session_hash": "s"}',
    "over the limit": b'{"data": ["' + b"a" * 1_100_000 + b'"]}',
}
POSTS = (
    "queue/join", "run/predict", "api/predict", "run/color", "call/color", "call/clip", "call/digits", "call/v2/color",
    "call/paint", "call/none", "call/v2/none", "call/%2e%2e", "cancel", "reset", "upload", "component_server",
    "process_recording", "stream/x", "vibe-edit", "mcp", "none",
)  # fmt: skip
PATHS = (
    "gradio_api/file=/etc/passwd", "gradio_api/file=../../etc/passwd", "gradio_api/file=..%2f..%2fetc%2fpasswd",
    "gradio_api/file=app.py", "gradio_api/file=README.md", "gradio_api/file=.git/config", "gradio_api/file=%00",
    "gradio_api/file=//etc/passwd", "gradio_api/file=~/.ssh/id_rsa", "gradio_api/file=/proc/self/environ",
    "gradio_api/file=" + "a" * 5000, "gradio_api/file=file:///etc/passwd", "gradio_api/file=http://127.0.0.1:1/",
    "gradio_api/file=http://169.254.169.254/latest/meta-data/", "gradio_api/file=http://[::1]:1/",
    "gradio_api/file=https://", "gradio_api/file=", "gradio_api/file=/tmp/gradio", "gradio_api/file/etc/passwd",
    "gradio_api/proxy=http://127.0.0.1:1/", "gradio_api/proxy=http://169.254.169.254/", "gradio_api/proxy=x",
    "static/../../../etc/passwd", "static/%2e%2e/%2e%2e/etc/passwd", "assets/%2e%2e/%2e%2e/etc/passwd", "static/%00",
    "gradio_api/custom_component/x/y/z/w", "gradio_api/custom_component/0/client/component/../../x",
    "svelte/../../etc/passwd", "gradio_api/stream/a/b/0/playlist.m3u8", "gradio_api/stream/a/0/0/playlist.m3u8",
    "gradio_api/stream/a/0/0/playlist-file", "gradio_api/stream/a/0/0/x.ts",
    "gradio_api/queue/data?session_hash=none", "gradio_api/queue/data", "gradio_api/call/color/none",
    "gradio_api/call/none/none", "gradio_api/upload_progress?upload_id=none", "gradio_api/queue/status",
    "gradio_api/deep_link", "gradio_api/deep_link?session_hash=none", "?deep_link=../../etc/passwd",
    "?__theme=<script>",
    "gradio_api/info?all_endpoints=x", "gradio_api/openapi.json", "gradio_api/user", "gradio_api/token",
    "gradio_api/app_id", "gradio_api/vibe-code", "gradio_api/runs", "runs",
    "gradio_api/run-history/records", "monitoring", "monitoring/summary", "monitoring/%00", "theme.css", "robots.txt",
    "manifest.json", "pwa_icon/9999999999", "pwa_icon/x", "login", "logout", "login_check", "gradio_api/login_check",
    "docs", "redoc", "openapi.json", "config", "none", "%ff", "%0d%0aSet-Cookie:a=b", "gradio_api/mcp",
)  # fmt: skip
HEADERS = {
    "long": {"x-long": "a" * 50_000},
    "host": {"host": "evil.example\\@x"},
    "forwarded": {"x-forwarded-for": "a" * 1000, "x-forwarded-proto": "javascript", "x-forwarded-host": "<script>"},
    "range": {"range": "bytes=9-1,-5,x"},
    "origin": {"origin": "null", "cookie": "access-token=x; \x01=y"},
    "type": {"content-type": "multipart/form-data; boundary="},
    "encoding": {"content-encoding": "gzip", "accept": "*/*;q=nan"},
}


CLIENT = httpx.Client(timeout=60)  # one for all: a new one reads the machine's certificates


@dataclass(frozen=True)
class Hostile:
    """One request; `follow` also waits for what the queue answers."""

    name: str
    path: str
    method: str = "POST"
    body: bytes | None = None
    headers: dict = field(default_factory=dict, hash=False)
    follow: bool = False

    def send(self, url: str) -> tuple[int, str, str]:
        """The status, the answer and its type; of a stream, what comes until it ends."""
        head = {"content-type": "application/json"} | self.headers if self.method == "POST" else self.headers
        request = CLIENT.build_request(self.method, url, content=self.body, headers=head)
        request.url = request.url.copy_with(raw_path=f"/{self.path}".encode())
        answer = CLIENT.send(request)
        text = answer.text
        if self.follow and answer.status_code == 200:
            event = answer.json()["event_id"]
            text += CLIENT.get(f"{url}gradio_api/{self.path.removeprefix('gradio_api/')}/{event}").text
        return answer.status_code, text, answer.headers.get("content-type", "")


def described(url: str) -> dict[str, list[dict]]:
    """The parameters of each endpoint, as the page describes them."""
    endpoints = CLIENT.get(f"{url}gradio_api/info").json()["named_endpoints"]
    return {path.strip("/"): endpoint["parameters"] for path, endpoint in endpoints.items()}


def with_value(value: object, endpoint: str, parameters: list[dict]) -> Iterator[Hostile]:
    """Calls with a value in the first place, in one that is a number, and in all; the rest stands at its defaults."""
    places = range(len(parameters))
    number = [k for k in places if parameters[k]["type"].get("type") in ("number", "integer")][:1]
    for chosen in ([0], number, places) if number else ([0],):
        data = [value if k in chosen else parameters[k]["parameter_default"] for k in places]
        yield Hostile(endpoint, f"gradio_api/call/{endpoint}", body=json.dumps({"data": data}).encode(), follow=True)


REQUESTS = [
    *(Hostile(f"{post}-{name}", f"gradio_api/{post}", body=body) for post in POSTS for name, body in BODIES.items()),
    *(Hostile(f"get-{path[:60]}", path, "GET") for path in PATHS),
    *(Hostile(f"{method}-{path}", path, method) for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "HEAD")
      for path in ("", "gradio_api/queue/join", "gradio_api/file=/etc/passwd", "config")),
    *(Hostile(f"header-{name}-{path}", path, method, b"{}" if method == "POST" else None, headers)
      for name, headers in HEADERS.items()
      for method, path in (("GET", ""), ("GET", "config"), ("POST", "gradio_api/queue/join"),
                           ("POST", "gradio_api/upload"), ("POST", "gradio_api/component_server"))),
]  # fmt: skip
