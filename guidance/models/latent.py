"""Latent models: pipelines like Stable Diffusion 1 and 2, which are told a text and paint in the space of a VAE."""

import torch
from torch import Tensor, nn

from guidance.models.layout import frozen
from guidance.models.model import Model


class LatentModel:
    """A frozen pipeline with the face of a Model: its x_t are latents, and `decode` makes pictures of them.

    `eps` takes a text as its condition, as `embed` gives it.
    """

    takes_text = True
    null = None
    channels = 3  # of the pictures

    def __init__(
        self, unet: nn.Module, vae: nn.Module, text_encoder: nn.Module, tokenizer: object, config: dict, *,
        fingerprint: str = "", shared: bool = False,
    ):  # fmt: skip
        # These networks are a hundred times the size of the pixel models', so a CPU gains nothing from padded batches.
        pixels = (1 if unet.device.type == "cpu" else 4) * 64 * 64
        self.latents = Model(unet, config, pixels=pixels, shared=shared)
        self.fingerprint = fingerprint
        self.config, self.device, self.batch = config, self.latents.device, self.latents.batch
        self.noise, self.eps, self.run = self.latents.noise, self.latents.eps, self.latents.run
        self.unet, self.text_encoder, self.tokenizer = unet, text_encoder.eval().requires_grad_(False), tokenizer
        self.vae = frozen(vae, shared)
        self.vae.enable_gradient_checkpointing()  # its activations are larger than the UNet's
        self.scaling, self.shift = vae.config.scaling_factor, getattr(vae.config, "shift_factor", None) or 0.0
        factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.size: tuple[int, int] = tuple(factor * side for side in self.latents.size)

    def decode(self, x0: Tensor) -> Tensor:
        """Latents (B, 4, h, w) to pictures (B, 3, H, W) float32, nominally in [-1, 1], with a gradient."""
        return torch.cat([self.pictures(latent) for latent in x0.split(1)])

    def pictures(self, latents: Tensor) -> Tensor:
        """What the VAE makes of latents."""
        return self.vae.decode((latents / self.scaling + self.shift).to(self.latents.dtype)).sample.float()

    @torch.no_grad()
    def embed(self, texts: list[str]) -> Tensor:
        """What `eps` takes as its condition: (B, tokens, D), one row for each text."""
        length = self.tokenizer.model_max_length
        ids = self.tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return self.text_encoder(ids.input_ids.to(self.device))[0].to(self.latents.dtype)

    def notes(self, text: str) -> list[str]:
        """What a user should know of how a text is read."""
        length = self.tokenizer.model_max_length
        cut = len(self.tokenizer(text).input_ids) > length
        return [f"The text is longer than the {length} tokens that the model reads: its end was cut."] * cut
