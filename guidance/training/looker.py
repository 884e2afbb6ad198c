"""Small networks that look at pictures: critics, and those that judge afterwards what was trained."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, leaky_relu
from tqdm import tqdm

from guidance.models.upscaler import enlarged, reduced
from guidance.training.trainer import DEVICE


def stored(x: Tensor) -> Tensor:
    """Pictures in [-1, 1] as uint8."""
    return ((x + 1) * 127.5).round().byte().cpu()


def scaled(pictures: Tensor) -> Tensor:
    """uint8 pictures in [-1, 1]."""
    return pictures.to(DEVICE).float() / 127.5 - 1


def detailed(pictures: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) with their detail, four times as strong, beside them: (B, 6, H, W)."""
    return torch.cat([pictures, 4 * (pictures - enlarged(reduced(pictures)))], 1)


class Critic(nn.Module):
    """Tells paintings from what the upscaler makes, part by part; shown the detail apart, it learns in a few steps."""

    def __init__(self, widths: tuple[int, ...] = (6, 32, 64, 96, 128)):
        super().__init__()
        steps = [nn.Conv2d(before, after, 4, 2, 1) for before, after in zip(widths, widths[1:], strict=False)]
        self.steps = nn.ModuleList([*steps, nn.Conv2d(widths[-1], 1, 3, padding=1)])
        for step in self.steps:
            nn.init.kaiming_normal_(step.weight, 0.2)
            nn.init.zeros_(step.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) to how much like a painting their parts are, (B, 1, H / 16, W / 16)."""
        x = detailed(pictures)
        for step in self.steps[:-1]:
            x = leaky_relu(step(x), 0.2)
        return self.steps[-1](x)


class Looker(nn.Module):
    """A small network that looks at pictures of any size, and at their detail apart, which it would learn late."""

    def __init__(self, answers: int, widths: tuple[int, ...] = (6, 32, 64, 96, 128)):
        super().__init__()
        layers = []
        for before, after in zip(widths, widths[1:], strict=False):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.GroupNorm(8, after), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(widths[-1], answers))

    def features(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) to features (B, 128)."""
        return self.body(detailed(pictures))

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) to logits (B, answers)."""
        return self.head(self.features(pictures))


def looker(answers: int, seed: int = 0) -> Looker:
    """One that has learned nothing yet, always the same for a seed."""
    torch.manual_seed(seed)
    return Looker(answers).to(DEVICE, memory_format=torch.channels_last)


def taught(network: Looker, drawn: Callable[[], tuple[Tensor, Tensor]], steps: int) -> Looker:
    """The network after so many batches of uint8 pictures (B, 3, H, W) and their answers (B, A) of 0 and 1."""
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.05)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in tqdm(range(steps), leave=False):
        x, truth = drawn()
        x = scaled(torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x))
        loss = binary_cross_entropy_with_logits(network(x), truth.to(x.device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    return network.eval()


def teller(these: Tensor, others: Tensor, steps: int, batch: int, seed: int = 0) -> Looker:
    """A network taught to tell these pictures, its logit above 0, from others, both (N, 3, H, W) uint8."""
    network, half = looker(1, seed), batch // 2
    truth = (torch.arange(batch) < half).float()[:, None]

    def drawn() -> tuple[Tensor, Tensor]:
        return torch.cat([pool[torch.randint(len(pool), (half,))] for pool in (these, others)]), truth

    return taught(network, drawn, steps)
