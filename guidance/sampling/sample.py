"""The sampling loop. There is one; everything that steers is inside `predict`."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from guidance.sampling.schedule import Schedule


class Prediction(NamedTuple):
    """What a network, or a guide around it, says at one step."""

    x_t: Tensor  # (B, C, H, W), where the solver steps from: its input, unless a rule moves it
    eps: Tensor  # (B, C, H, W), the noise in it
    losses: dict[str, Tensor] = {}  # each (B,), of every guide so far
    pulls: dict[str, Tensor] = {}  # each (B, C, H, W), what every guide has added to eps, or taken from x_t
    bent: tuple[str, ...] = ()  # of them, those whose losses have added to eps


class Step(NamedTuple):
    """What one step made."""

    i: int
    x_t: Tensor  # (B, C, H, W), after the step; after the last, the picture
    x0: Tensor  # (B, C, H, W), unclamped, the estimate of the picture that the step was taken with
    losses: dict[str, Tensor]  # each (B,)
    pulls: dict[str, Tensor]  # each (B, C, H, W), how every guide bent it


Predict = Callable[[Tensor, int], Prediction]  # (x_t, i) -> Prediction


@torch.no_grad()
def sample(
    predict: Predict, x_t: Tensor, schedule: Schedule, travel: tuple = (0, 0.0, 0.0), first: int = 0
) -> Iterator[Step]:  # fmt: skip
    """Denoise x_t (B, C, H, W) from pure noise, or from step `first`, to pictures, a step of the schedule at a time.

    `travel` (times, start, stop) takes steps so many times more, each from new noise (arXiv:2201.09865, 2303.09833).
    """
    before = None
    for i in order(len(schedule.timesteps), *travel, first):
        x_t, before = schedule.back(x_t, i) if i == before else x_t, i
        x, eps, losses, pulls, _ = predict(x_t, i)
        x_t = schedule.step(x, eps, i)
        yield Step(i, x_t, schedule.x0(x, eps, i), losses, pulls)


def order(steps: int, times: int = 0, start: float = 0.0, stop: float = 0.0, first: int = 0) -> list[int]:
    """The steps in the order they are taken, those to be taken again as often as they are; never the last one."""
    return [i for i in range(first, steps) for _ in range(1 + times * (start <= i / steps < stop and i + 1 < steps))]
