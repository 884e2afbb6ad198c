"""Generated requests at a page that is really served: python -m tests.battery [--requests 10000] [--seed 0].

Every request is made of the page's own description and followed to its end; so many are sent that `--requests` of them
arrive in a function of ours. Fails at a status over 500, a trace, a path of this machine, an answer that is not ours, a
request that takes over five seconds, or a connection to anywhere but this machine.
"""

import argparse
import collections
import json
import logging
import random
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import pytest

import guidance.engine  # noqa: F401  # torch is there before the first request
from guidance import settings
from guidance.ui import page
from guidance.ui.html import words
from guidance.ui.runs.task import WENT_WRONG
from guidance.ui.server.doors import Page
from tests.fake import Fake
from tests.hostile import CLIENT, FILES, VALUES, described

SECRETS = ("Traceback", 'File "', "site-packages", "root:x:", str(Path(__file__).parent.parent),
           str(Path(gr.__file__).parent), str(Path.home()) + "/")  # fmt: skip
LONGEST = 5.0  # seconds
EVENTS = (
    "begin", "dropped", "recalled", "suit", "ranged", "lead", "plot", "unpacked", "packed", "follow", "example",
    "joined", "use_seed", "stop",
)  # fmt: skip
SHORT = {name: value for name, value in VALUES.items() if "long" not in name}


class Battery:
    """A public page over a fake, and what has arrived in its functions."""

    def __init__(self, demo: gr.Blocks, url: str):
        self.demo, self.url, self.arrived, self.faults = demo, url, collections.Counter(), []
        self.parameters = described(url)
        self.events = [fn for fn in demo.fns.values() if fn.name in EVENTS and fn.api_visibility == "private"]

    def values(self, chance: random.Random, defaults: list) -> list:
        """Defaults, and hostile values in some of their places."""
        pool = [*(VALUES if chance.random() < 0.05 else SHORT).values(), *chance.sample([*FILES.values()], 1)]
        wrong = {chance.randrange(len(defaults)) for _ in range(chance.choice((1, 1, 2, 5)))} if defaults else set()
        made = [chance.choice(pool) if k in wrong else value for k, value in enumerate(defaults)]
        return made if chance.random() < 0.95 else [*made, *made[:2]]

    def call(self, chance: random.Random) -> tuple[int, str]:
        """Call an endpoint: the status, and what the event says in the end."""
        name = chance.choice([*self.parameters])
        data = self.values(chance, [one.get("parameter_default", "{}") for one in self.parameters[name]])
        answer = CLIENT.post(f"{self.url}gradio_api/call/{name}", content=json.dumps({"data": data}),
                             headers={"content-type": "application/json"})  # fmt: skip
        return self.followed(name, answer.status_code, answer.text)

    def followed(self, name: str, status: int, text: str) -> tuple[int, str]:
        """The status of a call of an endpoint, and what its event says in the end, if it has come to that."""
        if status != 200:
            return status, text
        text = CLIENT.get(f"{self.url}gradio_api/call/{name}/{json.loads(text)['event_id']}").text
        kind, said = re.findall(r"event: (complete|error)\ndata: (.*)", text)[-1]
        if kind == "error" and not ours(json.loads(said)["error"]):
            self.faults.append(f"{name}: not ours: {said[:200]}")
        return status, text

    def press(self, chance: random.Random) -> tuple[int, str]:
        """Do with the page what its script could not."""
        fn = chance.choice(self.events)
        data = self.values(chance, [getattr(component, "value", None) for component in fn.inputs])
        event = chance.choice([None, {"recipes": json.dumps(chance.sample([*SHORT], 2))}, {"index": 99}, "x"])
        body = {"fn_index": fn._id, "data": data, "session_hash": "battery", "event_data": event}
        route = "queue/join" if fn.queue else "run/predict"
        answer = CLIENT.post(f"{self.url}gradio_api/{route}", content=json.dumps(body),
                             headers={"content-type": "application/json"})  # fmt: skip
        if not fn.queue or answer.status_code != 200:
            return answer.status_code, answer.text
        return 200, CLIENT.get(f"{self.url}gradio_api/queue/data", params={"session_hash": "battery"}).text

    def send(self, chance: random.Random) -> None:
        """One request, and what is wrong with its answer."""
        self.judged(lambda: chance.choice((self.call, self.call, self.press))(chance))

    def judged(self, request: Callable[[], tuple[int, str]]) -> None:
        """A request that gives its status and its answer, and what is wrong with them."""
        began = time.monotonic()
        status, text = request()
        took = time.monotonic() - began
        if status >= 500 or took > LONGEST or WENT_WRONG in text or any(secret in text for secret in SECRETS):
            self.faults.append(f"{status} after {took:.1f} s: {text[:300]}")


def ours(said: object) -> bool:
    """Whether a sentence is the page's: what is has its Chinese."""
    return isinstance(said, str) and words.chinese(said) != said != WENT_WRONG


@contextmanager
def battery() -> Iterator[Battery]:
    """A battery, with every connection counted that is not to this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PUBLIC": True, "RATE": 0}.items():
            patch.setattr(settings, name, value)
        patch.setattr(page, "POSTS", 0)
        demo = page.build(Fake())
        made = Battery(demo, page.launch(demo, host="127.0.0.1", port=None, quiet=True))
        trouble = logging.Handler(logging.ERROR)
        trouble.emit = lambda record: made.faults.append(f"in the log: {record.getMessage()} {record.exc_info}")
        logging.getLogger("guidance").addHandler(trouble)
        call, lookup, connect = Page.call_function, socket.getaddrinfo, socket.socket.connect

        async def counted(self: Page, fn, *more: object, **others: object) -> dict:
            if not others.get("iterator") and not (more[1:] and more[1]):  # a generator's first time
                made.arrived[fn.api_name or fn.name] += 1
            return await call(self, fn, *more, **others)

        def asked(host: object, *more: object, **others: object) -> list:
            if host not in ("127.0.0.1", "localhost", None):
                made.faults.append(f"a look-up: {host}")
            return lookup(host, *more, **others)

        def connected(self: socket.socket, address: object) -> None:
            if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
                made.faults.append(f"a connection: {address}")
            connect(self, address)

        patch.setattr(Page, "call_function", counted)
        patch.setattr(socket, "getaddrinfo", asked)
        patch.setattr(socket.socket, "connect", connected)
        yield made
        logging.getLogger("guidance").removeHandler(trouble)
        demo.close()


def main() -> int:
    """Send, and report; 0 without faults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, began = random.Random(options.seed), time.monotonic()
    with battery() as made:
        sent = 0
        while made.arrived.total() < options.requests:
            made.send(chance)
            sent += 1
    seconds = time.monotonic() - began
    print(f"{sent} requests in {seconds:.0f} s; {made.arrived.total()} arrived in our functions: "
          f"{dict(made.arrived.most_common())}; {len(made.faults)} faults")  # fmt: skip
    print("\n".join(made.faults[:20]))
    return int(bool(made.faults))


if __name__ == "__main__":
    sys.exit(main())
