"""How a gradient bends a step: one function for each published rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.sampling.sample import Prediction
    from guidance.sampling.schedule import Schedule

METHODS = ("shortcut", "full")  # the gradient at x0 with eps held constant, or through the network
CAP = 1.0  # no step is bent by more than the noise it holds, whatever the number of guides


def rms(x: Tensor) -> Tensor:
    """The root mean square of each picture, (B, C, H, W) to (B, 1, 1, 1)."""
    return x.norm(2, dim=(1, 2, 3), keepdim=True) / x[0].numel() ** 0.5


def bend(prediction: Prediction, change: Tensor, schedule: Schedule, i: int, name: str) -> Prediction:
    """eps + change, (B, C, H, W), by the guide `name`, where the solver clips x0 no further than the end of its range.

    Without that, a saturated pixel would be pushed on at every step, and would take as many to come back.
    """
    if schedule.clips:
        x0, ratio = schedule.x0(prediction.x_t, prediction.eps, i), schedule.sigma[i] / schedule.alpha[i]
        change = (x0.clamp(-1, 1) - x0.sub(change, alpha=ratio).clamp_(-1, 1)).div_(ratio)
    pulls = prediction.pulls | {name: change}
    return prediction._replace(eps=prediction.eps + change, pulls=pulls, bent=prediction.bent + change)


def way(prediction: Prediction, gradient: Tensor) -> Prediction:
    """What guides have bent so far without what in it is against `gradient` (B, C, H, W), that of the next one's loss.

    The next guide has the right of way along its own gradient, and nowhere else: gradient surgery (Yu et al. 2020,
    arXiv:2001.06782), performed on the earlier guides alone.
    """
    pulls, size = prediction.pulls, gradient.square().sum((1, 2, 3), keepdim=True).clamp_min(1e-20)
    for guide in prediction.losses.keys() & pulls.keys():
        against = (pulls[guide] * gradient).sum((1, 2, 3), keepdim=True).clamp(max=0) / size
        less = -against * gradient
        pulls = pulls | {guide: pulls[guide] + less}
        prediction = prediction._replace(eps=prediction.eps + less, bent=prediction.bent + less)
    return prediction._replace(pulls=pulls)


def normalized(
    prediction: Prediction, gradient: Tensor, strength: Tensor, size: Tensor, schedule: Schedule, i: int, name: str
) -> Prediction:
    """eps' = eps + s w(t) rms(eps) g / rms(g): the same bend whatever the model, the resolution or the loss's units.

    `gradient` (B, C, H, W) is g, `size` (B, 1, 1, 1) its rms, `strength` (B, 1, 1, 1) is s w(t), at most CAP. Where
    losses have bent the step before, they give `way` to g, rms(eps) is that of the eps before all of them, and their
    sum has the same CAP: beyond it, all of them give way in the same proportion.
    """
    bent = prediction.bent
    unit = rms(prediction.eps - bent)
    change = strength.clamp(max=CAP) * unit / size.clamp_min(1e-20) * gradient
    if not isinstance(bent, float):  # others have bent it before
        prediction = way(prediction, gradient)
        bent, before = prediction.bent, prediction.pulls
        share = (CAP * unit / rms(bent + change).clamp_min(1e-20)).clamp(max=1)
        change, less = share * change, (share - 1) * bent
        pulls = before | {guide: share * before[guide] for guide in prediction.losses if guide in before}
        prediction = prediction._replace(eps=prediction.eps + less, pulls=pulls, bent=bent + less)
    return bend(prediction, change, schedule, i, name)


def course(
    prediction: Prediction, gradient: Tensor, strength: Tensor, size: Tensor, schedule: Schedule, i: int, name: str
) -> Prediction:
    """The diffusion course's rule, unit 2: x' = x - s w(t) g, then a step with the eps of the old x."""
    change = strength * gradient
    return prediction._replace(x_t=prediction.x_t - change, pulls=prediction.pulls | {name: change})


RULES = {"normalized": normalized, "course": course}
