"""Which device, precision and memory layout a network runs in: what the device is good at."""

import threading

import torch

from guidance import settings

# While diffusers builds a network it changes torch's defaults, and through accelerate nn.Module itself, in the whole
# process: a network that another thread builds at that moment would come out in bf16, or without weights.
building = threading.RLock()


def device() -> torch.device:
    """The device that was asked for, or CUDA, MPS or the CPU, in this order."""
    if settings.DEVICE:
        return torch.device(settings.DEVICE)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def precision(where: torch.device) -> torch.dtype:
    """The precision that was asked for, or bf16 where the hardware multiplies it, else fp32."""
    if settings.PRECISION:
        return getattr(torch, settings.PRECISION)
    # Emulated bf16 is slower than fp32, and on MPS it depends on the version.
    fast = where.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if where.type == "cpu":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32
