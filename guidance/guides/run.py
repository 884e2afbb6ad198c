"""What a guide may know of the run that it steers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guidance.codec import unpack

if TYPE_CHECKING:
    from PIL import Image
    from torch import Generator, Tensor

    from guidance.models.model import Model
    from guidance.sampling.schedule import Schedule


@dataclass
class Run:
    """The model, the noise schedule and the pictures of a run."""

    model: Model
    schedule: Schedule
    seeds: list[tuple[int, int]]  # of each picture that is drawn, and which candidate of its seed it is
    candidates: int = 1
    batched: bool = False  # whether networks see several pictures at once
    notes: list[str] = field(default_factory=list)  # sentences for the user, to be added to

    @property
    def count(self) -> int:
        """How many pictures are drawn."""
        return len(self.seeds)

    def generators(self, key: int = 0) -> list[Generator]:
        """Fresh generators, one a picture; each key gives others, and 0 those of the pictures' own noise."""
        from guidance.sampling.seeds import stream

        return [stream(*drawn, key) for drawn in self.seeds]

    def picture(self, held: str, label: str) -> Tensor:
        """A picture that a recipe holds for the guide `label`: (1, C, H, W) in [-1, 1], white where it is clear.

        It is cut to the shape of the model's pictures. GuidanceError, with a sentence, if there is none.
        """
        colors, cover = self.layers(held, label)
        return colors * cover + (1 - cover)

    def layers(self, held: str, label: str) -> tuple[Tensor, Tensor]:
        """Its colours, and how much of them is there, (1, 1, H, W) in [0, 1]."""
        from PIL import Image, ImageOps
        from torchvision.transforms.functional import to_tensor

        high, wide = self.model.size
        image = ImageOps.fit(given(held, label).convert("RGBA"), (wide, high), Image.Resampling.BOX)
        colors = image.convert("RGB").convert("L" if self.model.channels == 1 else "RGB")
        both = to_tensor(colors)[None] * 2 - 1, to_tensor(image.getchannel("A"))[None]
        return tuple(layer.to(self.model.device) for layer in both)

    def mask(self, held: str, label: str) -> Tensor:
        """A mask that a recipe holds, (1, 1, H, W) in [0, 1]: 1 where it is light, 0 where it is dark or clear."""
        from PIL import Image
        from torchvision.transforms.functional import to_tensor

        high, wide = self.model.size
        image = given(held, label).convert("RGBA")
        black = Image.new("RGBA", image.size, "black")
        grey = Image.alpha_composite(black, image).convert("L").resize((wide, high), Image.Resampling.BOX)
        return to_tensor(grey)[None].to(self.model.device)


def given(held: str, label: str) -> Image.Image:
    """The picture that a recipe holds for the guide `label`; GuidanceError, with a sentence, if there is none."""
    from guidance.sampling.guides import GuidanceError

    if not held:
        raise GuidanceError(f"{label} needs a picture.")
    return unpack(held)
