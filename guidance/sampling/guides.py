"""Guides: wrappers that take a Predict and give a Predict that is steered. They stack."""

from collections.abc import Callable

import torch
from torch import Tensor

from guidance.sampling.rules import RULES, bend, rms
from guidance.sampling.sample import Predict, Prediction
from guidance.sampling.schedule import Schedule

BLEW_UP = "The guidance blew up at step {step} of {steps} with scale {scale:g}: lower the scale."
SHIFT = 0.5  # a classifier moves x0, in [-1, 1], by no more than this

Loss = Callable[[Tensor, int], Tensor]  # x0 (B, C, H, W) and the step's number to (B,)
LogProbability = Callable[[Tensor, int], Tensor]  # x_t (B, C, H, W) and a timestep to (B,)


class GuidanceError(RuntimeError):
    """Guidance cannot go on; the message is a sentence for the user."""


def network(eps: Callable[[Tensor, int], Tensor], schedule: Schedule) -> Predict:
    """The unguided Predict of a network eps(x_t, t)."""
    return lambda x_t, i: Prediction(x_t, eps(x_t, schedule.timesteps[i]))


def loss_guide(
    predict: Predict, loss: Loss, schedule: Schedule, *, scale: float, weights: list[float], name: str = "loss",
    method: str = "shortcut", rule: str = "normalized", fade: bool = False,
    precondition: Callable[[Tensor, float, float], Tensor] | None = None, region: Tensor | None = None,
) -> Predict:  # fmt: skip
    """Steer by the gradient of loss(x0, i) with respect to x_t, where x0 is the current estimate of the picture.

    `loss` takes x0 (B, C, H, W), unclamped, and gives (B,). `method` "shortcut" takes eps as a constant (the course's
    variant 1; MPGD, arXiv:2311.16424), under the normalized rule with `precondition` (gradient, alpha, sigma) in the
    network's place; "full" goes through it (variant 2; DPS, arXiv:2209.14687). `weights` is w(t); `fade` a factor
    sqrt(min(1, loss / first loss)). `region` (1, 1, H, W) in [0, 1] is where x_t is bent, and there as strongly as
    elsewhere the whole. It serves one run, for it remembers the first loss.
    """
    first = None

    def guided(x_t: Tensor, i: int) -> Prediction:
        nonlocal first
        if weights[i] == 0:
            return predict(x_t, i)
        outer = x_t.requires_grad  # an outer guide differentiates through this one
        with torch.enable_grad():
            if method == "full":
                x = x_t if outer else x_t.detach().requires_grad_()
                prediction = predict(x, i)
                x0 = schedule.x0(prediction.x_t, prediction.eps, i)
            else:
                with torch.set_grad_enabled(outer):
                    prediction = predict(x_t, i)
                x = x0 = schedule.x0(prediction.x_t.detach(), prediction.eps.detach(), i).requires_grad_()
            if rule == "course" and schedule.clips:  # its loss sees what diffusers' scheduler returns
                x0 = x0.clamp(-1, 1)
            losses = loss(x0, i)
            (gradient,) = torch.autograd.grad(losses.sum(), x, retain_graph=outer)
        if method == "shortcut" and precondition and rule == "normalized":
            gradient = precondition(gradient, schedule.alpha[i], schedule.sigma[i])
        elif method == "shortcut":  # with a constant eps, x0 = x_t / alpha - ...
            gradient = gradient / schedule.alpha[i]
        size = rms(gradient)
        if region is not None:
            gradient = gradient * region
            size = rms(gradient) / region.mean().sqrt()
        if not size.isfinite().all():
            raise GuidanceError(BLEW_UP.format(step=i + 1, steps=len(weights), scale=scale))
        if not outer:
            prediction = prediction._replace(x_t=prediction.x_t.detach(), eps=prediction.eps.detach())
        losses = losses.detach()
        first = losses if first is None else first
        fading = (losses / first.clamp_min(1e-12)).clamp(max=1).sqrt() if fade else torch.ones_like(losses)
        strength = (scale * weights[i] * fading).view(-1, 1, 1, 1)
        prediction = RULES[rule](prediction, gradient, strength, size, schedule, i, name)
        return prediction._replace(losses=prediction.losses | {name: losses})

    return guided


