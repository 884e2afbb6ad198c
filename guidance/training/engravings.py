"""Monochrome engravings drawn from integer seeds: the painted landscapes by day, hatched in ink on cream paper."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from guidance.models.attributes import ATTRIBUTES
from guidance.training.landscapes import attributes, paint
from guidance.training.scene import draw, mix, noise

FINE = 4  # lines are drawn at so many times the size, and then averaged
PAPER, INK = (0.96, 0.92, 0.82), (0.13, 0.10, 0.10)
# Sets of lines: the direction across them, as steps along x and y, and the darkness from which on they are drawn.
LINES = (((0.22, 1.0), 0.22), ((1.0, -0.5), 0.60), ((0.9, 0.8), 0.80))


def by_day(start: int, count: int) -> Tensor:
    """The first `count` seeds from `start` on whose landscape is not a night's, (count,)."""
    seeds = torch.arange(start, start + 2 * count + 64)
    return seeds[~attributes(seeds)[:, ATTRIBUTES.index("night")]][:count]


def engrave(seeds: Tensor, size: int = 64) -> Tensor:
    """Engravings: seeds (B,) int64 to (B, 3, size, size) float32 in [-1, 1], each a function of its seed alone.

    Light is the paper; the darker a place is, the wider its lines are and the more directions they run in.
    """
    fine, keys = size * FINE, seeds.view(-1, 1, 1, 1)
    dark = 1 - interpolate(tones(paint(seeds, size)), (fine, fine), mode="bilinear", align_corners=False)
    at = (torch.arange(fine, device=seeds.device) + 0.5) / fine
    x, y = at.view(1, 1, 1, -1), at.view(1, 1, -1, 1)
    waver = 0.012 * noise(keys, 300, y * 5) + 0.012 * noise(keys, 301, x * 5)  # the hand is not quite steady
    ink = torch.zeros_like(dark)
    for number, ((across, down), least) in enumerate(LINES):
        pitch = draw(keys, 302 + number, 15.0, 17.0)  # lines from edge to edge
        place = ((x + waver) * across + (y + waver) * down) * pitch
        away = (place - place.floor() - 0.5).abs() * 2  # 0 in the middle of a line, 1 between two
        width = ((dark - least) / (1 - least)).clamp(0, 1) * 0.55 + 0.14 * (dark > least)
        ink = torch.maximum(ink, ((width - away) * 6 + 0.5).clamp(0, 1) * (dark > least))
    edges = avg_pool2d((dark - dark.roll(1, 2)).abs() + (dark - dark.roll(1, 3)).abs(), 3, 1, 1)
    ink = torch.maximum(ink, (edges * 12 - 0.5).clamp(0, 1))  # outlines
    paper, black = (torch.tensor(rgb, device=seeds.device).view(1, 3, 1, 1) for rgb in (PAPER, INK))
    return mix(paper, black, avg_pool2d(ink, FINE) * 0.95) * 2 - 1


def tones(pictures: Tensor) -> Tensor:
    """The light in pictures (B, 3, H, W) in [-1, 1], spread over the whole range: (B, 1, H, W) in [0, 1]."""
    weights = torch.tensor([0.30, 0.55, 0.15], device=pictures.device).view(1, 3, 1, 1)
    light = (pictures * weights).sum(1, keepdim=True)
    low, high = light.amin((2, 3), keepdim=True), light.amax((2, 3), keepdim=True)
    plain = (light - low) / (high - low).clamp(min=0.05)
    # Half of it by rank, which gives every picture its light and its dark whatever it shows.
    order = light.flatten(1).argsort(dim=1, stable=True).argsort(dim=1)
    ranked = (order.float() / order.shape[1]).view_as(light)
    return mix(plain, ranked.sqrt(), 0.6)
