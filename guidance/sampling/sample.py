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


class Step(NamedTuple):
    """What one step made."""

    i: int
    x_t: Tensor  # (B, C, H, W), after the step; after the last, the picture
    x0: Tensor  # (B, C, H, W) in [-1, 1], the estimate of the picture that the step was taken with
    losses: dict[str, Tensor]


Predict = Callable[[Tensor, int], Prediction]  # (x_t, i) -> Prediction
Travel = tuple[int, float, float]


@torch.no_grad()
def sample(predict: Predict, x_t: Tensor, schedule: Schedule, travel: Travel = (0, 0.0, 0.0)) -> Iterator[Step]:
    """Denoise x_t (B, C, H, W) from pure noise to pictures, one step of the schedule at a time.

    `travel` (times, start, stop) goes back and takes a step again, so many times, between two shares of the schedule:
    time travel (Lugmayr et al. 2022, arXiv:2201.09865; Yu et al. 2023, arXiv:2303.09833).
    """
    before = None
    for i in order(len(schedule.timesteps), *travel):
        if i == before:
            x_t = schedule.back(x_t, i)
        prediction = predict(x_t, i)
        x_t = schedule.step(prediction.x_t, prediction.eps, i)
        x0 = schedule.x0(prediction.x_t, prediction.eps, i).clamp(-1, 1)
        before = i
        yield Step(i, x_t, x0, prediction.losses)


def order(steps: int, times: int = 0, start: float = 0.0, stop: float = 0.0) -> list[int]:
    """The steps in the order they are taken, those to be taken again as often as they are; never the last one."""
    again = [times if start <= i / steps < stop and i + 1 < steps else 0 for i in range(steps)]
    return [i for i in range(steps) for _ in range(1 + again[i])]
