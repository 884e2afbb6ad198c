"""Saturation: how colourful the pictures are."""

from typing import ClassVar

from guidance.fields import field
from guidance.guides.base import LossGuide, Run


class Saturation(LossGuide):
    """Toward a mean saturation."""

    name: ClassVar[str] = "saturation"
    label: ClassVar[str] = "Saturation"
    about: ClassVar[str] = "Paint pictures as colourful or as grey as asked."
    curve: ClassVar[str] = "saturation"
    fades: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    sampler: ClassVar[dict[str, object]] = {"solver": "dpm++", "steps": 12}
    words: ClassVar[dict[str, str]] = {
        "Saturation": "饱和度", "saturation": "饱和度",
        "From grey, 0, to pure colours, 1.": "从灰（0）到纯色（1）。",
        "Paint pictures as colourful or as grey as asked.": "按要求把图片画得更鲜艳或更灰。",
    }  # fmt: skip

    level: float = field(0.7, "Saturation", "From grey, 0, to pure colours, 1.", 0, 1, slider=(1, 0.01), front=True)

    def objective(self, run: Run):
        """The squared distance of each picture's mean spread between its channels, (B,), from the level."""
        return lambda x0, i: ((x0.amax(1) - x0.amin(1)).mean((1, 2)) / 2 - self.level).square()
