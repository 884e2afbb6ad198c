"""Palette: pictures in a set of colours, each with its share, or in the colours of another picture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BeforeValidator

from guidance.fields import RecipeError, field
from guidance.guides.base import LossGuide, Picture, Run
from guidance.guides.color import plain

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.sampling.guides import Loss

MOST = 6  # colours, as the sentence says
WRONG = "Palette must be 1 to 6 colours, each with a share over 0 if it is not 1, as in teal 0.5, gold 0.3, #fff."


def shares(value: str) -> list[tuple[str, float]]:
    """"teal 0.5, gold" as [("#008080", 0.333), ("#ffd700", 0.667)]: shares sum to 1; else RecipeError."""
    found = []
    for part in filter(str.strip, re.split(r"[,;](?![^(]*\))", value)):
        color, number = re.fullmatch(r"\s*(.*?)(?:\s+(\d{0,6}\.?\d{1,6})\s*%?)?\s*", part, re.DOTALL).groups()
        found.append((plain(color), float(number or 1)))
    if not 1 <= len(found) <= MOST or not all(share for _, share in found):
        raise RecipeError(WRONG)
    total = sum(share for _, share in found)
    return [(color, share / total) for color, share in found]


def written(value: object) -> str:
    """A palette whose colours and shares can be read, in its plain form; else RecipeError."""
    if not isinstance(value, str) or len(value) > 400:
        raise RecipeError(WRONG)
    return ", ".join(f"{color} {share:.4g}" for color, share in shares(value))


def spread(colors: str, count: int) -> Tensor:
    """`count` colours of a palette in CIELAB, each as often as its share says: (count, 3) float32."""
    import torch

    from guidance.cielab import channels, lab

    named, parts = zip(*shares(colors), strict=True)
    chosen = torch.searchsorted(torch.tensor(parts).cumsum(0), (torch.arange(count) + 0.5) / count)
    return lab(torch.stack([channels(color) for color in named])).float()[chosen.clamp(max=len(named) - 1)]


class Palette(LossGuide):
    """Toward a set of colours, by the sliced Wasserstein distance of distributions of colour."""

    name: ClassVar[str] = "palette"
    label: ClassVar[str] = "Palette"
    about: ClassVar[str] = "Paint pictures in up to six colours, each with its share, or in those of a picture."
    curve: ClassVar[str] = "palette"
    fades: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    sampler: ClassVar[dict[str, object]] = {"solver": "dpm++", "steps": 12}
    sees_all: ClassVar[bool] = True
    brings: ClassVar[dict[str, dict]] = LossGuide.brings | {
        "normalized": {"scale": 0.5, "weight": "late", "start": 0.1}
    }  # fmt: skip
    words: ClassVar[dict[str, str]] = {
        "Palette": "调色板", "palette": "调色板", "Colours": "颜色",
        "With shares, as in teal 0.5, gold 0.3, #fff.": "可带比例，例如 teal 0.5, gold 0.3, #fff。",
        "Colours of a picture": "取自图片的颜色",
        "Instead of those above.": "代替上面的颜色。",
        WRONG: "调色板须为 1 到 6 种颜色，比例大于 0（省略则为 1），例如 teal 0.5, gold 0.3, #fff。",
        "Paint pictures in up to six colours, each with its share, or in those of a picture.":
            "用至多六种颜色（各有比例）或另一张图片的颜色来画。",
    }  # fmt: skip

    colors: Annotated[str, BeforeValidator(written)] = field(
        "#16324f 0.4, #2a9d8f 0.3, #e9c46a 0.2, #e76f51 0.1", "Colours",
        "With shares, as in teal 0.5, gold 0.3, #fff.", control="palette", front=True,
    )  # fmt: skip
    image: Picture = field(
        "", "Colours of a picture", "Instead of those above.", control="picture"
    )

    def samples(self, run: Run, count: int) -> Tensor:
        """`count` colours of the palette in CIELAB, each as often as its share says: (count, 3)."""
        import torch

        from guidance.cielab import lab

        if self.image:
            pixels = (run.picture(self.image, self.label)[0].flatten(1).T + 1) / 2  # (H * W, 3)
            every = torch.linspace(0, len(pixels) - 1, count, device=pixels.device).round().long()
            return lab(pixels)[every]
        return spread(self.colors, count).to(run.model.device)

    def objective(self, run: Run) -> Loss:
        """How far the colours of the pixels are from the palette's."""
        from guidance.sampling.guides import GuidanceError
        from guidance.sampling.palettes import palette_loss
        from guidance.sampling.regions import FULL

        if run.model.channels != 3:
            raise GuidanceError("A palette steers models of colour pictures: this one has no colours.")
        cover = self.region(run)
        inside = None if cover is None else (cover[0, 0] >= FULL).flatten().nonzero()[:, 0]
        return palette_loss(lambda count: self.samples(run, count), run.generators(2), inside)
