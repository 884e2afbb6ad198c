"""What a network that knows its pictures does to a gradient: for pictures of Gaussian noise with a natural spectrum."""

from functools import lru_cache

import torch
from torch import Tensor

SPECTRUM = 0.0054  # pictures in [-1, 1] have about this power over f**2 at f cycles a pixel


@lru_cache(16)
def spectrum(high: int, wide: int) -> Tensor:
    """The power of pictures of a size at the frequencies of `torch.fft.rfft2`."""
    f_squared = torch.fft.fftfreq(high)[:, None].square() + torch.fft.rfftfreq(wide).square()
    return SPECTRUM / f_squared.clamp_min(max(high, wide) ** -2)


def wiener(gradient: Tensor, alpha: float, sigma: float, detail: float = 1.0) -> Tensor:
    """The gradient (B, C, H, W) of a loss on x0 with respect to x_t, up to a factor: Wiener's filter.

    Through a perfect network it is Cov(x0 | x_t) times the gradient at x0 (arXiv:2310.06721). Here that is the
    covariance of Gaussian pictures with the spectrum of natural ones (Field 1987): while there is noise, only the
    coarse is worth bending, and what would be a disturbance of single pixels is left out. Pictures are taken to have
    `detail` times that power: the more, the finer is what passes.
    """
    high, wide = gradient.shape[2:]
    power = detail * spectrum(high, wide)
    share = power / (alpha**2 * power + sigma**2)
    return torch.fft.irfft2(torch.fft.rfft2(gradient) * share.to(gradient.device), s=(high, wide))
