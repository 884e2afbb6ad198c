"""How far the colours of pictures are from those of a palette: a sliced Wasserstein distance in CIELAB."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from guidance.cielab import lab
from guidance.sampling.guides import Loss

SLICES, PIXELS = 16, 4096  # directions a step, and pixels that are looked at, at most
UNIT = 100.0  # from black to white in CIELAB


def distance(first: Tensor, second: Tensor, directions: Tensor) -> Tensor:
    """The squared sliced 2-Wasserstein distance of points (B, N, 3) and (N, 3) along directions (B, 3, S): (B,).

    Along a line, the best way from one distribution to another keeps the order of its points (Bonneel et al. 2015;
    as guidance of diffusion models: Lobashev et al., NeurIPS 2025).
    """
    moved = (first @ directions).sort(1).values - (second @ directions).sort(1).values
    return moved.square().mean((1, 2)) * 3  # of three axes, a slice sees one


def palette_loss(
    samples: Callable[[int], Tensor], generators: list[torch.Generator], inside: Tensor | None = None
) -> Loss:
    """The distance of the colours of x0 (B, 3, H, W) from `samples(N)`, (N, 3) in CIELAB; in units of black to white.

    The directions are drawn anew at each step, picture k's by `generators[k]`. `inside` (M,) are the pixels that are
    looked at, if not all are.
    """
    target: dict[int, Tensor] = {}

    def loss(x0: Tensor, i: int) -> Tensor:
        pixels = x0.flatten(2) if inside is None else x0.flatten(2)[:, :, inside]  # (B, 3, N)
        if pixels.shape[2] > PIXELS:
            pixels = pixels[:, :, torch.linspace(0, pixels.shape[2] - 1, PIXELS, device=x0.device).round().long()]
        count = pixels.shape[2]
        if count not in target:
            target[count] = samples(count)
        drawn = torch.stack([torch.randn(3, SLICES, generator=generator) for generator in generators])
        colors = lab((pixels.transpose(1, 2) + 1) / 2)
        return distance(colors, target[count], normalize(drawn, dim=1).to(x0)) / UNIT**2

    return loss
