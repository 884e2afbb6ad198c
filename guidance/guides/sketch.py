"""Sketch: blobs of colour that say what lies where; what is not painted is free."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from guidance.fields import field
from guidance.guides.base import LossGuide, Picture, Run

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.sampling.guides import Loss

COARSE = 16  # parts of a side over which colours are compared: a rough sketch does


def blurred(x: Tensor) -> Tensor:
    """Means (B, C, h, w) over overlapping squares of pictures (B, C, H, W)."""
    from torch.nn.functional import avg_pool2d

    step = max(1, min(x.shape[2:]) // COARSE)
    return avg_pool2d(x, 2 * step, step, padding=step // 2)


class Sketch(LossGuide):
    """Toward colours painted on a canvas."""

    name: ClassVar[str] = "sketch"
    label: ClassVar[str] = "Sketch"
    about: ClassVar[str] = "Paint pictures over a sketch: rough blobs of colour, free where nothing is painted."
    curve: ClassVar[str] = "sketch"
    fades: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    sampler: ClassVar[dict[str, object]] = {"solver": "dpm++", "steps": 12}
    sees_all: ClassVar[bool] = True
    # Late, for by then the scene has chosen itself, and what is not painted stays free.
    brings: ClassVar[dict[str, dict]] = LossGuide.brings | {
        "normalized": {"scale": 0.4, "weight": "constant", "start": 0.4}
    }  # fmt: skip
    words: ClassVar[dict[str, str]] = {
        "Sketch": "草图", "sketch": "草图",
        "Blobs of colour; what stays clear is free. Base64 of a PNG or WebP of at most 256 px.":
            "涂上色块，空白处自由发挥。不超过 256 像素的 PNG 或 WebP 的 base64。",
        "Paint pictures over a sketch: rough blobs of colour, free where nothing is painted.":
            "按草图作画：粗略的色块即可，空白处自由发挥。",
    }  # fmt: skip

    image: Picture = field(
        "", "Sketch", "Blobs of colour; what stays clear is free. Base64 of a PNG or WebP of at most 256 px.",
        control="sketch", front=True,
    )  # fmt: skip

    def region(self, run: Run) -> Tensor:
        """Where something is painted, (1, 1, H, W) in [0, 1]: elsewhere no step is bent."""
        region, cover = super().region(run), run.layers(self.image, self.label)[1]
        return cover if region is None else cover * region

    def objective(self, run: Run) -> Loss:
        """How far the pictures are from the sketch where something is painted, both blurred."""
        colors, cover = run.layers(self.image, self.label)[0], self.region(run)
        share = blurred(cover)
        wanted, total = blurred(colors * cover), share.sum().clamp_min(1e-6)

        def loss(x0: Tensor, i: int) -> Tensor:
            apart = (blurred(x0 * cover) - wanted) / share.clamp_min(1e-3)
            return (apart.square() * share).sum((1, 2, 3)) / total / x0.shape[1]

        return loss
