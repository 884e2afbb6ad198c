"""Unconditional models from elsewhere: folders and repositories of the Hub, as diffusers writes them and once did."""

import json
import pickle
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DModel
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError, safe_open

from guidance.models.device import device, precision
from guidance.models.errors import ModelError
from guidance.models.hub import online
from guidance.models.model import Model

CONFIGS = ["model_index.json", "config.json", "scheduler_config.json", "unet/config.json",
           "scheduler/scheduler_config.json"]  # fmt: skip
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")  # the first that is there is taken
# Schedulers of the discrete family: they differ in the solver, which is ours, and agree in the noise schedule.
SCHEDULERS = ("DDPM", "DDIM", "PNDM", "DPMSolver", "UniPC", "Euler", "LMS", "Heun", "DEIS", "KDPM")


def open_model(source: str, dtype: torch.dtype | None = None) -> Model:
    """The model in a folder, or of a repository "owner/name" or "owner/name@revision"; ModelError if it is none.

    Without a `dtype` it runs in what the device is good at.
    """
    folder = Path(source).expanduser() if Path(source).expanduser().is_dir() else fetch(source)
    inside = folder / "unet" if (folder / "unet" / "config.json").exists() else folder
    config = described(folder, inside, source)
    weights = next((inside / name for name in WEIGHTS if (inside / name).exists()), None)
    if weights is None:
        raise ModelError(f"{source} has no weights: neither {' nor '.join(WEIGHTS)}.")
    check(weights, source)
    where = device()
    try:
        unet, info = UNet2DModel.from_pretrained(
            inside, use_safetensors=weights.suffix == ".safetensors", torch_dtype=dtype or precision(where),
            output_loading_info=True,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise ModelError(f"The weights of {source} do not fit its configuration.") from error
    if info["missing_keys"] or info["mismatched_keys"]:
        raise ModelError(f"The weights of {source} do not fit its configuration.")
    return Model(unet.to(where), config)


def described(folder: Path, inside: Path, source: str) -> dict:
    """The noise schedule's configuration; ModelError when the folder holds no unconditional pixel model."""
    index, unet = read(folder / "model_index.json", source), read(inside / "config.json", source)
    if "vae" in index or unet.get("_class_name") == "UNet2DConditionModel":
        raise ModelError(f"{source} is a text-to-image model, not an unconditional one.")
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
    place = folder / "scheduler" if (folder / "scheduler").is_dir() else folder
    schedule = read(place / "scheduler_config.json", source)
    if not schedule.get("_class_name", "DDPMScheduler").startswith(SCHEDULERS):
        raise ModelError(f"{source} has a noise schedule of another kind than DDPM's.")
    config = dict(DDIMScheduler.from_config(schedule).config)
    if str(config.get("variance_type", "")).startswith("learned"):
        config["variance_type"] = "fixed_small"  # the learned variance is left out
    return config


def read(path: Path, source: str) -> dict:
    """A JSON file, {} if it is not there."""
    try:
        return json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise ModelError(f"The configuration of {source} is damaged.") from error


def check(weights: Path, source: str) -> None:
    """ModelError if a file of weights is not whole, or holds anything but tensors."""
    again = "its weights are damaged or not whole: delete them and try again"
    try:
        if weights.suffix == ".safetensors":
            with safe_open(weights, "pt") as file:
                file.keys()
        else:  # the restricted unpickler, and nothing wider
            torch.load(weights, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = f"{source} was not loaded: its weights hold something other than tensors, or are damaged."
        raise ModelError(message) from error
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise ModelError(f"{source} was not loaded: {again}.") from error


def fetch(source: str) -> Path:
    """The folder of a repository of the Hub: from its cache, or downloaded; safetensors where there are both."""
    name, _, revision = source.partition("@")
    wanted = {"repo_id": name, "revision": revision or None}
    try:
        if not online():
            return Path(snapshot_download(**wanted, local_files_only=True, allow_patterns=CONFIGS))
        files = HfApi().list_repo_files(name, revision=revision or None)
        inside = "unet/" if "unet/config.json" in files else ""
        weights = [inside + file for file in WEIGHTS if inside + file in files][:1]
        return Path(snapshot_download(**wanted, allow_patterns=CONFIGS + weights))
    except GatedRepoError as error:
        raise ModelError(f"{source} is gated: accept its terms on the Hub, then log in with: hf auth login") from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{name} has no revision of that name.") from error
    except RepositoryNotFoundError as error:
        raise ModelError(f"There is no model {name} on the Hub, or it is private.") from error
    except LocalEntryNotFoundError as error:
        message = f"{source} is not on this machine, and the Hub cannot be reached. The built-in model is always there."
        raise ModelError(message) from error
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(f"The download of {source} was interrupted: try again, and it goes on.") from error
