"""How networks lie in memory, so that they are fast here with a gradient and without."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable


def frozen(network: nn.Module, shared: bool = False) -> nn.Module:
    """A network that is no longer trained, in channels_last, as convolutions want it on CPUs and tensor cores alike.

    A `shared` one's tensors are somebody else's as well and stay as they lie.
    """
    network = network if shared else network.to(memory_format=torch.channels_last)
    network.eval().requires_grad_(False)
    for part in network.modules():
        if isinstance(part, nn.GroupNorm) and part.affine:
            part.forward = partial(group_norm, part)
        if isinstance(part, nn.Conv2d) and part.stride == part.kernel_size != (1, 1) and part.padding == (0, 0):
            part.forward = partial(patches, part)
    return network


def patches(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """What a convolution that goes in steps of its own size makes of x (B, C, H, W): the start of vision transformers.

    With a gradient on a CPU it is a matrix product, back through which torch goes several times as fast.
    """
    (high, wide), (count, channels, *sides) = convolution.kernel_size, x.shape
    plain = convolution.groups == 1 and convolution.dilation == (1, 1)
    if not (x.requires_grad and x.device.type == "cpu" and plain) or sides[0] % high or sides[1] % wide:
        return nn.Conv2d.forward(convolution, x)
    rows, columns = sides[0] // high, sides[1] // wide
    x = x.reshape(count, channels, rows, high, columns, wide).permute(0, 2, 4, 1, 3, 5)
    y = nn.functional.linear(x.reshape(count, rows, columns, -1), convolution.weight.flatten(1), convolution.bias)
    return y.permute(0, 3, 1, 2)


def group_norm(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """What `norm` makes of x (B, C, ...): where torch's way back is slow, and x alone has a gradient, by `Norm`."""
    slow = x.device.type == "cpu" and x.dtype == torch.bfloat16 and x.ndim == 4
    if slow and x.is_contiguous(memory_format=torch.channels_last) and not norm.weight.requires_grad:
        return Norm.apply(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
    return nn.functional.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)


class Norm(torch.autograd.Function):
    """torch's group norm, y = w (x - m) / s + b, with a faster gradient of x where x is in channels_last.

    Torch's own takes four to ten times as long in bf16 on a CPU, which is more than a third of the way back through a
    UNet. Here its sums over the pixels are matrix products.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        """x (B, C, H, W), normalised in groups of channels."""
        count, channels, high, wide = x.shape
        y, mean, scale = torch.native_group_norm(x, weight, bias, count, channels, high * wide, groups, eps)
        ctx.save_for_backward(x, weight, mean, scale)  # mean and 1 / s (B, groups)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple:
        """With h = w dL/dy and n places in a group, (h - sum(h) / n - (x - m) sum(h (x - m)) / (n s**2)) / s."""
        x, weight, mean, scale = ctx.saved_tensors
        (count, channels, high, wide), groups = x.shape, mean.shape[1]
        x, g = (tensor.permute(0, 2, 3, 1).reshape(count, high * wide, channels) for tensor in (x, gradient))
        ones = g.new_ones(1, 1, high * wide).expand(count, -1, -1)
        weight, mean, scale = weight.float(), mean.float(), scale.float()
        sum_h, sum_hx = ((ones.bmm(v).float() * weight).view(count, groups, -1).sum(2) for v in (g, g * x))
        places = high * wide * channels // groups
        slope = (sum_h * mean - sum_hx) * scale**3 / places
        rest = -slope * mean - sum_h * scale / places
        slope, rest, scale = (v.repeat_interleave(channels // groups, 1).unsqueeze(1) for v in (slope, rest, scale))
        made = torch.addcmul(rest.to(x), x, slope.to(x)).addcmul_(g, (scale * weight).to(x))
        return made.view(count, high, wide, channels).permute(0, 3, 1, 2), None, None, None, None
