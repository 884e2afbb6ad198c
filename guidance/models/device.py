"""Where networks run: the device, the precision it is good at, its memory, and what is said when one cannot be had."""

import threading
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from guidance import settings

# While diffusers builds a network it changes torch's defaults, and through accelerate nn.Module itself, in the whole
# process: a network that another thread builds at that moment would come out in bf16, or without weights.
building = threading.RLock()


class ModelError(RuntimeError):
    """A network cannot be had; the message is one sentence for the user and names no path."""


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
    # Emulated bf16 is slower than fp32; AVX-512 for it takes 0.6 of the time. On MPS it depends on the version.
    fast = where.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if where.type == "cpu":
        fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def free() -> int:
    """Bytes that are free where networks go."""
    if device().type == "cuda":
        unused = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()  # torch keeps it for the next tensors
        return torch.cuda.mem_get_info()[0] + unused
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    return 16 * 2**30


def activations(unet: nn.Module, dtype: torch.dtype, *inputs: Tensor) -> int:
    """Bytes that a gradient through a UNet of diffusers would hold for inputs (B, ...), x_t and then conditions.

    They are counted on tensors without values, which takes neither time nor memory.
    """
    held = {}

    def hold(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.device("meta"):
        shadow = nn.Module.to(type(unet).from_config(unet.config), dtype).requires_grad_(False)
        x_t, *condition = (torch.empty(tensor.shape, dtype=dtype) for tensor in inputs)
        with torch.enable_grad(), saved_tensors_hooks(hold, lambda tensor: tensor):
            shadow(x_t.requires_grad_(), torch.tensor(0), *condition)
    for weight in shadow.parameters():
        held.pop(weight.untyped_storage()._cdata, None)
    return sum(tensor.untyped_storage().nbytes() for tensor in held.values())
