"""Brightness: how light the pictures are as a whole. The worked example of docs/guides.md."""

from typing import ClassVar

from guidance.fields import field
from guidance.guides.base import LossGuide, Run


class Brightness(LossGuide):
    """Toward a mean lightness."""

    name: ClassVar[str] = "brightness"
    label: ClassVar[str] = "Brightness"
    about: ClassVar[str] = "Paint pictures as light or as dark as asked."
    curve: ClassVar[str] = "brightness"
    fades: ClassVar[bool] = True
    words: ClassVar[dict[str, str]] = {
        "Brightness": "亮度", "brightness": "亮度", "Level": "亮度",
        "From black, 0, to white, 1.": "从黑（0）到白（1）。",
        "Paint pictures as light or as dark as asked.": "按要求把图片画得更亮或更暗。",
    }  # fmt: skip

    level: float = field(0.8, "Brightness", "From black, 0, to white, 1.", 0, 1, slider=(1, 0.01), front=True)

    def objective(self, run: Run):
        """The squared distance of each picture's mean, (B,), from the level."""
        return lambda x0, i: (x0.mean((1, 2, 3)) - (2 * self.level - 1)).square()
