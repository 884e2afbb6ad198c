"""Files of models: configurations that are read, weights that are whole, and networks made of both."""

import hashlib
import json
import pickle
from functools import lru_cache
from pathlib import Path

import torch
from diffusers import ModelMixin
from diffusers.utils import is_accelerate_available
from safetensors import SafetensorError, safe_open
from torch import nn

from guidance.models.device import building, device
from guidance.models.errors import ModelError
from guidance.models.hub import fetch

CONFIGS = ("model_index.json", "config.json", "scheduler_config.json", "unet/config.json",
           "scheduler/scheduler_config.json", "vae/config.json", "text_encoder/config.json", "tokenizer/*")  # fmt: skip
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")  # the first that is there is taken


def read(path: Path, source: str) -> dict:
    """A JSON file, {} if it is not there."""
    try:
        values = json.loads(path.read_text()) if path.exists() else {}
        return dict(values)
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"The configuration of {source} is damaged.") from error


def complete(folder: Path, source: str, groups: list[list[str]]) -> list[Path]:
    """Of each group of names of weights the file that is there, seen to be whole; a repository's are fetched first."""
    if not Path(source).expanduser().is_dir():
        fetch(source, CONFIGS, groups)
    found = []
    for names in groups:
        weights = next((folder / name for name in names if (folder / name).exists()), None)
        if weights is None:
            raise ModelError(f"{source} has no weights: neither {' nor '.join(names)}.")
        check(weights, source)
        found.append(weights)
    return found


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
    return network.to(device())


def fingerprint(path: Path) -> str:
    """Twelve hexadecimal digits of the SHA-256 of a file of weights; read once as long as it stays the same."""
    about = path.stat()
    return _digest(path, about.st_size, about.st_mtime_ns)


@lru_cache(256)
def _digest(path: Path, *about: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:12]
