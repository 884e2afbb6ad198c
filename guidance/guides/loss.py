"""A loss of one's own as a guide: any function of the estimate x0."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from guidance.fields import field
from guidance.guides.base import LossGuide, Run

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.sampling.guides import Loss as LossOf


def needed(function: Callable) -> int:
    """How many values a function, or a network, must be given by position."""
    try:
        places = inspect.signature(getattr(function, "forward", function)).parameters.values()
    except (TypeError, ValueError):  # one that is not written in Python may hide its signature
        return 1
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in places)


class Loss(LossGuide):
    """A guide by a Python function of one's own: it runs in the library, and has no form in files.

    `function` takes x0 (B, C, H, W), nominally in [-1, 1], and the step's number if it needs a second value, and gives
    one number a picture, (B,), to be made small.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = "Loss"

    function: Callable = field(..., "Function", "x0, and the step if it wants it, to one number a picture.")
    title: str = field("loss", "Name", "What the loss is called in a step's losses and in sentences.")

    def __init__(self, function: Callable, scale: float | None = None, name: str = "loss", **others: object):
        """`name` is what sentences and a step's losses call it."""
        super().__init__(function=function, scale=scale, title=others.pop("title", name), **others)

    @property
    def curve(self) -> str:
        """What its loss is called."""
        return self.title

    def objective(self, run: Run) -> LossOf:
        """The function, with a sentence for each way in which it may be none that can guide."""
        import torch

        from guidance.sampling.guides import GuidanceError

        name, wants_step = f"The loss {self.title}", needed(self.function) > 1

        def judged(x0: Tensor, i: int) -> Tensor:
            shape = tuple(x0.shape)
            try:
                value = self.function(x0, i) if wants_step else self.function(x0)
            except (RuntimeError, IndexError, ValueError) as error:
                if "device" in str(error):
                    raise GuidanceError(
                        f"{name} mixes devices: bring its own tensors to that of x0, {x0.device}, with .to(x0)."
                    ) from error
                channels = f"{shape[1]} channel{'s' * (shape[1] > 1)}"
                raise GuidanceError(
                    f"{name} cannot judge pictures of {channels} and {shape[2]} x {shape[3]} px: "
                    f"{str(error).splitlines()[0]}"
                ) from error
            if not isinstance(value, torch.Tensor) or value.shape != (shape[0],):
                what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else "no tensor"
                raise GuidanceError(
                    f"{name} must give one number a picture, of shape ({shape[0]},), and gave {what}: "
                    "take the mean over the pixels, (1, 2, 3), and not over the pictures."
                )
            if value.device != x0.device:
                raise GuidanceError(f"{name} must be on the device of x0, {x0.device}, and is on {value.device}.")
            if not value.requires_grad:
                raise GuidanceError(f"{name} has no gradient: it must be made of x0 by operations of torch.")
            if not value.isfinite().all():
                raise GuidanceError(f"{name} is not a finite number at step {i + 1}.")
            return value

        return judged
