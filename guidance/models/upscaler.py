"""The network that makes large pictures of small ones; what it makes, made small again, is near what it was given."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pixel_shuffle, silu

FACTOR = 4


def enlarged(x: Tensor) -> Tensor:
    """Pictures (B, C, H, W) with FACTOR times FACTOR pixels for each."""
    return x.repeat_interleave(FACTOR, 2).repeat_interleave(FACTOR, 3)


def reduced(y: Tensor) -> Tensor:
    """Pictures (B, C, H, W) with the mean of each FACTOR times FACTOR pixels."""
    return avg_pool2d(y, FACTOR)


def smooth(x: Tensor) -> Tensor:
    """Pictures (B, C, H, W), FACTOR times as large, without squares."""
    return interpolate(x, scale_factor=FACTOR, mode="bicubic")


def fitted(y: Tensor, x: Tensor) -> Tensor:
    """The pictures nearest to y (B, C, 4 H, 4 W), in [-1, 1], that are x (B, C, H, W) when they are made small.

    What y has beyond x is lessened where it would leave the range: clamping would change the means.
    """
    detail = y - enlarged(reduced(y))
    square = detail.unflatten(2, (-1, FACTOR)).unflatten(4, (-1, FACTOR))
    most, least = square.amax((3, 5)), square.amin((3, 5))
    room = torch.minimum((1 - x) / most.clamp_min(1e-6), (1 + x) / (-least).clamp_min(1e-6))
    return enlarged(x) + detail * enlarged(room.clamp(0, 1))


def near(wanted: Tensor, x: Tensor, slack: float) -> Tensor:
    """Pictures (B, C, H, W) from x toward those wanted, of the mean colours of x and within `slack` of it as rms.

    No pixel moves by 6 slack or more: the grain of a sample may go, and its stars stay.
    """
    change = wanted - x
    change = change / (1 + change.abs() / (6 * slack))
    change = change - change.mean((2, 3), keepdim=True)
    size = change.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
    return (x + change * (slack / size).clamp(max=1)).clamp(-1, 1)


class Block(nn.Module):
    """Two convolutions around a nonlinearity, added to what they were given."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, width, H, W) to the same."""
        return x + self.second(silu(self.first(x)))


class Upscaler(nn.Module):
    """A plain convolutional network, nearly all of it at the small size, that is told how far its input may be off.

    That is the strength of the conditioning augmentation of cascaded diffusion (arXiv:2106.15282): 0 takes a picture at
    its word, more makes less of what it shows. `strength` is what it is told unless another is given. What it makes,
    made small again, may be `slack` from what it was given, as rms in [-1, 1].
    """

    def __init__(self, width: int = 64, blocks: int = 8, strength: float = 0.0, slack: float = 0.0):
        super().__init__()
        if not (0 < width <= 512 and 0 < blocks <= 64 and 0 <= strength <= 1 and 0 <= slack <= 1):  # a stranger's file
            raise ValueError("No upscaler is of this size.")
        self.config = {"width": width, "blocks": blocks, "strength": strength, "slack": slack}
        self.head = nn.Conv2d(3 + 1, width, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.twice = nn.Conv2d(width, width // 2 * 4, 3, padding=1)
        self.again = nn.Conv2d(width // 2, width // 2 * 4, 3, padding=1)
        self.tail = nn.Conv2d(width // 2, 3, 3, padding=1)

    def forward(self, x: Tensor, strength: Tensor | None = None) -> Tensor:
        """Pictures x (B, 3, H, W) in [-1, 1], each of its strength (B,) in [0, 1], to (B, 3, 4 H, 4 W) in [-1, 1]."""
        strength = x.new_full((len(x),), self.config["strength"]) if strength is None else strength
        plane = strength.view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        features = self.blocks(self.head(torch.cat([x, plane], 1)))
        features = silu(pixel_shuffle(self.twice(features), 2))  # (B, width / 2, 2 H, 2 W)
        features = silu(pixel_shuffle(self.again(features), 2))  # (B, width / 2, 4 H, 4 W)
        y, slack = smooth(x) + self.tail(features), self.config["slack"]
        return fitted(y, near(reduced(y), x, slack) if slack else x)

    def save(self, folder: Path) -> None:
        """Write the configuration and the weights in half precision, as a model's folder has them in `upscaler`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config, indent=2) + "\n")
        halves = {name: weight.half().contiguous().cpu() for name, weight in self.state_dict().items()}
        save_file(halves, folder / "model.safetensors")
