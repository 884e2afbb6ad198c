"""The strength over the steps as a small plot, drawn without torch for the built-in landscapes' noise schedule."""

import math
from collections.abc import Callable

from guidance.ui import pictures

TRAINED = 1000  # timesteps, with betas from 1e-4 to 0.02 (DDPM, arXiv:2006.11239, section 4)


def alphas() -> list[float]:
    """The square root of alpha_bar at each timestep."""
    product, found = 1.0, []
    for k in range(TRAINED):
        product *= 1 - (1e-4 + (0.02 - 1e-4) * k / (TRAINED - 1))
        found.append(math.sqrt(product))
    return found


ALPHA = alphas()
# By the timestep of a step and by its number, as sampling's schedule has them.
SHAPES: dict[str, Callable[[int, int], float]] = {
    "constant": lambda t, i: 1.0,
    "early": lambda t, i: math.sqrt(1 - ALPHA[t] ** 2),
    "late": lambda t, i: ALPHA[t],
    "counter": lambda t, i: ALPHA[i],
}


def weights(kind: str, start: float, stop: float, steps: int) -> list[float]:
    """w(t) at each step, from pure noise to the picture."""
    timesteps = [round(TRAINED - k * TRAINED / steps) - 1 for k in range(steps)]
    return [SHAPES[kind](t, i) if start <= i / steps < stop else 0.0 for i, t in enumerate(timesteps)]


def plot(kind: object, start: object, stop: object, steps: int = 40) -> str:
    """The plot, or nothing while the controls say nothing that can be drawn."""
    if kind not in SHAPES or not all(isinstance(share, (int, float)) for share in (start, stop)):
        return ""
    return pictures.curve(weights(kind, start, stop, steps), steps, "w(t)", low=0.0, high=1.0)
