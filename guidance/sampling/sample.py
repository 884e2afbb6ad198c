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
    pull: Tensor | float = 0.0  # (B, C, H, W), what guides have added to eps, or taken from x_t


class Step(NamedTuple):
    """What one step made."""

    i: int
    x_t: Tensor  # (B, C, H, W), after the step; after the last, the picture
    x0: Tensor  # (B, C, H, W), unclamped, the estimate of the picture that the step was taken with
    losses: dict[str, Tensor]  # each (B,)
    pull: Tensor | float  # (B, C, H, W), how the guides bent it


Predict = Callable[[Tensor, int], Prediction]  # (x_t, i) -> Prediction


@torch.no_grad()
def sample(predict: Predict, x_t: Tensor, schedule: Schedule, travel: tuple = (0, 0.0, 0.0)) -> Iterator[Step]:
    """Denoise x_t (B, C, H, W) from pure noise to pictures, one step of the schedule at a time.

    `travel` (times, start, stop) takes steps so many times more, each from new noise (arXiv:2201.09865, 2303.09833).
    """
    before = None
    for i in order(len(schedule.timesteps), *travel):
        x_t, before = schedule.back(x_t, i) if i == before else x_t, i
        x, eps, losses, pull = predict(x_t, i)
        x_t = schedule.step(x, eps, i)
        yield Step(i, x_t, schedule.x0(x, eps, i), losses, pull)


def order(steps: int, times: int = 0, start: float = 0.0, stop: float = 0.0) -> list[int]:
    """The steps in the order they are taken, those to be taken again as often as they are; never the last one."""
    return [i for i in range(steps) for _ in range(1 + times * (start <= i / steps < stop and i + 1 < steps))]
