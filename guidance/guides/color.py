"""Colour: pictures steered toward one colour."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from PIL import ImageColor
from pydantic import BeforeValidator

from guidance.fields import RecipeError, field
from guidance.guides.base import LossGuide, Run

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.sampling.guides import Loss


def plain(value: object) -> str:
    """A colour as "#rrggbb": hex, a CSS name, rgb(...), rgba(...), hsl(...) are taken, else RecipeError."""
    text = value.strip().lower() if isinstance(value, str) and len(value) <= 60 else ""
    rgb = re.fullmatch(r"rgba?\(([\d.]+)[, ]+([\d.]+)[, ]+([\d.]+)(?:[,/ ]+[\d.]+%?)?\)", text)
    try:
        channels = [float(part) for part in rgb.groups()] if rgb else ImageColor.getrgb(text)[:3]
    except ValueError:
        channels = [-1]
    if not all(0 <= channel <= 255 for channel in channels):
        raise RecipeError("Colour must be a hex value such as #2080ff, a CSS name such as teal, or rgb(32, 128, 255).")
    return "#" + "".join(f"{round(channel):02x}" for channel in channels)


def target(color: str, channels: int = 3) -> Tensor:
    """A colour "#rrggbb" as (1, C, 1, 1) in [-1, 1]; its luma (Rec. 601) where there is one channel."""
    import torch

    rgb = torch.tensor([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 127.5 - 1
    if channels == 1:
        rgb = (rgb * torch.tensor([0.299, 0.587, 0.114])).sum(0, keepdim=True)
    return rgb.view(1, -1, 1, 1)


def tone(color: Tensor) -> Loss:
    """The squared distance of the picture's mean colour from `color` (1, C, 1, 1): light and shade stay free."""
    return lambda x0, i: (x0.mean((2, 3), keepdim=True) - color.to(x0)).square().mean((1, 2, 3))


def pixel(color: Tensor) -> Loss:
    """The mean over pixels of a Huber distance to `color`, smooth where L1 has its kink."""
    from torch.nn.functional import smooth_l1_loss

    return lambda x0, i: smooth_l1_loss(x0, color.to(x0).expand_as(x0), reduction="none", beta=0.5).mean((1, 2, 3))


def pixel_l1(color: Tensor) -> Loss:
    """The mean over pixels of the absolute distance to `color`: the diffusion course's `color_loss`, per picture."""
    return lambda x0, i: (x0 - color.to(x0)).abs().mean((1, 2, 3))


LOSSES = {"tone": tone, "pixel": pixel, "pixel-l1": pixel_l1}


class Color(LossGuide):
    """Toward a colour."""

    name: ClassVar[str] = "color"
    label: ClassVar[str] = "Colour"
    about: ClassVar[str] = "Paint pictures steered toward a colour."
    curve: ClassVar[str] = "colour"
    fades: ClassVar[bool] = True
    # What goes with a rule unless a recipe says otherwise; the course's are the notebook's.
    brings: ClassVar[dict[str, dict]] = {
        "normalized": {"scale": 0.2, "loss": "tone", "weight": "late", "start": 0.25, "solver": "dpm++", "steps": 8},
        "course": {"scale": 40.0, "loss": "pixel-l1", "weight": "constant", "start": 0.0, "solver": "ddim",
                   "steps": 40},
    }
    form: ClassVar[tuple[str, ...]] = (
        "color", "model", "text", "negative", "text_scale", "loss", "scale", "method", "rule", "weight", "start",
        "stop", "solver", "steps", "seed", "count", "batched", "where", "mask", "size",
    )  # fmt: skip

    color: Annotated[str, BeforeValidator(plain)] = field(
        "#e0703c", "Colour", "What the pictures are drawn toward.", control="color", front=True
    )
    loss: Literal[tuple(LOSSES)] | None = field(
        None, "What is compared", "Overall tone leaves light and shade free; Every pixel pulls each one to the colour.",
        labels={"tone": "Overall tone", "pixel": "Every pixel", "pixel-l1": "Every pixel, L1 (the course)"},
    )  # fmt: skip

    @property
    def slug(self) -> str:
        """The colour without its mark."""
        return self.color[1:]

    def objective(self, run: Run) -> Loss:
        """How far the pictures are from the colour."""
        return LOSSES[self.loss](target(self.color, run.model.channels))
