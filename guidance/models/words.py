"""The built-in CLIP's tokenizer: whole words of a small vocabulary."""

import difflib
import json
import re
from pathlib import Path

import torch
from torch import Tensor

from guidance.models.device import ModelError

PAD, START, UNKNOWN = 0, 1, 2
SILENT = frozenset(re.findall(r"\w+", "a an the of and with in at over under on by to is it its all some many that"))


class WordTokenizer:
    """Sentences to token ids (N, context) int64: the start, a token a word, the end, which is the largest id."""

    def __init__(self, words: list[str], context: int = 24):
        self.words, self.context = words, context
        self.ids = {word: number for number, word in enumerate(words, start=3)}
        self.end = len(words) + 3
        self.vocab_size = self.end + 1

    @classmethod
    def read(cls, path: Path) -> "WordTokenizer":
        """The tokenizer in a JSON file."""
        return cls(**json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        """Keep the tokenizer as JSON."""
        path.write_text(json.dumps({"words": self.words, "context": self.context}))

    def __call__(self, texts: list[str]) -> Tensor:
        """Sentences to (N, context) int64; what does not fit is cut."""
        rows = torch.full((len(texts), self.context), PAD)
        for row, text in zip(rows, texts, strict=True):
            ids = [START, *(self.ids.get(word, UNKNOWN) for word in split(text))][: self.context - 1]
            row[: len(ids) + 1] = torch.tensor([*ids, self.end])
        return rows

    def cut(self, text: str) -> str:
        """The words of a sentence that do not fit."""
        return " ".join(split(text)[self.context - 2 :])

    def unknown(self, text: str) -> dict[str, list[str]]:
        """Words that the vocabulary lacks, each with the nearest it has, none of them or several."""
        missing = dict.fromkeys(word for word in split(text) if word not in self.ids and word not in SILENT)
        return {word: difflib.get_close_matches(word, self.words, 2, 0.7) for word in missing}

    def notes(self, text: str) -> list[str]:
        """Sentences on what the built-in CLIP did not understand. ModelError when it knows no word at all."""
        unknown, sentences = self.unknown(text), []
        if not any(word in self.ids and word not in SILENT for word in split(text)):
            near = [word for words in unknown.values() for word in words[:1]]
            hint = f"perhaps {' '.join(near)}" if near else "try lands, hours, weather and colours, as in snowy hills"
            raise ModelError(f"The built-in CLIP knows none of these words: {hint}.")
        for word, near in unknown.items():
            hint = f"perhaps {' or '.join(near)}" if near else "it was passed over"
            sentences.append(f"The built-in CLIP does not know the word {word[:30]}: {hint}.")
        if cut := self.cut(text):
            sentences.append(f"The prompt is longer than CLIP reads; this was cut: {cut[:80]}.")
        return sentences


def split(text: str) -> list[str]:
    """The words of a text, lower case; whatever is no letter or digit separates them."""
    return re.findall(r"[^\W_]+", text.lower())
