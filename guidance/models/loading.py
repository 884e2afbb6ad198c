"""Models from elsewhere: folders and repositories of the Hub, as diffusers writes them and once did."""

from pathlib import Path

import torch
from diffusers import UNet2DModel

from guidance.models import kinds
from guidance.models.device import device, precision
from guidance.models.errors import ModelError
from guidance.models.files import CONFIGS, WEIGHTS, complete, fingerprint, part, read
from guidance.models.hub import fetch
from guidance.models.model import Model

TEXT_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def open_model(source: str, dtype: torch.dtype | None = None) -> Model:
    """The model in a folder, or of a repository "owner/name" or "owner/name@revision"; ModelError if it is none.

    Without a `dtype` it runs in what the device is good at. A pipeline like Stable Diffusion's is a LatentModel.
    """
    folder = Path(source).expanduser() if Path(source).expanduser().is_dir() else fetch(source, CONFIGS)
    latent = kinds.LATENT & set(read(folder / "model_index.json", source))
    return (open_latent if latent else open_pixel)(folder, source, dtype or precision(device()))


def open_pixel(folder: Path, source: str, dtype: torch.dtype) -> Model:
    """The unconditional pixel model in a folder whose weights may not have been fetched yet."""
    inside = "unet/" if (folder / "unet" / "config.json").exists() else ""
    kinds.pixel(read(folder / inside / "config.json", source), source)
    config = kinds.scheduled(schedule(folder, source), source)
    (weights,) = complete(folder, source, [[inside + name for name in WEIGHTS]])
    return Model(part(UNet2DModel, weights, source, dtype), config, fingerprint=fingerprint(weights))


def open_latent(folder: Path, source: str, dtype: torch.dtype) -> Model:
    """The pipeline like Stable Diffusion in a folder whose weights may not have been fetched yet."""
    unet, vae, text = (read(folder / place / "config.json", source) for place in ("unet", "vae", "text_encoder"))
    kinds.latent(read(folder / "model_index.json", source), unet, vae, text, source)
    config = kinds.scheduled(schedule(folder, source), source, latent=True)
    from diffusers import AutoencoderKL, UNet2DConditionModel

    from guidance.models.latent import LatentModel

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
    classes = (UNet2DConditionModel, AutoencoderKL, CLIPTextModel)
    networks = [part(kind, weights, source, dtype) for kind, weights in zip(classes, files, strict=True)]
    try:
        tokenizer = CLIPTokenizer.from_pretrained(words, local_files_only=True)
    except Exception as error:  # of many kinds, some of them the tokenizers library's own
        raise ModelError(f"The tokenizer of {source} is damaged.") from error
    return LatentModel(*networks, tokenizer, config, fingerprint="-".join(map(fingerprint, files)))


def schedule(folder: Path, source: str) -> dict:
    """The configuration of the scheduler in a folder."""
    place = folder / "scheduler" if (folder / "scheduler").is_dir() else folder
    return read(place / "scheduler_config.json", source)
