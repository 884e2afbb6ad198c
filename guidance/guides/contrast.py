"""Contrast: how far light and dark lie apart."""

from typing import ClassVar

from guidance.fields import field
from guidance.guides.base import LossGuide, Run


class Contrast(LossGuide):
    """Toward a spread of light and dark."""

    name: ClassVar[str] = "contrast"
    label: ClassVar[str] = "Contrast"
    about: ClassVar[str] = "Paint pictures as bold or as soft as asked."
    curve: ClassVar[str] = "contrast"
    fades: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    sampler: ClassVar[dict[str, object]] = {"solver": "dpm++", "steps": 12}
    words: ClassVar[dict[str, str]] = {
        "Contrast": "对比度", "contrast": "对比度",
        "From flat, 0, to black and white, 1.": "从平淡（0）到黑白分明（1）。",
        "Paint pictures as bold or as soft as asked.": "按要求把图片画得更强烈或更柔和。",
    }  # fmt: skip

    level: float = field(0.6, "Contrast", "From flat, 0, to black and white, 1.", 0, 1, slider=(1, 0.01), front=True)

    def objective(self, run: Run):
        """The squared distance of each picture's standard deviation of light, (B,), from the level."""
        return lambda x0, i: ((x0.mean(1).var((1, 2), correction=0) + 1e-6).sqrt() - self.level).square()
