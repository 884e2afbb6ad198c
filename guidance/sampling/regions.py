"""Regions: where a guide acts, and what its loss is shown of a picture then.

torch is imported where it is used, so that the names of regions can be had without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SOFT = 0.16  # the width of a region's edge, in sides of a picture
FULL = 0.5  # from so much on a pixel belongs to a region

# Down and across a picture, from 0 to 1, to how far inside a point lies, in sides of a picture; 0 is the middle of
# the edge. Everywhere is no region.
REGIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "everywhere": lambda y, x: 1 + 0 * (y + x),
    "sky": lambda y, x: 0.5 - y + 0 * x,
    "ground": lambda y, x: y - 0.5 + 0 * x,
    "left": lambda y, x: 0.5 - x + 0 * y,
    "right": lambda y, x: x - 0.5 + 0 * y,
    "centre": lambda y, x: 0.28 - (y - 0.5).abs().maximum((x - 0.5).abs()),
    "border": lambda y, x: (y - 0.5).abs().maximum((x - 0.5).abs()) - 0.28,
}  # fmt: skip


def region(name: str, high: int, wide: int) -> Tensor:
    """A region of REGIONS as (1, 1, H, W) in [0, 1], with soft edges."""
    import torch

    y, x = (torch.arange(high) + 0.5) / high, (torch.arange(wide) + 0.5) / wide
    return (REGIONS[name](y[:, None], x[None, :]) / SOFT + 0.5).clamp(0, 1)[None, None]


def resized(cover: Tensor, high: int, wide: int) -> Tensor:
    """A region (1, 1, h, w) for pictures, or latents, of another size."""
    from torch.nn.functional import interpolate

    return interpolate(cover, (high, wide), mode="bilinear", antialias=True).clamp(0, 1)


def within(cover: Tensor) -> Callable[[Tensor], Tensor]:
    """What a loss is shown of pictures (B, C, H, W): the region alone, as a square picture (B, C, S, S).

    It is cut to the region `cover` (1, 1, H, W); what lies outside has the mean colour of what lies inside, and the
    shorter side goes on as in a mirror, so that shapes keep theirs. The mean over the square is that over the region.
    """
    inside = cover >= FULL
    ys, xs = (inside[0, 0].any(axis).nonzero()[:, 0] for axis in (1, 0))
    top, bottom, left, right = int(ys[0]), int(ys[-1]) + 1, int(xs[0]), int(xs[-1]) + 1
    inside, side = inside[..., top:bottom, left:right], max(bottom - top, right - left)
    rows, columns = mirrored(bottom - top, side), mirrored(right - left, side)
    share = inside.float().mean()

    def view(x0: Tensor) -> Tensor:
        import torch

        part, here = x0[..., top:bottom, left:right], inside.to(x0.device)
        if share < 1:
            mean = (part * here).mean((2, 3), keepdim=True) / share.to(part)
            part = torch.where(here, part, mean)
        return part[..., rows.to(x0.device), :][..., columns.to(x0.device)]

    return view


def mirrored(length: int, side: int) -> Tensor:
    """The places of a row of `side` that shows one of `length` again and again, to and fro."""
    import torch

    places = torch.arange(side) % (2 * length)
    return torch.minimum(places, 2 * length - 1 - places)
