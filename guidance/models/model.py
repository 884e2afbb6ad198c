"""Diffusion models as the engine sees them: eps(x_t, t) or eps(x_t, t, condition), a size and a scheduler's config."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from guidance.models.device import activations, free
from guidance.models.layout import frozen


class Model:
    """A UNet, frozen, on its device; it answers in eps whatever it was trained for.

    On a CPU it sees a picture at a time, smaller ones as many as have `pixels` together. A `shared` one has the tensors
    of somebody else's.
    """

    takes_text = False

    def __init__(self, unet: nn.Module, config: dict, pixels: int = 0, *, fingerprint: str = "", shared: bool = False):
        self.unet = frozen(unet, shared)
        self.fingerprint = fingerprint  # of its weights' file
        self.layout = torch.preserve_format if shared else torch.channels_last
        self.null: int | None = getattr(unet, "null", None)  # the class that stands for none, if it is told one
        weight = next(unet.parameters())
        self.config, self.device, self.dtype = config, weight.device, weight.dtype
        self.alphas_cumprod: list[float] = DDIMScheduler.from_config(config).alphas_cumprod.tolist()
        self.channels: int = unet.config.in_channels
        size = unet.config.sample_size
        self.size: tuple[int, int] = (size, size) if isinstance(size, int) else tuple(size)
        self.shape = (self.channels, *self.size)  # of each x_t, which need not be a picture
        # Kernels round differently in batches of different sizes. The network sees one size only, the last batch
        # padded, so a picture is the same pixels alone and in company.
        pixels = pixels or (4 if self.device.type == "cpu" else 32) * 64 * 64
        area = math.prod(self.size)
        self.most = max(1, pixels // area)
        self.batch = 1 if self.device.type == "cpu" and area >= 64 * 64 else self.most
        self.upscaler: nn.Module | None = None  # what enlarges its pictures, if it brings that
        self.short: dict[int, bool] = {}  # by the number of pictures, whether memory was when they first came

    def batched(self, most: int = 0) -> Model:
        """The same network, which sees several pictures at once, as in version 0.1, or no more than `most` of them.

        Kernels round accordingly.
        """
        model = copy(self)
        model.batch = min(self.batch, most) if most else self.most
        return model

    def noise(self, generators: list[torch.Generator]) -> Tensor:
        """The pure noise each picture starts from, (B, C, H, W) float32, picture k from the CPU's `generators[k]`."""
        return torch.stack([torch.randn(self.shape, generator=generator) for generator in generators]).to(self.device)

    def eps(self, x_t: Tensor, t: int, *condition: Tensor) -> Tensor:
        """The noise in x_t at timestep t, both (B, C, H, W) float32; `condition` (B, ...) if the network takes one."""
        if torch.is_grad_enabled() and x_t.requires_grad:
            self.spare(x_t, *condition)
        output = self.outputs(torch.full((len(x_t),), t, device=self.device), x_t, *condition)
        alpha_bar = self.alphas_cumprod[t]
        return PREDICTIONS[self.config["prediction_type"]](output, x_t, alpha_bar**0.5, (1 - alpha_bar) ** 0.5)

    def spare(self, *inputs: Tensor) -> None:
        """Switch gradient checkpointing on if a gradient would hold half of the memory that is free, and else off."""
        count = len(inputs[0])
        if count not in self.short:
            self.short[count] = activations(self.unet, self.dtype, *inputs) > free() / 2
        (self.unet.enable_gradient_checkpointing if self.short[count] else self.unet.disable_gradient_checkpointing)()

    def decode(self, x0: Tensor) -> Tensor:
        """The pictures (B, C, H, W) that x0 stands for: of a model of pixels, x0."""
        return x0

    def encode(self, pictures: Tensor) -> Tensor:
        """The x0 that stands for pictures (B, C, H, W) in [-1, 1]."""
        return pictures

    def enlarge(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] in the size of the upscaler, one after another: each is the same in company.

        Made small again they are what they were, within the upscaler's slack.
        """
        low = self.dtype == torch.bfloat16  # of which the convolutions alone make use: the means stay exact
        with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
            return torch.cat([self.upscaler(picture) for picture in pictures.split(1)])

    def outputs(self, t: Tensor, x_t: Tensor, *condition: Tensor) -> Tensor:
        """What the network says of x_t (B, C, H, W) at timesteps t (B,), `batch` pictures at a time."""
        parts = zip(*(tensor.split(self.batch) for tensor in (t, x_t, *condition)), strict=True)
        return torch.cat([self.run(*part) for part in parts])

    def run(self, t: Tensor, x_t: Tensor, *condition: Tensor) -> Tensor:
        """The network on at most `batch` pictures, padded to that number."""
        x = padded(x_t, self.batch).to(self.dtype, memory_format=self.layout)
        t, *condition = (padded(tensor, self.batch) for tensor in (t, *condition))
        output = self.unet(x, t, *condition).sample[: len(x_t)]
        return output[:, : self.shape[0]].float().contiguous()  # what lies beyond is a learned variance


class LatentModel(Model):
    """A frozen pipeline: its x_t are latents, and `decode` makes pictures of them, whose `channels` and `size` it has.

    `eps` takes a text as its condition, as `embed` gives it.
    """

    takes_text = True

    def __init__(
        self, unet: nn.Module, vae: nn.Module, text_encoder: nn.Module, tokenizer: object, config: dict, *,
        fingerprint: str = "", shared: bool = False,
    ):  # fmt: skip
        # These networks are a hundred times the size of the pixel models', so a CPU gains nothing from padded batches.
        pixels = (1 if unet.device.type == "cpu" else 4) * 64 * 64
        super().__init__(unet, config, pixels, fingerprint=fingerprint, shared=shared)
        self.text_encoder, self.tokenizer = text_encoder.eval().requires_grad_(False), tokenizer
        self.vae = frozen(vae, shared)
        self.vae.enable_gradient_checkpointing()  # its activations are larger than the UNet's
        self.scaling, self.shift = vae.config.scaling_factor, getattr(vae.config, "shift_factor", None) or 0.0
        factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.channels, self.size = 3, tuple(factor * side for side in self.shape[1:])

    def decode(self, x0: Tensor) -> Tensor:
        """Latents (B, 4, h, w) to pictures (B, 3, H, W) float32, nominally in [-1, 1], with a gradient."""
        latents = (x0 / self.scaling + self.shift).to(self.dtype)
        return torch.cat([self.vae.decode(latent).sample.float() for latent in latents.split(1)])

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] to latents (B, 4, h, w) float32."""
        latents = [self.vae.encode(picture.to(self.dtype)).latent_dist.mode() for picture in pictures.split(1)]
        return (torch.cat(latents).float() - self.shift) * self.scaling

    @torch.no_grad()
    def embed(self, texts: list[str]) -> Tensor:
        """What `eps` takes as its condition: (B, tokens, D), one row for each text."""
        length = self.tokenizer.model_max_length
        ids = self.tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return self.text_encoder(ids.input_ids.to(self.device))[0].to(self.dtype)

    def notes(self, text: str) -> list[str]:
        """What a user should know of how a text is read."""
        length = self.tokenizer.model_max_length
        cut = len(self.tokenizer(text).input_ids) > length
        return [f"The text is longer than the {length} tokens that the model reads: its end was cut."] * cut


def padded(part: Tensor, batch: int) -> Tensor:
    """A part of a batch, (B, ...), filled up with zeros to (batch, ...)."""
    return torch.cat([part, part.new_zeros(batch - len(part), *part.shape[1:])])


def in_batches(network: Callable[..., Tensor], batch: int) -> Callable[..., Tensor]:
    """A network that is shown `batch` pictures at a time, whatever the number it is called with."""

    def run(*inputs: Tensor) -> Tensor:
        parts = list(zip(*(tensor.split(batch) for tensor in inputs), strict=True))
        return torch.cat([network(*(padded(tensor, batch) for tensor in part))[: len(part[0])] for part in parts])

    return run


# From what a network predicts to eps: output, x_t, alpha_t, sigma_t (Salimans and Ho 2022, arXiv:2202.00512).
PREDICTIONS = {
    "epsilon": lambda output, x_t, alpha, sigma: output,
    "sample": lambda output, x_t, alpha, sigma: (x_t - alpha * output) / sigma,
    "v_prediction": lambda output, x_t, alpha, sigma: alpha * output + sigma * x_t,
}
