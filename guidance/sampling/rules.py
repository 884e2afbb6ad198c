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
    return prediction._replace(eps=prediction.eps + change, pulls=pulls, bent=(*prediction.bent, name))


def way(pull: Tensor, gradient: Tensor) -> Tensor:
    """What a guide has bent so far, without what in it is against the gradient of the next one's loss: (B, C, H, W).

    The next guide has the right of way along its own gradient, and nowhere else: gradient surgery (Yu et al. 2020,
    arXiv:2001.06782), performed on the earlier guides alone.
    """
    axes = (1, 2, 3)
    size = gradient.square().sum(axes, keepdim=True).clamp_min(1e-20)
    return pull - (pull * gradient).sum(axes, keepdim=True).clamp(max=0) / size * gradient


def normalized(
    prediction: Prediction, gradient: Tensor, strength: Tensor, size: Tensor, schedule: Schedule, i: int, name: str
) -> Prediction:
    """eps' = eps + s w(t) rms(eps) g / rms(g): the same bend whatever the model, the resolution or the loss's units.

    `gradient` (B, C, H, W) is g, `size` (B, 1, 1, 1) its rms, `strength` (B, 1, 1, 1) is s w(t), at most CAP. Where
    losses have bent the step before, they give `way` to g, rms(eps) is that of the eps before all of them, and their
    sum has the same CAP: beyond it, all of them give way in the same proportion.
    """
    before = {guide: prediction.pulls[guide] for guide in prediction.bent}
    bent = sum(before.values())
    unit = rms(prediction.eps - bent)
    change = strength.clamp(max=CAP) * unit / size.clamp_min(1e-20) * gradient
    if before:
        kept = {guide: way(pull, gradient) for guide, pull in before.items()}
        total = sum(kept.values())
        share = (CAP * unit / rms(total + change).clamp_min(1e-20)).clamp(max=1)
        pulls = prediction.pulls | {guide: share * pull for guide, pull in kept.items()}
        prediction = prediction._replace(eps=prediction.eps + (share * total - bent), pulls=pulls)
        change = share * change
    return bend(prediction, change, schedule, i, name)


def course(
    prediction: Prediction, gradient: Tensor, strength: Tensor, size: Tensor, schedule: Schedule, i: int, name: str
) -> Prediction:
    """The diffusion course's rule, unit 2: x' = x - s w(t) g, then a step with the eps of the old x."""
    change = strength * gradient
    return prediction._replace(x_t=prediction.x_t - change, pulls=prediction.pulls | {name: change})


RULES = {"normalized": normalized, "course": course}
