"""What one step of a run made, and its pictures."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from guidance.sampling.guides import GuidanceError

device_lock = threading.Lock()  # one step at a time on the device, whoever asks; runs take turns


class OutOfMemory(GuidanceError):
    """Memory ran out."""


@contextmanager
def memory() -> Iterator[None]:
    """OutOfMemory, with a sentence, when memory runs out; each device has words of its own for it."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in ("out of memory", "allocate memory")):
            raise
        message = "There is not enough memory: ask for fewer pictures, the method shortcut, or a smaller model."
        raise OutOfMemory(message) from error


@dataclass(frozen=True)
class Frame:
    """One step of a run. In the last frame, where step == steps, x0 is the picture itself."""

    step: int
    steps: int
    estimate: Tensor  # x0 as the model has it
    decode: Callable[[Tensor], Tensor]  # the model's, from that to pictures
    losses: dict[str, Tensor]  # each (B,)
    x_t: Tensor  # (B, C, H, W) float32, what the next step begins with
    pull: Tensor  # (B, 1, H, W) float32, how far guidance bent the step at each pixel
    weight: float  # w(t), the greatest of all guides; 0 in a step that was not guided
    notes: tuple[str, ...] = ()  # sentences for the user on how the recipe was understood
    weights: str = ""  # the fingerprint of the networks at work
    parts: dict[str, Tensor] = field(default_factory=dict)  # of the pull, each guide's (B, 1, H, W), by its curve
    large: Tensor | None = None  # in the last frame, x0 enlarged, if the model and the recipe do that
    see: Callable[[Tensor], list[dict[str, float]]] | None = None  # what judges x0, if anything does

    @cached_property
    def x0(self) -> Tensor:
        """The pictures so far, (B, C, H, W) float32 in [-1, 1]; a latent model decodes them when they are asked for."""
        with device_lock, memory(), torch.no_grad():
            return self.decode(self.estimate).clamp(-1, 1)

    @cached_property
    def seen(self) -> list[dict[str, float]]:
        """What a network that never guides sees in each of the pictures: the chance of all that it knows, by name."""
        x0 = self.x0
        with device_lock, memory():
            return self.see(x0) if self.see else [{}] * len(x0)

    @property
    def latent(self) -> bool:
        """Whether the pictures have to be decoded, which takes time."""
        return self.estimate.shape[1] > 3

    def __getstate__(self) -> dict:
        """Decoded and judged, so that a frame can go to another process without its model; arrays pack quickly."""
        state = vars(self) | {"x0": self.x0, "decode": None, "seen": self.seen, "see": None}
        state["estimate"] = self.estimate if self.latent else None
        return {name: changed(value, lambda tensor: tensor.cpu().numpy()) for name, value in state.items()}

    def __setstate__(self, state: dict) -> None:
        """The same again."""
        found = {name: changed(value, torch.tensor) for name, value in state.items()}
        self.__dict__.update(found | ({"estimate": found["x0"]} if found["estimate"] is None else {}))

    def images(self, most: int | None = None) -> list[Image.Image]:
        """The pictures, or the first of them: enlarged where they are."""
        return self.natives(most) if self.large is None else to_images(self.large[:most])

    def natives(self, most: int | None = None) -> list[Image.Image]:
        """The same at native resolution."""
        return to_images(self.x0[:most])

    def noisy(self, most: int | None = None) -> list[Image.Image]:
        """x_t, brought into the range of a picture."""
        seen = self.x_t[:most, : 3 if self.x_t.shape[1] > 3 else None]  # of a latent model's channels, three
        return to_images(seen / seen.abs().amax((1, 2, 3), keepdim=True).clamp(1, 3))

    def pulls(self, most: int | None = None, part: str = "") -> list[Image.Image]:
        """How far guidance, or a part of it, bent the step at each pixel, in grey: black nowhere, white where most."""
        pull = (self.parts[part] if part else self.pull)[:most]
        return to_images(pull / pull.amax((1, 2, 3), keepdim=True).clamp_min(1e-20) * 2 - 1)


def changed(value: object, change: Callable) -> object:
    """A tensor or an array changed, or all in a dict; anything else as it is."""
    if isinstance(value, dict):
        return {name: changed(part, change) for name, part in value.items()}
    return change(value) if hasattr(value, "ndim") else value


def to_images(x0: Tensor) -> list[Image.Image]:
    """Pictures (B, C, H, W) in [-1, 1], C = 1 or 3, as PIL images."""
    array = ((x0.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture) for picture in array]


def to_pixels(images: list[Image.Image]) -> Tensor:
    """PIL images of one size as (B, C, H, W) uint8."""
    return torch.stack([pil_to_tensor(image) for image in images])


def sheet(images: list[Image.Image], columns: int, gap: int = 0) -> Image.Image:
    """Pictures of one size in rows of `columns`, with `gap` white pixels around each."""
    (width, height), rows = images[0].size, -(-len(images) // columns)
    size = (columns * (width + gap) + gap, rows * (height + gap) + gap)
    whole = Image.new(images[0].mode, size, "white" if gap else 0)
    for k, image in enumerate(images):
        whole.paste(image, (k % columns * (width + gap) + gap, k // columns * (height + gap) + gap))
    return whole
