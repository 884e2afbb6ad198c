"""A diffusion model as the engine sees it: eps(x_t, t), a size and a scheduler's configuration."""

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn
from torch.nn.functional import pad


class Model:
    """An unconditional pixel-space UNet, frozen, on its device; it answers in eps whatever it was trained for."""

    def __init__(self, unet: nn.Module, config: dict):
        # channels_last is what convolutions want on CPUs and on tensor cores alike.
        self.unet = unet.to(memory_format=torch.channels_last).eval().requires_grad_(False)
        self.config, self.device, self.dtype = config, unet.device, unet.dtype
        self.alphas_cumprod: list[float] = DDIMScheduler.from_config(config).alphas_cumprod.tolist()
        self.channels: int = unet.config.in_channels
        size = unet.config.sample_size
        self.size: tuple[int, int] = (size, size) if isinstance(size, int) else tuple(size)
        # Kernels round differently in batches of different sizes. The network sees one size only, the last batch
        # padded, so a picture is the same pixels alone and in company.
        self.batch = max(1, (4 if self.device.type == "cpu" else 32) * 64 * 64 // (self.size[0] * self.size[1]))

    def noise(self, seeds: list[int]) -> Tensor:
        """The pure noise each seed starts from, (B, C, H, W) float32: one CPU generator per picture."""
        shape = (self.channels, *self.size)
        noise = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.stack(noise).to(self.device)

    def eps(self, x_t: Tensor, t: int) -> Tensor:
        """The noise in x_t at timestep t, both (B, C, H, W) float32."""
        output = torch.cat([self.run(part, t) for part in x_t.split(self.batch)])
        alpha_bar = self.alphas_cumprod[t]
        return PREDICTIONS[self.config["prediction_type"]](output, x_t, alpha_bar**0.5, (1 - alpha_bar) ** 0.5)

    def run(self, x_t: Tensor, t: int) -> Tensor:
        """The network on at most `batch` pictures, padded to that number."""
        count = len(x_t)
        x = pad(x_t, (0, 0, 0, 0, 0, 0, 0, self.batch - count)).to(self.dtype, memory_format=torch.channels_last)
        return self.unet(x, torch.tensor(t, device=self.device)).sample[:count].float()


# From what a network predicts to eps: output, x_t, alpha_t, sigma_t (Salimans and Ho 2022, arXiv:2202.00512).
PREDICTIONS = {
    "epsilon": lambda output, x_t, alpha, sigma: output,
    "sample": lambda output, x_t, alpha, sigma: (x_t - alpha * output) / sigma,
    "v_prediction": lambda output, x_t, alpha, sigma: alpha * output + sigma * x_t,
}
