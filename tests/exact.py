"""Independent truths for the numerics: an exact denoiser, tiny networks, and plain loops."""

import torch
from diffusers import UNet2DModel


class Mixture:
    """The exact eps(x_t, t) of a mixture of Gaussians, one per colour, over flat pictures; no network, no training."""

    def __init__(self, schedule, means=((-0.6, 0.2, 0.5), (0.5, -0.4, -0.2)), deviation=0.3):
        self.schedule, self.deviation = schedule, deviation
        self.means = torch.tensor(means, dtype=torch.float64).view(len(means), 1, 3, 1, 1)

    def __call__(self, x_t, t):
        alpha_bar = self.schedule.alphas_cumprod[t].double()
        alpha, sigma = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        x = x_t.double()
        variance = (alpha * self.deviation) ** 2 + sigma**2
        away = x - alpha * self.means  # (mixture, B, C, H, W)
        share = (-(away**2).sum((2, 3, 4)) / (2 * variance)).softmax(0).view(len(self.means), len(x), 1, 1, 1)
        return (share * away).sum(0).mul(sigma / variance).to(x_t.dtype)


def tiny_unet(size=16, channels=3, seed=0):
    """A UNet2DModel with random weights that runs in milliseconds."""
    torch.manual_seed(seed)
    unet = UNet2DModel(
        sample_size=size, in_channels=channels, out_channels=channels, block_out_channels=(16, 32), layers_per_block=1,
        norm_num_groups=8, attention_head_dim=8, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    return unet.eval().requires_grad_(False)


def noise(count=2, size=16, seed=0):
    """Pure noise, (count, 3, size, size)."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def generators(*seeds):
    """A generator of each seed."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]
