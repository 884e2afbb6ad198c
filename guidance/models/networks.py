"""Our own small networks."""

import torch
from torch import nn


class AttributeNetwork(nn.Module):
    """Tells which attributes a 64 px landscape shows; its features are the space in which distances are measured.

    It judges pictures and never guides them.
    """

    def __init__(self, outputs: int, widths: tuple[int, ...] = (32, 64, 128, 192), features: int = 256):
        super().__init__()
        blocks, previous = [], 3
        for stage, width in enumerate(widths):
            for channels, stride in ((previous, 1 if stage == 0 else 2), (width, 1)):
                blocks += [nn.Conv2d(channels, width, 3, stride, 1), nn.GroupNorm(8, width), nn.SiLU()]
            previous = width
        self.blocks = nn.Sequential(*blocks)
        self.project = nn.Sequential(nn.Linear(2 * previous, features), nn.SiLU())
        self.head = nn.Linear(features, outputs)

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] to features (B, 256)."""
        x = self.blocks(pictures)
        return self.project(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] to logits (B, attributes)."""
        return self.head(self.features(pictures))
