"""Hold and fill: part of a picture stays exactly as it is, and the rest is painted anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from guidance.fields import field
from guidance.guides.base import Guide, Picture, Run

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.sampling.sample import Predict
    from guidance.sampling.schedule import Schedule

BAND = 16  # around what is held the picture fades over so small a part of a side


class Hold(Guide):
    """Toward a picture of which part is held (RePaint: Lugmayr et al. 2022, arXiv:2201.09865)."""

    name: ClassVar[str] = "hold"
    label: ClassVar[str] = "Hold and fill"
    about: ClassVar[str] = "Keep the painted part of a picture exactly, and paint the rest of it anew."
    curve: ClassVar[str] = "held"
    alone: ClassVar[bool] = False
    outer: ClassVar[bool] = True
    sampler: ClassVar[dict[str, object]] = {"solver": "ddim", "steps": 40, "eta": 1.0, "travel": 1}
    form: ClassVar[tuple[str, ...]] = (
        "image", "mask", "scale", "model", "text", "negative", "text_scale", "travel", "solver", "eta", "steps",
        "seed", "count", "batched", "size",
    )  # fmt: skip
    words: ClassVar[dict[str, str]] = {
        "Hold and fill": "保留并填充", "held": "保留", "Held part": "保留的部分", "Held": "保留",
        "What is held in part. Base64 of a PNG or WebP of at most 256 px.":
            "其中一部分将被保留。不超过 256 像素的 PNG 或 WebP 的 base64。",
        "Light where the picture stays; base64 of a PNG or WebP of at most 256 px.":
            "亮处保持不变；不超过 256 像素的 PNG 或 WebP 的 base64。",
        "1 holds it, 0 lets it go.": "1 为保留，0 为放开。",
        "Keep the painted part of a picture exactly, and paint the rest of it anew.":
            "精确保留图片中涂抹的部分，其余重新作画。",
    }  # fmt: skip

    image: Picture = field(
        "", "Picture", "What is held in part. Base64 of a PNG or WebP of at most 256 px.", control="picture", front=True
    )
    mask: Picture = field(
        "", "Held part", "Light where the picture stays; base64 of a PNG or WebP of at most 256 px.", control="mask",
        front=True,
    )  # fmt: skip
    scale: float = field(1.0, "Held", "1 holds it, 0 lets it go.", 0, 1, slider=(1, 1))

    def weights(self, schedule: Schedule) -> list[float]:
        """All of it, at all times."""
        return [1.0] * len(schedule.timesteps)

    def part(self, run: Run) -> Tensor:
        """1 where the picture is held, else 0: (1, 1, H, W). GuidanceError, with a sentence, if that is nowhere."""
        from guidance.sampling.guides import GuidanceError
        from guidance.sampling.regions import FULL

        held = (run.mask(self.mask, self.label) >= FULL).float()
        if not held.any():
            raise GuidanceError("Nothing is held: paint over what is to stay.")
        return held

    def steer(self, predict: Predict, run: Run, curve: str) -> Predict:
        """`predict` whose estimate is the picture where it is held, and a little so around: there is no seam then."""
        from torch.nn.functional import avg_pool2d, interpolate

        from guidance.sampling.guides import replaced

        known = run.model.encode(run.picture(self.image, self.label))
        held = (interpolate(self.part(run), known.shape[2:], mode="area") >= 0.5).float()
        band, soft = max(1, min(known.shape[2:]) // BAND), held
        for _ in range(2):
            soft = avg_pool2d(soft, 2 * band + 1, 1, band)
        soft = soft.maximum(held)
        return replaced(predict, lambda x0: soft * (known - x0), run.schedule, curve, self.weights(run.schedule))

    def end(self, x_0: Tensor, run: Run) -> Tensor:
        """The pictures with what is held, to the last bit; of latents, as near as they come."""
        if run.model.takes_text:
            return x_0
        return x_0.where(self.part(run) < 1, run.picture(self.image, self.label))
