"""The page's two languages: English, and Chinese for a browser that asks for it."""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import gradio as gr
from gradio.i18n import I18nData

from guidance import guides

# What the page says in Chinese, by the English; {} stands for a part that varies. Guides bring their own words.
CHINESE: dict[str, str] = json.loads((Path(__file__).parent / "zh.json").read_text(encoding="utf-8"))
for kind in guides.every().values():
    CHINESE |= kind.words
Say = Callable[[str], str]  # an English text in a visitor's language
_tables: dict[str, dict[str, str]] = {"en": {}, "zh": {}}  # what the browser picks from, by key


def t(text: str) -> I18nData:
    """A text of the page, which the browser shows in its visitor's language."""
    return html(lambda say: say(text))


def html(render: Callable[[Say], str]) -> I18nData:
    """HTML of the page, rendered once for each language."""
    english = render(str)
    key = f"g{crc32(english.encode()):08x}"  # a text with dots would be taken for a path
    _tables["en"][key], _tables["zh"][key] = english, render(chinese)
    return I18nData(key)


def tables() -> gr.I18n:
    """All texts so far, for launching the page."""
    return gr.I18n(**_tables)


def speaker(request: gr.Request | None) -> Say:
    """The language of whoever asks: what a run says is made on the server."""
    wanted = request.headers.get("accept-language", "") if request else ""
    return chinese if wanted.lower().startswith("zh") else str


@lru_cache(4096)
def chinese(text: str) -> str:
    """A text in Chinese, as far as there is one; a pattern's {} take any text, which is translated in its turn."""
    if text in CHINESE:
        return CHINESE[text]
    for pattern, translation in patterns():
        if found := pattern.fullmatch(text):
            return translation.format(*(chinese(part) for part in found.groups()))
    return text


@lru_cache(1)
def patterns() -> list[tuple[re.Pattern, str]]:
    """The entries with {}, those with the most fixed text first."""
    rows = sorted((english for english in CHINESE if "{}" in english), key=len, reverse=True)
    return [(re.compile("(.*?)".join(map(re.escape, row.split("{}"))), re.DOTALL), CHINESE[row]) for row in rows]