def replaced(
    predict: Predict, change: Callable[[Tensor], Tensor], schedule: Schedule, name: str, weights: list[float]
) -> Predict:
    """`predict` with the estimate x0 + w(t) change(x0), both (B, C, H, W), in place of x0."""

    def guided(x_t: Tensor, i: int) -> Prediction:
        prediction = predict(x_t, i)
        if weights[i] == 0:
            return prediction
        x0 = schedule.x0(prediction.x_t, prediction.eps, i)
        bend = -schedule.alpha[i] / schedule.sigma[i] * weights[i] * change(x0.clamp(-1, 1) if schedule.clips else x0)
        return prediction._replace(eps=prediction.eps + bend, pulls=prediction.pulls | {name: bend})

    return guided


def classifier_free(
    eps: Callable[[Tensor, int, Tensor], Tensor], condition: Tensor, null: Tensor, schedule: Schedule, *,
    scale: float, weights: list[float], name: str = "text",
) -> Predict:  # fmt: skip
    """eps = eps(null) + w (eps(condition) - eps(null)), both in one forward (Ho and Salimans 2022, arXiv:2207.12598).

    w is `scale`, or 1 where a step's weight is 0. `condition` and `null` are (B, ...), as the network takes them.
    """

    def guided(x_t: Tensor, i: int) -> Prediction:
        if weights[i] == 0 or scale in (0, 1):
            return Prediction(x_t, eps(x_t, schedule.timesteps[i], null if scale == 0 and weights[i] else condition))
        without, told = eps(torch.cat([x_t, x_t]), schedule.timesteps[i], torch.cat([null, condition])).chunk(2)
        change = scale * (told - without)
        return Prediction(x_t, without + change, pulls={name: change})

    return guided


def classifier_guide(
    predict: Predict, log_probability: LogProbability, schedule: Schedule, *, scale: float, weights: list[float],
    name: str = "classifier",
) -> Predict:  # fmt: skip
    """eps' = eps - s w(t) sigma_t grad log p(y | x_t), given as (x_t, t) to (B,) (arXiv:2105.05233, algorithm 2)."""

    def guided(x_t: Tensor, i: int) -> Prediction:
        prediction = predict(x_t, i)
        if weights[i] == 0:
            return prediction
        with torch.enable_grad():
            log_p = log_probability(x := x_t.detach().requires_grad_(), schedule.timesteps[i])
            (gradient,) = torch.autograd.grad(log_p.sum(), x)
        change = -scale * weights[i] * schedule.sigma[i] * gradient
        most = SHIFT * schedule.alpha[i] / schedule.sigma[i]  # near pure noise a classifier's errors would be all of x0
        prediction = bend(prediction, change * (most / rms(change).clamp_min(1e-20)).clamp(max=1), schedule, i, name)
        return prediction._replace(losses=prediction.losses | {name: -log_p.detach()})

    return guided


def aware(classifier: Callable[[Tensor, Tensor], Tensor], labels: Tensor) -> LogProbability:
    """log p(labels | x_t, t) of a classifier that is told the noise level; labels (B,)."""

    def log_probability(x_t: Tensor, t: int) -> Tensor:
        logits = classifier(x_t, torch.full((len(x_t),), t, device=x_t.device))
        return logits.log_softmax(1).gather(1, labels[:, None]).squeeze(1)

    return log_probability


def blind(classifier: Callable[[Tensor, Tensor], Tensor], labels: Tensor) -> LogProbability:
    """The same of a classifier that takes every picture for a clean one."""
    log_probability = aware(classifier, labels)
    return lambda x_t, t: log_probability(x_t, 0)
