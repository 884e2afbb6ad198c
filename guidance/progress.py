"""What is being loaded right now, how far it is, and whether anybody waits for it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LOOK = 0.1  # seconds between two looks at whether anybody still waits
wanted = ContextVar[Callable[[], bool]]("wanted", default=lambda: True)  # whether anybody waits for what is being done
_lock = threading.Lock()
_loading: dict[str, tuple[int, int]] = {}  # by name: bytes downloaded, and of how many


@contextmanager
def loading(name: str) -> Iterator[None]:
    """A context in which something of this name is being loaded."""
    with _lock:
        _loading[name] = (0, 0)
    try:
        yield
    finally:
        with _lock:
            _loading.pop(name, None)


def downloaded(name: str, done: int, total: int) -> None:
    """Note how many bytes of something that is being loaded are here."""
    with _lock:
        if name in _loading:
            _loading[name] = max(_loading[name], (done, total))


class GivenUp(Exception):
    """Nobody waits any more for what was being done."""


def until(ready: Callable[[float], bool]) -> None:
    """Wait for what `ready` says, which may take so many seconds to say it; GivenUp once nobody waits any more."""
    while not ready(LOOK):
        if not wanted.get()():
            raise GivenUp


@contextmanager
def turn(gate: threading.Lock) -> Iterator[None]:
    """A context in which a lock is held; GivenUp if nobody waits any more before that."""
    until(lambda seconds: gate.acquire(timeout=seconds))
    try:
        yield
    finally:
        gate.release()


def latest() -> tuple[str, int, int] | None:
    """What began to be loaded last, how many bytes of it are here, and of how many; None when all is there."""
    with _lock:
        return next(((name, *there) for name, there in reversed(_loading.items())), None)


def doing() -> str:
    """The same in words; nothing when all is there."""
    name, done, total = latest() or ("", 0, 0)
    if total:
        return f"Downloading {name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB"
    return f"Loading {name}" if name else ""
