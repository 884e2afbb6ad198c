"""Start from a picture: it is noised to a share of the steps, and the rest of them are taken from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from guidance.fields import field
from guidance.guides.base import Guide, Picture, Run

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.sampling.sample import Predict
    from guidance.sampling.schedule import Schedule


class FromPicture(Guide):
    """From a picture instead of from noise alone (SDEdit: Meng et al. 2022, arXiv:2108.01073)."""

    name: ClassVar[str] = "from_picture"
    label: ClassVar[str] = "Start from a picture"
    about: ClassVar[str] = "Paint pictures that start from one of yours."
    alone: ClassVar[bool] = False
    sampler: ClassVar[dict[str, object]] = {"solver": "ddim", "steps": 40}
    form: ClassVar[tuple[str, ...]] = (
        "image", "scale", "model", "text", "negative", "text_scale", "solver", "eta", "steps", "seed", "count",
        "batched", "size",
    )  # fmt: skip
    words: ClassVar[dict[str, str]] = {
        "Start from a picture": "从图片开始", "Nearness": "接近程度",
        "0 paints anew, 1 leaves it almost as it is.": "0 为重新作画，1 几乎保持原样。",
        "What is noised and painted again. Base64 of a PNG or WebP of at most 256 px.":
            "加噪后重画的图片。不超过 256 像素的 PNG 或 WebP 的 base64。",
        "Paint pictures that start from one of yours.": "从你的图片开始作画。",
    }  # fmt: skip

    image: Picture = field(
        "", "Picture", "What is noised and painted again. Base64 of a PNG or WebP of at most 256 px.",
        control="picture", front=True,
    )  # fmt: skip
    scale: float = field(0.5, "Nearness", "0 paints anew, 1 leaves it almost as it is.", 0, 1, slider=(1, 0.01),
                         front=True)  # fmt: skip

    def weights(self, schedule: Schedule) -> list[float]:
        """It bends no step."""
        return [0.0] * len(schedule.timesteps)

    def begin(self, x_t: Tensor, run: Run) -> tuple[Tensor, int]:
        """The picture with as much of the noise as there is at that step."""
        schedule = run.schedule
        first = min(round(self.scale * len(schedule.timesteps)), len(schedule.timesteps) - 1)
        x0 = run.model.encode(run.picture(self.image, self.label))
        return schedule.alpha[first] * x0 + schedule.sigma[first] * x_t, first

    def steer(self, predict: Predict, run: Run, curve: str) -> Predict:
        """`predict` as it is."""
        return predict
