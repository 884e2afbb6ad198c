"""Who listens: a run that nobody hears of any more need not go on, and nothing is said to nobody."""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

from gradio.context import LocalContext
from starlette.types import Message, Scope, Send

STUCK = 10.0  # seconds after which whoever does not take what is sent does not listen
CALL = re.compile(r"/gradio_api/call/.+/(\w+)/?")


class Stream:
    """A connection over which a visitor is told what happens."""

    def __init__(self, send: Send):
        self.to, self.since = send, 0.0

    async def send(self, message: Message) -> None:
        """Send, and know how long that takes: the server waits where a visitor reads slowly."""
        self.since = time.monotonic()
        await self.to(message)
        self.since = 0.0

    @property
    def taken(self) -> bool:
        """Whether what is sent is taken."""
        return not self.since or time.monotonic() - self.since < STUCK


streams: defaultdict[str, list[Stream]] = defaultdict(list)  # those that are open, by session or event


def key(scope: Scope) -> str:
    """The session or the event that a request listens to, if it does."""
    if scope["method"] != "GET":
        return ""
    if found := CALL.search(scope["path"]):
        return found[1]
    asked = parse_qs(scope["query_string"].decode("latin-1")) if "/queue/data" in scope["path"] else {}
    return asked.get("session_hash", [""])[0]


@contextmanager
def opened(scope: Scope, send: Send) -> Iterator[Send]:
    """`send` of a request, written down as long as it is open."""
    if not (name := key(scope)):
        yield send
        return
    stream = Stream(send)
    streams[name].append(stream)
    try:
        yield stream.send
    finally:
        streams[name].remove(stream)
        if not streams[name]:
            del streams[name]


def listener() -> Callable[[], bool]:
    """What tells whether whoever asked for what is being done listens; the server itself always does."""
    request, event = LocalContext.request.get(None), LocalContext.event_id.get(None)
    if request is None:
        return lambda: True
    names = (event, request.session_hash)
    return lambda: any(stream.taken for name in names if name in streams for stream in streams[name])
