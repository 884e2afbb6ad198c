"""The cache of loaded networks: each is loaded once, and the least recently used make room under a budget of memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from torch import nn

from guidance import progress, settings
from guidance.models.device import ModelError, free

Thing = TypeVar("Thing")


class Cache:
    """Things by name, of at most `budget` bytes together; `size` tells what one takes."""

    def __init__(self, budget: Callable[[], int], size: Callable[[object], int]):
        self.budget, self.size = budget, size
        self.things = OrderedDict[str, tuple[object, int]]()
        self.lock, self.gates = threading.Lock(), dict[str, threading.Lock]()

    def get(self, name: str, load: Callable[[], Thing]) -> Thing:
        """What `load` gives, loaded once; callers for the same name wait for one load, others go on.

        Raises ModelError when it alone is larger than the budget, and GivenUp as soon as the caller is not wanted.
        """
        with self.lock:
            gate = self.gates.setdefault(name, threading.Lock())
        with progress.turn(gate):
            with self.lock:
                if name in self.things:
                    self.things.move_to_end(name)
                    return self.things[name][0]
            with progress.loading(name):
                thing = load()
            size, most = self.size(thing), self.budget()
            if size > most:
                need = f"{size / 2**30:.1f} GiB, more than the {most / 2**30:.1f} GiB that models may take"
                raise ModelError(f"This model takes {need}: raise GUIDANCE_CACHE_GIB.")
            with self.lock:
                while self.taken() + size > most:
                    self.things.popitem(last=False)
                self.things[name] = (thing, size)
            return thing

    def taken(self) -> int:
        """Bytes that are held."""
        return sum(size for _, size in self.things.values())

    def held(self) -> list[tuple[str, int]]:
        """Names and bytes of what is held, the most recently used first."""
        with self.lock:
            return [(name, size) for name, (_, size) in reversed(self.things.items())]

    def loaded(self) -> list[tuple[str, object]]:
        """Names and what they stand for, in the same order."""
        with self.lock:
            return [(name, thing) for name, (thing, _) in reversed(self.things.items())]


def weight(thing: object) -> int:
    """The bytes of a network, or of all those that a Model, a LatentModel or a Clip holds."""
    things = [thing] if isinstance(thing, nn.Module) else vars(thing).values()
    networks = [part for part in things if isinstance(part, nn.Module)]
    tensors = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


_budget: list[int] = []


def budget() -> int:
    """What GUIDANCE_CACHE_GIB says, or half of what was free at first."""
    if settings.CACHE_GIB:
        return int(settings.CACHE_GIB * 2**30)
    if not _budget:
        _budget.append(free() // 2)
    return _budget[0]


cache = Cache(budget, weight)
