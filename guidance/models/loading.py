"""Models from elsewhere: folders and repositories of the Hub, as diffusers writes them and once did."""

import hashlib
import json
import pickle
from functools import lru_cache
from pathlib import Path

import torch
from diffusers import DDIMScheduler, ModelMixin, UNet2DModel
from diffusers.utils import is_accelerate_available
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from guidance.models.device import ModelError, building, device, precision
from guidance.models.files import flaw, sound, unread
from guidance.models.hub import fetch
from guidance.models.layout import frozen
from guidance.models.model import LatentModel, Model
from guidance.models.upscaler import Upscaler

CONFIGS = ("model_index.json", "config.json", "scheduler_config.json", "unet/config.json",
           "scheduler/scheduler_config.json", "vae/config.json", "text_encoder/config.json", "tokenizer/*",
           "upscaler/config.json", "upscaler/model.safetensors")  # fmt: skip
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")  # the first that is there is taken
TEXT_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# Schedulers of the discrete family: they differ in the solver, which is ours, and agree in the noise schedule.
SCHEDULERS = ("DDPM", "DDIM", "PNDM", "DPMSolver", "UniPC", "Euler", "LMS", "Heun", "DEIS", "KDPM")
# What stands in the index of a pipeline that is told a text or works in a latent space.
LATENT = {"vae", "vqvae", "text_encoder", "transformer", "prior"}


def open_model(source: str, dtype: torch.dtype | None = None) -> Model:
    """The model in a folder, or of a repository "owner/name" or "owner/name@revision"; ModelError if it is none.

    Without a `dtype` it runs in what the device is good at. A pipeline like Stable Diffusion's is a LatentModel.
    """
    try:
        folder = Path(source).expanduser() if Path(source).expanduser().is_dir() else fetch(source, CONFIGS)
        latent = LATENT & set(read(folder, "model_index.json", source))
        model = (open_latent if latent else open_pixel)(folder, source, dtype or precision(device()))
        model.upscaler = open_upscaler(folder, source, model.channels)
    except PermissionError as error:  # already at the question whether there is such a file
        raise unread(source, Path(error.filename), Path(error.filename).name) from error
    return model


def open_pixel(folder: Path, source: str, dtype: torch.dtype) -> Model:
    """The unconditional pixel model in a folder whose weights may not have been fetched yet."""
    inside = "unet/" if (folder / "unet" / "config.json").exists() else ""
    pixel(read(folder, f"{inside}config.json", source), source)
    config = scheduled(schedule(folder, source), source)
    (weights,) = complete(folder, source, [[inside + name for name in WEIGHTS]])
    return Model(part(UNet2DModel, weights, source, dtype), config, fingerprint=fingerprint(weights))


def open_latent(folder: Path, source: str, dtype: torch.dtype) -> Model:
    """The pipeline like Stable Diffusion in a folder whose weights may not have been fetched yet."""
    unet, vae, text = (read(folder, f"{place}/config.json", source) for place in ("unet", "vae", "text_encoder"))
    latent(read(folder, "model_index.json", source), unet, vae, text, source)
    config = scheduled(schedule(folder, source), source, latent=True)
    from diffusers import AutoencoderKL, UNet2DConditionModel

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


def open_upscaler(folder: Path, source: str, channels: int) -> Upscaler | None:
    """The network that enlarges a model's pictures, from its folder `upscaler`, if it has one."""
    weights = folder / "upscaler" / "model.safetensors"
    if not weights.exists():
        return None
    check(weights, source, folder)
    config = read(folder, "upscaler/config.json", source)
    try:
        if channels != 3:
            raise ValueError
        with building:
            network = Upscaler(config["width"], config["blocks"], config["strength"], config.get("slack", 0.0))
        network.load_state_dict(load_file(weights))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"The upscaler of {source} is of another kind than those known here.") from error
    sound(network, source)
    return frozen(network.to(device()))


def schedule(folder: Path, source: str) -> dict:
    """The configuration of the scheduler in a folder; DDPM's own, {}, for a network alone."""
    name = f"{'scheduler/' * (folder / 'scheduler').is_dir()}scheduler_config.json"
    config = read(folder, name, source)
    if "_class_name" not in config and ((folder / name).exists() or (folder / "model_index.json").exists()):
        raise unread(source, folder / name, name)
    return config


def read(folder: Path, name: str, source: str) -> dict:
    """A JSON file in a folder, {} if it is not there."""
    path = folder / name
    try:
        found = json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise unread(source, path, name) from error
    if not isinstance(found, dict):
        raise unread(source, path, name)
    return found


