"""Latent models: pipelines like Stable Diffusion 1 and 2, which are told a text and paint in the space of a VAE."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from guidance.models.errors import ModelError
from guidance.models.layout import frozen
from guidance.models.loading import WEIGHTS, complete, part, read, scheduled
from guidance.models.model import Model

TEXT_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class LatentModel:
    """A frozen pipeline with the face of a Model: its x_t are latents, and `decode` makes pictures of them.

    `eps` takes a text as its condition, as `embed` gives it.
    """

    takes_text = True
    passed = None  # latents have another spectrum than pictures
    channels = 3  # of the pictures

    def __init__(self, unet: nn.Module, vae: nn.Module, text_encoder: nn.Module, tokenizer: object, config: dict):
        # These networks are a hundred times the size of the pixel models', so a CPU gains nothing from padded batches.
        self.latents = Model(unet, config, pixels=(1 if unet.device.type == "cpu" else 4) * 64 * 64)
        self.config, self.device, self.batch = config, self.latents.device, self.latents.batch
        self.noise, self.eps, self.run = self.latents.noise, self.latents.eps, self.latents.run
        self.unet, self.text_encoder, self.tokenizer = unet, text_encoder.eval().requires_grad_(False), tokenizer
        self.vae = frozen(vae)
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


def open_latent(folder: Path, source: str, dtype: torch.dtype) -> LatentModel:
    """The pipeline in a folder whose weights may not have been fetched yet; ModelError if it is of another kind."""
    config = described(folder, source)
    try:
        from transformers import CLIPTextModel, CLIPTokenizer
    except ImportError as error:
        raise ModelError(f"{source} is told a text, which needs another package: pip install transformers") from error
    words = folder / "tokenizer"
    # Transformers makes a tokenizer without words where there are none.
    if not any((words / name).exists() for name in ("tokenizer.json", "vocab.json")):
        raise ModelError(f"{source} has no tokenizer.")
    names = {"unet": WEIGHTS, "vae": WEIGHTS, "text_encoder": TEXT_WEIGHTS}
    files = complete(folder, source, [[f"{place}/{name}" for name in group] for place, group in names.items()])
    kinds = (UNet2DConditionModel, AutoencoderKL, CLIPTextModel)
    networks = [part(kind, weights, source, dtype) for kind, weights in zip(kinds, files, strict=True)]
    try:
        tokenizer = CLIPTokenizer.from_pretrained(words, local_files_only=True)
    except Exception as error:  # of many kinds, some of them the tokenizers library's own
        raise ModelError(f"The tokenizer of {source} is damaged.") from error
    return LatentModel(*networks, tokenizer, config)


def described(folder: Path, source: str) -> dict:
    """The noise schedule's configuration; ModelError when the pipeline is of a kind that is not taken."""
    index = read(folder / "model_index.json", source)
    unet, vae, text = (read(folder / place / "config.json", source) for place in ("unet", "vae", "text_encoder"))
    if "text_encoder_2" in index:
        raise ModelError(f"{source} is a Stable Diffusion XL model: those like versions 1 and 2 are taken.")
    kinds = (unet.get("_class_name"), vae.get("_class_name"), *text.get("architectures", ()))
    if kinds != ("UNet2DConditionModel", "AutoencoderKL", "CLIPTextModel"):
        raise ModelError(f"{source} is a text-to-image model of another kind than Stable Diffusion 1 and 2.")
    channels = {unet.get("in_channels", 4), unet.get("out_channels", 4), vae.get("latent_channels", 4)}
    if len(channels) > 1 or unet.get("class_embed_type") or unet.get("addition_embed_type"):
        raise ModelError(f"{source} wants more than a text, such as a picture to change, which is not given here.")
    if unet.get("cross_attention_dim") != text.get("hidden_size"):
        raise ModelError(f"The parts of {source} do not fit each other.")
    # A latent is not confined to [-1, 1], and these models count their timesteps from 1, whatever their files say.
    return scheduled(folder, source) | {"clip_sample": False, "steps_offset": 1}
