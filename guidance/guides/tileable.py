"""Tileable: pictures that go on where they end."""

from typing import ClassVar, Literal

from guidance.fields import field
from guidance.guides.base import LossGuide, Run


class Tileable(LossGuide):
    """Toward opposite edges that fit."""

    name: ClassVar[str] = "tileable"
    label: ClassVar[str] = "Tileable edges"
    about: ClassVar[str] = "Paint pictures that can be laid side by side without a seam."
    curve: ClassVar[str] = "tileable edges"
    fades: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    sees_all: ClassVar[bool] = True
    words: ClassVar[dict[str, str]] = {
        "Tileable edges": "可拼接的边缘", "tileable edges": "可拼接的边缘",
        "Sides": "哪些边",
        "Left and right, top and bottom, or both.": "左右、上下，或两者。",
        "Left and right": "左右", "Top and bottom": "上下", "Both": "两者",
        "Paint pictures that can be laid side by side without a seam.": "画可以无缝拼接的图片。",
    }  # fmt: skip

    sides: Literal["across", "down", "both"] = field(
        "across", "Sides", "Left and right, top and bottom, or both.", front=True,
        labels={"across": "Left and right", "down": "Top and bottom", "both": "Both"},
    )  # fmt: skip


    def objective(self, run: Run):
        """How far each picture's opposite edges are from one another, (B,), as neighbours inside it would be none."""
        axes = {"across": (3,), "down": (2,), "both": (3, 2)}[self.sides]
        return lambda x0, i: sum(
            (x0.narrow(axis, 0, 1) - x0.narrow(axis, x0.shape[axis] - 1, 1)).square().mean((1, 2, 3)) for axis in axes
        )
