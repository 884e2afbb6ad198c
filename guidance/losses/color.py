"""Colour losses: how far a picture is from one colour."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import l1_loss, smooth_l1_loss

Loss = Callable[[Tensor, int], Tensor]  # x0 (B, C, H, W) and the step's number to (B,)


def target(color: str, channels: int = 3) -> Tensor:
    """A colour "#rrggbb" as (1, C, 1, 1) in [-1, 1]; its luma (Rec. 601) where there is one channel."""
    rgb = torch.tensor([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 127.5 - 1
    if channels == 1:
        rgb = (rgb * torch.tensor([0.299, 0.587, 0.114])).sum(0, keepdim=True)
    return rgb.view(1, -1, 1, 1)


def tone(color: Tensor) -> Loss:
    """The squared distance of the picture's mean colour from `color` (1, C, 1, 1): light and shade stay free."""
    return lambda x0, i: (x0.mean((2, 3), keepdim=True) - color.to(x0)).square().mean((1, 2, 3))


def pixel(color: Tensor) -> Loss:
    """The mean over pixels of a Huber distance to `color`, smooth where L1 has its kink."""
    return lambda x0, i: smooth_l1_loss(x0, color.to(x0).expand_as(x0), reduction="none", beta=0.5).mean((1, 2, 3))


def pixel_l1(color: Tensor) -> Loss:
    """The mean over pixels of the absolute distance to `color`: the diffusion course's `color_loss`, per picture."""
    return lambda x0, i: l1_loss(x0, color.to(x0).expand_as(x0), reduction="none").mean((1, 2, 3))


COLOR_LOSSES = {"tone": tone, "pixel": pixel, "pixel-l1": pixel_l1}