def complete(folder: Path, source: str, groups: list[list[str]]) -> list[Path]:
    """Of each group of names of weights the file that is there, seen to be whole; a repository's are fetched first."""
    if not Path(source).expanduser().is_dir():
        fetch(source, CONFIGS, groups)
    found = []
    for names in groups:
        weights = next((folder / name for name in names if (folder / name).exists()), None)
        if weights is None:
            raise ModelError(f"{source} has no weights: neither {' nor '.join(names)}.")
        check(weights, source, folder)
        found.append(weights)
    return found


def check(weights: Path, source: str, folder: Path) -> None:
    """ModelError if a file of weights in a folder is not whole, or holds anything but tensors."""
    name = weights.relative_to(folder).as_posix()
    try:
        if weights.suffix == ".safetensors":
            with safe_open(weights, "pt") as file:
                file.keys()
        else:  # the restricted unpickler, and nothing wider
            torch.load(weights, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not flaw(weights, name).endswith("whole"):
            raise unread(source, weights, name) from error
        message = f"{source} was not loaded: its weights hold something other than tensors, or are damaged."
        raise ModelError(message) from error
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise unread(source, weights, name) from error


def part(kind: type[nn.Module], weights: Path, source: str, dtype: torch.dtype) -> nn.Module:
    """A network of a class of diffusers or transformers with the weights beside its configuration, on the device."""
    # Without accelerate, which only training needs, diffusers would warn of doing what it then does.
    memory = {"low_cpu_mem_usage": is_accelerate_available()} if issubclass(kind, ModelMixin) else {}
    try:
        with building:
            network, info = kind.from_pretrained(
                weights.parent, use_safetensors=weights.suffix == ".safetensors", torch_dtype=dtype,
                output_loading_info=True, local_files_only=True, **memory,
            )  # fmt: skip
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise ModelError(f"The weights of {source} do not fit its configuration.") from error
    if info["missing_keys"] or info["mismatched_keys"]:
        raise ModelError(f"The weights of {source} do not fit its configuration.")
    sound(network, source)
    return network.to(device())


def fingerprint(path: Path) -> str | None:
    """Twelve hexadecimal digits of a file's SHA-256, read once as long as it stays the same; None if it cannot be."""
    try:
        about = path.stat()
        return _digest(path, about.st_size, about.st_mtime_ns)
    except OSError:
        return None


@lru_cache(256)
def _digest(path: Path, *about: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:12]


def pixel(unet: dict, source: str) -> None:
    """ModelError unless a network's configuration is that of an unconditional pixel model."""
    if unet.get("_class_name", "UNet2DModel") != "UNet2DModel" or "down_block_types" not in unet:
        raise ModelError(f"{source} is no diffusers model of unconditional pictures.")
    channels, size = unet.get("in_channels", 3), unet.get("sample_size")
    if channels not in (1, 3) or unet.get("out_channels", 3) not in (channels, 2 * channels):
        raise ModelError(f"{source} does not make pictures of 1 or 3 channels.")
    if unet.get("num_class_embeds") or unet.get("class_embed_type"):
        raise ModelError(f"{source} wants a class, which an unconditional model does not.")
    multiple = 2 ** (len(unet["down_block_types"]) - 1)
    sides = [size] * 2 if isinstance(size, int) else size
    if not sides or any(side % multiple for side in sides):
        raise ModelError(f"The pictures of {source} must be a multiple of {multiple} px wide and high.")


def latent(index: dict, unet: dict, vae: dict, text: dict, source: str) -> None:
    """ModelError unless a pipeline's configurations are those of one like Stable Diffusion 1 and 2."""
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


def scheduled(schedule: dict, source: str, latent: bool = False) -> dict:
    """The configuration of a noise schedule, as that of a DDIMScheduler; ModelError if it is of another kind."""
    if not schedule.get("_class_name", "DDPMScheduler").startswith(SCHEDULERS):
        raise ModelError(f"{source} has a noise schedule of another kind than DDPM's.")
    if schedule.get("rescale_betas_zero_snr"):
        raise ModelError(f"{source} starts from noise that holds nothing of the picture, where guidance has no hold.")
    config = dict(DDIMScheduler.from_config(schedule).config)
    if str(config.get("variance_type", "")).startswith("learned"):
        config["variance_type"] = "fixed_small"  # the learned variance is left out
    # A latent is not confined to [-1, 1], and these models count their timesteps from 1, whatever their files say.
    return config | ({"clip_sample": False, "steps_offset": 1} if latent else {})
