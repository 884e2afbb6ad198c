"""Colours as eyes see them: CIELAB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageStat

if TYPE_CHECKING:
    from torch import Tensor

# Linear sRGB to XYZ, and the white D65 there (IEC 61966-2-1).
XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
WHITE = (0.95047, 1.0, 1.08883)


def lab(rgb: Tensor) -> Tensor:
    """sRGB colours (..., 3) in [0, 1] to CIELAB under D65 (CIE 15:2004), with a gradient; what lies beyond goes on."""
    import torch

    def split(x: Tensor, at: float, curve: Tensor, line: Tensor) -> Tensor:
        return torch.where(x > at, curve, line)

    linear = split(rgb, 0.04045, ((rgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = linear @ rgb.new_tensor(XYZ).T / rgb.new_tensor(WHITE)
    edge = 6 / 29
    f = split(xyz, edge**3, xyz.clamp_min(edge**3) ** (1 / 3), xyz / (3 * edge**2) + 4 / 29)
    x, y, z = f.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def channels(color: str) -> Tensor:
    """A colour "#rrggbb" as (3,) float64 in [0, 1]."""
    import torch

    return torch.tensor([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)], dtype=torch.float64)


def mean(image: Image.Image) -> str:
    """The mean colour of a picture as "#rrggbb"."""
    return "#" + "".join(f"{round(channel):02x}" for channel in ImageStat.Stat(image.convert("RGB")).mean)


def delta_e(a: str, b: str) -> float:
    """The distance of two colours "#rrggbb" (CIE 1976): about 2 can just be seen, 100 is black to white."""
    return float((lab(channels(a)) - lab(channels(b))).norm())
