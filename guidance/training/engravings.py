"""Monochrome engravings drawn from integer seeds: the painted landscapes, hatched in ink on cream paper."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from guidance.training.brushes import draw, mix, noise
from guidance.training.landscapes import paint

FINE = 4  # lines are drawn at so many times the size, and then averaged
PAPER, INK = (0.96, 0.92, 0.82), (0.13, 0.10, 0.10)
# Sets of lines: the direction across them, as steps along x and y, and the darkness from which on they are drawn.
LINES = (((0.35, 1.0), 0.12), ((1.0, -0.6), 0.45), ((0.7, 0.7), 0.68))


def engrave(seeds: Tensor, size: int = 64) -> Tensor:
    """Engravings: seeds (B,) int64 to (B, 3, size, size) float32 in [-1, 1], each a function of its seed alone.

    Light is the paper; the darker a place is, the wider its lines are and the more directions they run in.
    """
    fine, keys = size * FINE, seeds.view(-1, 1, 1, 1)
    scene = (paint(seeds, size) + 1) / 2
    light = scene[:, 0:1] * 0.30 + scene[:, 1:2] * 0.55 + scene[:, 2:3] * 0.15
    low, high = light.amin((2, 3), keepdim=True), light.amax((2, 3), keepdim=True)
    light = (light - low) / (high - low).clamp(min=0.05)  # the whole range, as a printer would use it
    dark = 1 - interpolate(light, (fine, fine), mode="bilinear", align_corners=False)
    at = (torch.arange(fine, device=seeds.device) + 0.5) / fine
    x, y = at.view(1, 1, 1, -1), at.view(1, 1, -1, 1)
    waver = 0.012 * noise(keys, 300, y * 5) + 0.012 * noise(keys, 301, x * 5)  # the hand is not quite steady
    ink = torch.zeros_like(dark)
    for number, ((across, down), least) in enumerate(LINES):
        pitch = draw(keys, 302 + number, 15.0, 17.0)  # lines from edge to edge
        place = ((x + waver) * across + (y + waver) * down) * pitch
        away = (place - place.floor() - 0.5).abs() * 2  # 0 in the middle of a line, 1 between two
        width = ((dark - least) / (1 - least)).clamp(0, 1) * 0.75 + 0.18 * (dark > least)
        ink = torch.maximum(ink, ((width - away) * 6 + 0.5).clamp(0, 1))
    edges = avg_pool2d((dark - dark.roll(1, 2)).abs() + (dark - dark.roll(1, 3)).abs(), 3, 1, 1)
    ink = torch.maximum(ink, (edges * 14 - 0.6).clamp(0, 1))  # outlines
    ink = avg_pool2d(ink, FINE)
    paper, black = (torch.tensor(rgb, device=seeds.device).view(1, 3, 1, 1) for rgb in (PAPER, INK))
    return mix(paper, black, ink * 0.95) * 2 - 1
