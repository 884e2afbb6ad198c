"""How much memory there is, and how much a gradient through a network would take."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from guidance.models.device import device


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
