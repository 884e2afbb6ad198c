"""Layout of a picture: its low frequencies are kept, and all that is finer is painted anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from guidance.fields import field
from guidance.guides.base import Guide, Picture, Run

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.sampling.sample import Predict


class Layout(Guide):
    """Toward the layout of a picture (ILVR: Choi et al. 2021, arXiv:2108.02938)."""

    name: ClassVar[str] = "layout"
    label: ClassVar[str] = "Layout of a picture"
    about: ClassVar[str] = "Paint pictures laid out as one of yours."
    curve: ClassVar[str] = "layout"
    alone: ClassVar[bool] = False
    brings: ClassVar[dict[str, dict]] = {"": {"scale": 0.7, "start": 0.0, "stop": 0.7}}
    words: ClassVar[dict[str, str]] = {
        "Layout of a picture": "图片的布局", "layout": "布局", "Detail": "细节",
        "The parts of a side whose means are kept: more, and more of the picture comes back.":
            "每边保留多少块的平均色：越多越接近原图。",
        "What lies where. Base64 of a PNG or WebP of at most 256 px.":
            "决定各处内容的图片。不超过 256 像素的 PNG 或 WebP 的 base64。",
        "The share of the layout that is kept at a step: 0 none, 1 all.":
            "每一步保留布局的比例：0 为不保留，1 为全部。",
        "Paint pictures laid out as one of yours.": "按你的图片的布局作画。",
    }  # fmt: skip

    image: Picture = field(
        "", "Picture", "What lies where. Base64 of a PNG or WebP of at most 256 px.", control="picture", front=True
    )
    scale: float | None = field(
        None, "Strength", "The share of the layout that is kept at a step: 0 none, 1 all.", 0, 1, slider=(1, 0.01),
        front=True,
    )  # fmt: skip
    detail: int = field(8, "Detail", "The parts of a side whose means are kept: more, and more of the picture comes "
                        "back.", 1, 32, slider=(32, 1), front=True)  # fmt: skip

    def steer(self, predict: Predict, run: Run, curve: str) -> Predict:
        """`predict` whose estimate has the low frequencies of the picture, as far as the strength goes."""
        from torch.nn.functional import interpolate

        from guidance.sampling.guides import replaced

        known = run.model.encode(run.picture(self.image, self.label))
        size, parts = known.shape[2:], min(self.detail, *known.shape[2:])

        def low(x: Tensor) -> Tensor:
            small = interpolate(x, (parts, parts), mode="bilinear", antialias=True)
            return interpolate(small, size, mode="bicubic")

        wanted = low(known)
        return replaced(predict, lambda x0: wanted - low(x0), run.schedule, curve,
                        [self.scale * w for w in self.weights(run.schedule)])  # fmt: skip
