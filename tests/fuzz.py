"""Atheris, guided by coverage, on what reads pictures: python -m tests.fuzz tests/corpus -max_len=3000 [...].

Inputs that reach new code go into the corpus, which a test replays; the options are libFuzzer's, and so is
-max_total_time=60, in seconds. It ends at the first error that is no sentence of ours.
"""

import base64
import os
import sys
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path

FUZZING = __name__ == "__main__"
if FUZZING:
    import atheris

with atheris.instrument_imports(include=["guidance", "PIL"]) if FUZZING else nullcontext():
    from guidance.codec import pack, packed, unpack
    from guidance.fields import RecipeError
    from guidance.recipe import from_json, read_png, to_json

FILE = Path(tempfile.gettempdir()) / f"fuzz-{os.getpid()}.png"


def one(data: bytes) -> int:
    """Read bytes as each reader would; how many of them took them. Any error but RecipeError is a fault."""
    FILE.write_bytes(data)
    taken = 0
    with suppress(RecipeError):
        made = read_png(FILE)
        taken += from_json(to_json(made)) == made
    with suppress(RecipeError):
        taken += max(unpack(pack(FILE)).size) <= 256
    with suppress(RecipeError):
        text = packed(base64.b64encode(data).decode())
        taken += bool(text) and unpack(text).convert("RGB").mode == "RGB"
    return taken


if FUZZING:
    atheris.Setup(sys.argv, lambda data: one(data) and 0)
    atheris.Fuzz()
