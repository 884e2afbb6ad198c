"""Pictures as guidance shows them to a CLIP, and as it bends them: what a CLIP has to see for what it is."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate, normalize

from guidance.sampling.rules import rms
from guidance.sampling.spectrum import wiener

REACH, MOVES = 0.2, 2  # pictures are moved by up to that, as root mean square in [-1, 1], in so many moves


def seen(x: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, 3, 64, 64) in [-1, 1] as guidance shows them: cut, turned a little, flipped, blurred and noisy."""
    here = {"generator": generator, "device": generator.device}
    count = len(x)
    size = 1 - 0.45 * torch.rand(count, **here) ** 1.5
    flip = torch.where(torch.rand(count, **here) < 0.5, -1.0, 1.0)
    shift = (torch.rand(count, 2, **here) * 2 - 1) * (1 - size)[:, None] + 0.05 * torch.randn(count, 2, **here)
    turn = 0.08 * torch.randn(count, **here)
    rows = [torch.stack([size * flip, -size * turn, shift[:, 0]], 1), torch.stack([size * turn, size, shift[:, 1]], 1)]
    grid = affine_grid(torch.stack(rows, 1), x.shape, align_corners=False)
    x = grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    coarse = int(torch.randint(0, 5, (), **here))  # a blur for the whole batch now and then: through a smaller size
    if coarse > 2:
        x = interpolate(interpolate(x, scale_factor=1 / (coarse - 1), mode="area"), size=64, mode="bilinear")
    level = 0.25 * torch.rand(count, 1, 1, 1, **here) ** 2
    return x + level * torch.randn(x.shape, **here)


def bent(x: Tensor, encode: Callable[[Tensor], Tensor], goals: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, 3, 64, 64) as guidance bends them toward the unit vectors `goals` (B, D), which need not fit them.

    A CLIP that has not met such pictures finds in them what nobody else can see, and its gradient leads there
    (adversarial training: Madry et al. 2018, arXiv:1706.06083; for guidance: Kawar et al. 2022, arXiv:2208.08664).
    """
    here = {"generator": generator, "device": generator.device}
    ratio = 10 ** float(torch.rand((), **here) * 1.8 - 1.3)  # sigma / alpha of some step: how coarse the bend is
    alpha, reach = (1 + ratio**2) ** -0.5, REACH * torch.rand(len(x), 1, 1, 1, **here)
    for _ in range(MOVES):
        y = x.detach().requires_grad_()
        far = (normalize(encode(y).float(), dim=-1) - goals).square().sum()
        bend = wiener(torch.autograd.grad(far, y)[0], alpha, ratio * alpha)
        x = x - reach / MOVES * bend / rms(bend).clamp_min(1e-20)
    return x
