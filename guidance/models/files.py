"""Files that cannot be read, and weights that are none: one sentence, with which file, what is wrong and the remedy."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from guidance import settings
from guidance.models.device import ModelError

OURS = "The built-in model"
SUMS = "SHA256SUMS"  # in assets, as sha256sum writes it; looked into where a load has failed
RESTORE = "git checkout assets, git lfs pull or a new installation brings it back"
ALLOW = "allow it for the account that runs this"
POINTER = b"version https://git-lfs"


def unread(source: str, path: Path, name: str, remedy: str = "delete it and try again") -> ModelError:
    """What is said where the file `name` of a model cannot be read."""
    said = flaw(path, name)
    remedy = ALLOW if said.endswith("may not be read") else remedy
    return ModelError(f"{source} was not loaded: {said}; {remedy}.")


def flaw(path: Path, name: str) -> str:
    """What is wrong with a file that could not be read."""
    try:
        with path.open("rb") as file:
            start = file.read(len(POINTER))
    except FileNotFoundError:
        return f"{name} is missing"
    except OSError:
        return f"{name} may not be read"
    if start in (b"", POINTER):
        return f"{name} is a pointer of Git LFS in the place of a file" if start else f"{name} is empty"
    return f"{name} is damaged or not whole"


def sound(network: nn.Module, source: str) -> None:
    """ModelError if the weights of a network hold what is no number."""
    for weight in network.parameters():
        if not all(end.isfinite() for end in weight.detach().aminmax()):
            raise ModelError(f"{source} was not loaded: its weights hold what is no number.")


def sums() -> dict[str, str]:
    """The SHA-256 of each file that ships, by its name in assets."""
    return {name: digest for digest, name in map(str.split, (settings.ASSETS / SUMS).read_text().splitlines())}


def whole(name: str, digest: str) -> bool:
    """Whether a file of assets is as it ships; Git may have changed the ends of lines in a text."""
    path = settings.ASSETS / name
    data = path.read_bytes() if path.is_file() else b""
    data = data.replace(b"\r\n", b"\n") if path.suffix == ".json" else data
    return hashlib.sha256(data).hexdigest() == digest


@contextmanager
def shipped(name: str) -> Iterator[Path]:
    """A context in which a file or folder of assets is read, its path given.

    ModelError, with the file's name, when that fails and a file is not as it ships, or when one is missing.
    """
    files = {SUMS: ""}
    try:
        files = {file: digest for file, digest in sums().items() if file.startswith(name)}
        for file in files:
            (settings.ASSETS / file).stat()
        yield settings.ASSETS / name
    except Exception as error:  # JSON, safetensors, torch, open_clip and diffusers have each their own
        for file, digest in files.items():
            if not whole(file, digest):
                raise unread(OURS, settings.ASSETS / file, f"assets/{file}", RESTORE) from error
        raise
