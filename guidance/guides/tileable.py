"""Tileable: pictures that go on where they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from guidance.fields import field
from guidance.guides.base import LossGuide, Run

if TYPE_CHECKING:
    from torch import Tensor

BAND = 16  # a band along an edge is so small a part of a side


class Tileable(LossGuide):
    """Toward opposite edges that fit."""

    name: ClassVar[str] = "tileable"
    label: ClassVar[str] = "Tileable edges"
    about: ClassVar[str] = "Paint pictures that can be laid side by side without a seam."
    curve: ClassVar[str] = "tileable edges"
    fades: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    sampler: ClassVar[dict[str, object]] = {"solver": "dpm++", "steps": 12}
    sees_all: ClassVar[bool] = True
    brings: ClassVar[dict[str, dict]] = LossGuide.brings | {"normalized": {"scale": 0.2, "weight": "constant"}}
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
        """How far the bands along each picture's opposite edges are from each other's mirror image, (B,)."""
        axes = {"across": (3,), "down": (2,), "both": (3, 2)}[self.sides]

        def apart(x0: Tensor, axis: int) -> Tensor:
            wide = max(1, x0.shape[axis] // BAND)
            return (x0.narrow(axis, 0, wide) - x0.flip(axis).narrow(axis, 0, wide)).square().mean((1, 2, 3))

        return lambda x0, i: sum(apart(x0, axis) for axis in axes)
