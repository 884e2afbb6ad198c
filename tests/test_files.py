"""Damaged files of ours: whatever is wrong with one, a sentence names it and the remedy."""

import hashlib
import shutil
import struct

import pytest

from guidance import ClipRecipe, ColorRecipe, DigitRecipe, generate, settings
from guidance.models import catalogue, files
from guidance.models.cache import cache
from guidance.models.device import ModelError
from guidance.ui.html import words

SHIPPED = settings.ASSETS
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1234\n"


def no_numbers(data: bytes) -> bytes:
    """Weights whose header is whole and whose values are all NaN."""
    start = 8 + struct.unpack("<Q", data[:8])[0]
    return data[:start] + b"\xff" * (len(data) - start)


DAMAGED = "is damaged or not whole"
COMMON = {
    "missing": (None, "is missing"), "empty": (lambda data: b"", "is empty"),
    "half": (lambda data: data[: len(data) // 2], DAMAGED),
    "pointer": (lambda data: POINTER, "is a pointer of Git LFS in the place of a file"),
}  # fmt: skip
KINDS = {
    ".safetensors": COMMON | {"no numbers": (no_numbers, DAMAGED)},
    ".json": COMMON | {"a list": (lambda data: b"[]", DAMAGED), "nothing in it": (lambda data: b"{}", DAMAGED)},
}
LOADS = {
    "landscapes": lambda: list(generate(ColorRecipe(steps=1))), "clip": lambda: list(generate(ClipRecipe(steps=1))),
    "digits": lambda: list(generate(DigitRecipe(digits="7", steps=1, guidance="classifier"))),
    "attributes": lambda: (catalogue.judge(), catalogue.judge("verifier")),
    "engravings": lambda: list(generate(ColorRecipe(model="engravings", steps=1))),
}  # fmt: skip
FILES = [name for name in files.sums() if name not in (
    "digits/attention.safetensors", "digits/channels.safetensors", "digits/blind-classifier.safetensors",
    "digits/judge.safetensors")]  # fmt: skip
ROWS = [(name, kind) for name in FILES for kind in KINDS[name[name.rindex(".") :]]]
for look in catalogue.BUILT_IN:
    ROWS.remove((f"{look}/model_index.json", "nothing in it"))  # which says all that is needed of it


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of what ships."""
    copy = tmp_path_factory.mktemp("copy") / "assets"
    return shutil.copytree(SHIPPED, copy, ignore=shutil.ignore_patterns("figures"))


@pytest.fixture
def assets(folder, monkeypatch):
    """That copy in the place of what ships, and nothing loaded from either before or after."""
    monkeypatch.setattr(settings, "ASSETS", folder)
    for look in catalogue.BUILT_IN:
        monkeypatch.setitem(catalogue.BUILT_IN, look, folder / look)
    cache.things.clear()
    yield folder
    cache.things.clear()


@pytest.mark.parametrize(("name", "kind"), ROWS)
def test_a_damaged_file_is_named_with_the_remedy(assets, name, kind):
    path, (change, said) = assets / name, KINDS[name[name.rindex(".") :]][kind]
    data = path.read_bytes()
    path.unlink() if change is None else path.write_bytes(change(data))
    try:
        with pytest.raises(ModelError) as caught:
            LOADS[name.split("/")[0]]()
    finally:
        path.write_bytes(data)
    assert str(caught.value) == f"The built-in model was not loaded: assets/{name} {said}; {files.RESTORE}."
    chinese = words.chinese(str(caught.value))
    assert name in chinese and "assets" not in chinese.replace(f"assets/{name}", "").replace("git checkout assets", "")
    assert not {"missing", "empty", "damaged", "pointer", "brings"} & set(chinese.split())


@pytest.mark.parametrize("name", LOADS)
def test_what_is_whole_is_loaded_and_other_failures_stay_what_they_are(assets, name, monkeypatch):
    LOADS[name]()
    with pytest.raises(ZeroDivisionError), files.shipped(f"{name}/"):
        1 / 0  # noqa: B018


def test_a_text_whose_ends_of_lines_git_has_changed_is_whole(assets):
    path = assets / "clip" / "vocabulary.json"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\n", b"\r\n"))
    assert files.whole("clip/vocabulary.json", files.sums()["clip/vocabulary.json"])
    path.write_bytes(data)


def test_the_sums_are_those_of_all_files_that_are_loaded():
    shipped = {path.relative_to(SHIPPED).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
               for kind in KINDS for path in SHIPPED.rglob(f"*{kind}")}  # fmt: skip
    assert files.sums() == shipped and len(shipped) == 23


def test_without_the_sums_that_is_what_is_said(assets):
    (assets / files.SUMS).rename(assets / "away")
    with pytest.raises(ModelError, match="assets/SHA256SUMS is missing"):
        LOADS["attributes"]()
    (assets / "away").rename(assets / files.SUMS)
