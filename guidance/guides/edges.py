"""Edges: the lines of a drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from guidance.fields import field
from guidance.guides.base import LossGuide, Picture, Run

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.sampling.guides import Loss


def sobel(x: Tensor) -> Tensor:
    """How steep the light of pictures (B, C, H, W) is, blurred a little, less its mean: (B, H * W) (Sobel 1968)."""
    from torch.nn.functional import avg_pool2d, conv2d, pad

    across = x.new_tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8
    down, light = across.T, pad(x.mean(1, keepdim=True), (1, 1, 1, 1), "replicate")
    steep = (conv2d(light, across[None, None]).square() + conv2d(light, down[None, None]).square() + 1e-6).sqrt()
    wide = max(1, min(x.shape[2:]) // 64) * 2 + 1
    soft = avg_pool2d(steep, wide, 1, wide // 2, count_include_pad=False).flatten(1)
    return soft - soft.mean(1, keepdim=True)


class Edges(LossGuide):
    """Toward the lines of a drawing."""

    name: ClassVar[str] = "edges"
    label: ClassVar[str] = "Edges of a drawing"
    about: ClassVar[str] = "Paint pictures whose edges lie where a drawing has its lines."
    curve: ClassVar[str] = "edges"
    alone: ClassVar[bool] = False
    sampler: ClassVar[dict[str, object]] = {"solver": "dpm++", "steps": 12}
    sees_all: ClassVar[bool] = True
    brings: ClassVar[dict[str, dict]] = LossGuide.brings | {"normalized": {"scale": 0.15, "weight": "constant"}}
    words: ClassVar[dict[str, str]] = {
        "Edges of a drawing": "线稿的轮廓", "edges": "轮廓", "Drawing": "线稿",
        "Its lines are where the picture is to have edges. Base64 of a PNG or WebP of at most 256 px.":
            "线条所在之处即画面轮廓。不超过 256 像素的 PNG 或 WebP 的 base64。",
        "Paint pictures whose edges lie where a drawing has its lines.": "让画面的轮廓落在线稿的线条上。",
    }  # fmt: skip

    image: Picture = field(
        "", "Drawing", "Its lines are where the picture is to have edges. Base64 of a PNG or WebP of at most 256 px.",
        control="sketch", front=True,
    )  # fmt: skip

    def objective(self, run: Run) -> Loss:
        """One less the correlation of a picture's edges with those of the drawing."""
        from torch.nn.functional import cosine_similarity

        lines = sobel(run.picture(self.image, self.label))
        region = self.region(run)
        where = 1.0 if region is None else region.flatten(1)
        return lambda x0, i: 1 - cosine_similarity(sobel(x0) * where, lines * where, eps=1e-4)
