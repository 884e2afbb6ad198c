"""How a gradient bends a step: one function for each published rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.sampling.sample import Prediction
    from guidance.sampling.schedule import Schedule

METHODS = ("shortcut", "full")  # the gradient at x0 with eps held constant, or through the network
CAP = 1.0  # no step is bent by more than the noise it holds


def rms(x: Tensor) -> Tensor:
    """The root mean square of each picture, (B, C, H, W) to (B, 1, 1, 1)."""
    return x.norm(2, dim=(1, 2, 3), keepdim=True) / x[0].numel() ** 0.5


def bend(prediction: Prediction, change: Tensor, schedule: Schedule, i: int) -> Prediction:
    """eps + change, (B, C, H, W), where the solver clips x0 no further than to the end of its range.

    Without that, a saturated pixel would be pushed on at every step, and would take as many to come back.
    """
    if schedule.clips:
        x0, ratio = schedule.x0(prediction.x_t, prediction.eps, i), schedule.sigma[i] / schedule.alpha[i]
        change = (x0.clamp(-1, 1) - x0.sub(change, alpha=ratio).clamp_(-1, 1)).div_(ratio)
    return prediction._replace(eps=prediction.eps + change, pull=prediction.pull + change)


def normalized(
    prediction: Prediction, gradient: Tensor, strength: Tensor, size: Tensor, schedule: Schedule, i: int
) -> Prediction:
    """eps' = eps + s w(t) rms(eps) g / rms(g): the same bend whatever the model, the resolution or the loss's units.

    `gradient` (B, C, H, W) is g, `size` (B, 1, 1, 1) its rms, `strength` (B, 1, 1, 1) is s w(t), at most CAP.
    """
    change = strength.clamp(max=CAP) * rms(prediction.eps) / size.clamp_min(1e-20) * gradient
    return bend(prediction, change, schedule, i)


def course(
    prediction: Prediction, gradient: Tensor, strength: Tensor, size: Tensor, schedule: Schedule, i: int
) -> Prediction:
    """The diffusion course's rule, unit 2: x' = x - s w(t) g, then a step with the eps of the old x."""
    change = strength * gradient
    return prediction._replace(x_t=prediction.x_t - change, pull=prediction.pull + change)


RULES = {"normalized": normalized, "course": course}
