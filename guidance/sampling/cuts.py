"""Random cuts of pictures, and how far a CLIP finds them from sentences or other pictures."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, affine_grid, grid_sample, normalize

from guidance.sampling.guides import Loss


def great_circle(first: Tensor, second: Tensor) -> Tensor:
    """Half the squared angle between unit vectors (..., D) to (...), in radians squared, as the course has it."""
    chord = ((first - second).square().sum(-1) + 1e-12).sqrt()  # a norm has no gradient at 0
    return 2 * (chord / 2).clamp(max=1 - 1e-6).arcsin().square()


def cut(x0: Tensor, count: int, size: int, generators: list[torch.Generator], progress: float) -> Tensor:
    """`count` random cuts of each picture (B, C, H, W): (B * count, 3, size, size), in one differentiable resampling.

    A cut is a crop, turned a little and flipped half the time. At first (`progress` 0) all of them show nearly the
    whole picture; by the end (1) half of them are inner cuts of half to nine tenths of its side. Picture k's are drawn
    by `generators[k]`.
    """
    if min(x0.shape[2:]) >= 2 * size:  # a resampling by more than two would skip pixels
        x0 = adaptive_avg_pool2d(x0, (size * x0.shape[2] // min(x0.shape[2:]), size * x0.shape[3] // min(x0.shape[2:])))
    overview = math.ceil(count * (1 - 0.5 * progress))
    rows = []
    for generator in generators:
        uniform = torch.rand(count, 6, generator=generator)
        inner = torch.arange(count) >= overview
        scale = torch.where(inner, 0.5 + 0.4 * uniform[:, 0], 0.9 + 0.15 * uniform[:, 0])
        flip, turn = torch.where(uniform[:, 1] < 0.5, -1.0, 1.0), 0.2 * (uniform[:, 2] - 0.5)
        shift = (2 * uniform[:, 3:5] - 1) * (1 - scale)[:, None].abs()
        rows.append(torch.stack([scale * flip, -scale * turn, shift[:, 0], scale * turn * flip, scale, shift[:, 1]], 1))
    grid = affine_grid(torch.cat(rows).view(-1, 2, 3).to(x0), [len(x0) * count, x0.shape[1], size, size], False)
    pictures = x0.repeat_interleave(count, 0)
    pictures = grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return pictures.expand(-1, 3, -1, -1)


def prompt_loss(
    encode_image: Callable[[Tensor], Tensor], size: int, targets: Tensor, weights: list[float], *, cuts: int,
    generators: list[torch.Generator], steps: int,
) -> Loss:  # fmt: skip
    """The mean over cuts and targets, by weight, of the squared great-circle distance; a negative weight repels.

    `encode_image` takes (N, 3, size, size) in [0, 1] and gives (N, D); `targets` are unit vectors (M, D), or (B, M, D)
    where each picture has its own.
    """
    shares = torch.tensor(weights) / sum(abs(weight) for weight in weights)

    def loss(x0: Tensor, i: int) -> Tensor:
        pictures = cut(x0, cuts, size, generators, i / steps)
        features = normalize(encode_image((pictures + 1) / 2).float(), dim=-1)  # (B * cuts, D)
        distances = great_circle(features.view(len(x0), cuts, 1, -1), targets.to(features).unsqueeze(-3))
        return (distances * shares.to(features)).sum(2).mean(1)

    return loss
