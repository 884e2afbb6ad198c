"""What the painted landscapes are made of: random numbers, noise and antialiased shapes."""

from dataclasses import dataclass

import torch
from torch import Tensor


def mixed(number: Tensor) -> Tensor:
    """Scrambles 32-bit integers held in int64; both multipliers stay below 2**31, so no product overflows."""
    number = (number ^ (number >> 16)) * 0x21F0AAAD & 0xFFFFFFFF
    number = (number ^ (number >> 15)) * 0x735A2D97 & 0xFFFFFFFF
    return number ^ (number >> 15)


def draw(seeds: Tensor, channel: int, low: float = 0.0, high: float = 1.0, cell: Tensor | int = 0) -> Tensor:
    """Uniform numbers in [low, high), a pure function of (seed, channel, cell), shaped as seeds and cell broadcast."""
    seeds = mixed((seeds & 0xFFFFFFFF) ^ mixed((seeds >> 32) & 0xFFFFFFFF))
    number = mixed((seeds + (channel * 4096 + cell) * 0x9E3779B9) & 0xFFFFFFFF)
    return (number >> 8).float() * 2.0**-24 * (high - low) + low


def noise(seeds: Tensor, channel: int, position: Tensor) -> Tensor:
    """Smooth value noise in [0, 1) along a line, one lattice cell per unit of position."""
    floor = position.floor()
    weight = position - floor
    cell = floor.long() + 64
    left, right = draw(seeds, channel, cell=cell), draw(seeds, channel, cell=cell + 1)
    return mix(left, right, weight * weight * (3 - 2 * weight))


def mix(first: Tensor | float, second: Tensor | float, weight: Tensor | float) -> Tensor:
    """The straight line from first (weight 0) to second (weight 1)."""
    return first + (second - first) * weight


@dataclass
class Scene:
    """What every brush needs: pixel centres, truths and colours, all broadcastable to (B, 3, size, size)."""

    seeds: Tensor  # (B, 1, 1, 1)
    size: int
    x: Tensor  # (1, 1, 1, size), 0 at the left edge, 1 at the right
    y: Tensor  # (1, 1, size, 1), 0 at the top edge, 1 at the bottom
    true: dict[str, Tensor]  # attribute to (B, 1, 1, 1) of 0.0 or 1.0
    colours: dict[str, Tensor]  # role in PALETTE to (B, 3, 1, 1)
    body_x: Tensor  # where sun or moon stands, drawn even where there is neither, since light comes from there

    def draw(self, channel: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """One number per picture in [low, high)."""
        return draw(self.seeds, channel, low, high)

    def ridge(self, channel: int, frequency: float, octaves: int, sharp: bool = False) -> Tensor:
        """A ridgeline in [0, 1] along x, (B, 1, 1, size): smooth, or with creased peaks when sharp."""
        total, weight, height = 0.0, 1.0, 0.0
        for octave in range(octaves):
            value = noise(self.seeds, channel + octave, self.x * frequency * 2**octave + self.draw(channel))
            height = height + weight * (1 - (2 * value - 1).abs() if sharp else value)
            total, weight = total + weight, weight * 0.45
        return height / total

    def edge(self, distance: Tensor) -> Tensor:
        """Coverage of a pixel whose centre lies this far inside a shape: a ramp one pixel wide."""
        return (distance * self.size + 0.5).clamp(0, 1)

    def capsule(self, x: Tensor, y: Tensor, half_width: Tensor | float, half_height: Tensor | float,
                radius: Tensor | float) -> Tensor:
        """Coverage of a rounded bar round (x, y); with no half extents, of a disc."""
        across = ((self.x - x).abs() - half_width).clamp(min=0)
        down = ((self.y - y).abs() - half_height).clamp(min=0)
        return self.edge(radius - (across * across + down * down).sqrt())

    def colour(self, *rgb: float) -> Tensor:
        """A fixed colour as (1, 3, 1, 1)."""
        return torch.tensor(rgb, device=self.x.device).view(1, 3, 1, 1)

    def lit(self, base: Tensor, haze: float, light: Tensor | float = 1.0) -> Tensor:
        """A surface colour under the hour's light (1) or shade (0), faded toward the horizon by haze."""
        base = mix(base, base[:, 1:2], 0.4 * self.true["night"])  # colours fade by night
        lit = (base * mix(self.colours["shade"], self.colours["light"], light)).clamp(0, 1)
        return mix(lit, self.colours["low"], haze)
