"""What stands before Gradio's routes: limits on what is sent and how often, and an answer where Gradio has none."""

import base64
import json
import logging
import re
import secrets
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guidance import settings
from guidance.ui.runs import heard
from guidance.ui.server.doors import NOT_UNDERSTOOD
from guidance.ui.server.limits import HEADER, SECRET, Allowance

log = logging.getLogger(__name__)
MAX_BODY = 1_000_000  # bytes; the largest that the page sends is a recipe with a picture inside
MAX_FILE = 5_000_000  # bytes of an upload, and of all that one request to a public page uploads
UPLOAD = "/gradio_api/upload"
UPLOAD_TOKENS = 10  # an upload lies on the disk for an hour
MCP = "/gradio_api/mcp"
UP = "/healthz"  # for whoever watches over the server
UNSAID = {500: 400, 422: 422}  # Gradio's statuses for what it cannot take, and ours
NAMED = re.compile(r"/gradio_api/call/v2/(\w+)")  # a call whose values go by their names
# What the page and its clients ask for. Gradio has more: it fetches files from other hosts, makes icons of any size,
# writes down the state of a session, and so on.
ROUTES = re.compile(
    r"/?|/(config|theme\.css|manifest\.json|favicon\.ico|robots\.txt|login|logout)/?"
    r"|/(static|assets|svelte)/.+|/gradio_api/((info|openapi\.json|startup-events|theme\.css|user|token|app_id|"
    r"login_check|upload|upload_progress|cancel|reset|queue/(join|data|status))/?|(run|api|call|heartbeat)/.+|"
    r"file=(?!https?:).+|mcp(/.*)?)", re.IGNORECASE,
)  # fmt: skip


class Gate:
    """ASGI middleware; `rate` is how many POSTs a visitor may send in a minute, and `uploads` how many bytes at once.

    0 is any number of either. `names` are those of the values of each endpoint, `texts` are pages of ours. Where there
    is an `account`, agents, and whoever asks for a text other than that the page is up, log in with each request.
    """

    def __init__(
        self, app: ASGIApp, rate: int = 0, uploads: int = 0, names: Mapping[str, list[str]] | None = None,
        texts: Mapping[str, Callable[[], str]] | None = None, account: tuple[str, str] | None = None,
    ):  # fmt: skip
        self.app, self.uploads, self.names, self.texts = app, uploads, names or {}, texts or {}
        self.login = b"Basic " + base64.b64encode(":".join(account).encode()) if account else None
        self.allowance = Allowance(rate) if rate else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            path = scope["path"].removeprefix(settings.ROOT_PATH)
            if self.login and path != UP and (path in self.texts or MCP in path):
                self.known(scope)
            if path in self.texts:
                return await answer(send, 200, self.texts[path]())
            if not ROUTES.fullmatch(path):
                raise Refused(404, "There is nothing here.")
            if scope["method"] == "POST":
                receive = await self.admitted(scope, receive)
        except Refused as refusal:
            return await answer(send, *refusal.args)
        with heard.opened(scope, send) as told:
            await self.answered(scope, receive, told)

    def known(self, scope: Scope) -> None:
        """Refused unless a request carries the account: agents have no cookies."""
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if not secrets.compare_digest(given, self.login):
            sentence = "This page asks for a login: send its user and password as HTTP's basic authentication."
            raise Refused(401, sentence, (b"www-authenticate", b'Basic realm="guidance"'))

    async def admitted(self, scope: Scope, receive: Receive) -> Receive:
        """The body of a POST that is neither too big nor one too many; Refused for the others."""
        upload = scope["path"].rstrip("/").endswith(UPLOAD)
        known = [value for name, value in scope["headers"] if name == HEADER.encode()]
        who = scope["client"][0] if scope.get("client") else "unknown"
        # A tool's call passes twice: once from the agent, once on its way to the queue.
        if not any(value.startswith(SECRET.encode() + b":") for value in known):
            scope["headers"] = [(name, value) for name, value in scope["headers"] if name != HEADER.encode()]
            if MCP in scope["path"]:
                scope["headers"].append((HEADER.encode(), f"{SECRET}:{who}".encode()))
            if self.allowance and (wait := self.allowance.take(who, UPLOAD_TOKENS if upload else 1)):
                sentence = f"These were too many requests; please go on in {wait} s."
                raise Refused(429, sentence, (b"retry-after", str(wait).encode()))
        # What is read to its end before Gradio sees it leaves no half of a file behind. One's own page learns from
        # hundreds of pictures.
        if upload and not self.uploads:
            return receive
        return await read_body(receive, self.uploads if upload else MAX_BODY)

    async def answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; where Gradio fails on it, say so in one sentence and keep the rest for the log."""
        state, sentence = "waiting", NOT_UNDERSTOOD
        if (named := NAMED.search(scope["path"])) and named[1] in self.names:
            sentence = f"This endpoint takes these values: {', '.join(self.names[named[1]])}."

        async def guarded(message: Message) -> None:
            nonlocal state
            if message["type"] == "http.response.start" and message["status"] in UNSAID:
                state = "over"
                return await answer(send, UNSAID[message["status"]], sentence)
            if state != "over":
                await send(message)
                more = message["type"] == "http.response.start" or message.get("more_body", False)
                state = "begun" if more else "over"

        try:
            await self.app(scope, receive, guarded)
        except Exception as error:
            log.info("A request was not understood: %s.", type(error).__name__)
            if state == "waiting":
                await answer(send, 400, sentence)
            elif state == "begun":  # a stream that breaks off
                await send({"type": "http.response.body", "body": b""})


class Refused(Exception):
    """A request that is not passed on; its arguments are those of the answer: status, sentence, headers."""


async def read_body(receive: Receive, most: int) -> Receive:
    """A body read to its end; Refused if it has over `most` bytes, or breaks off."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, NOT_UNDERSTOOD)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > most:
            raise Refused(413, f"A request may have at most {most:,} bytes.")
    body = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

    async def again() -> Message:
        return body.pop() if body else await receive()

    return again


async def answer(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    """A text, or where something is wrong a sentence as JSON, under the key that Gradio's clients read."""
    kind = b"text/plain; charset=utf-8" if status == 200 else b"application/json"
    body = text if status == 200 else json.dumps({"detail": text})
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *headers]})
    await send({"type": "http.response.body", "body": body.encode()})
