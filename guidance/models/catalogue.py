"""The models there are, and the cache that holds the loaded ones."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import DDIMScheduler, UNet2DModel
from safetensors.torch import load_file
from torch import nn

from guidance import settings
from guidance.models.device import device, precision
from guidance.models.digits import DENOISERS, SCHEDULER, DigitClassifier, DigitJudge
from guidance.models.model import Model
from guidance.models.networks import AttributeNetwork

BUILT_IN = {"landscapes": settings.ASSETS / "landscapes"}

DIGITS = settings.ASSETS / "digits"
Network = TypeVar("Network", bound=nn.Module)

_models: dict[str, Model | nn.Module] = {}
_loading = threading.RLock()


def once(name: str, load: Callable[[], object]) -> object:
    """What `load` gives, loaded once; two callers at once wait for one load."""
    with _loading:
        if name not in _models:
            _models[name] = load()
        return _models[name]


def get(name: str) -> Model:
    """The unconditional model of this name."""
    return once(name, lambda: landscape_model(BUILT_IN[name]))


def landscape_model(folder: Path) -> Model:
    """A model in a diffusers folder."""
    where = device()
    unet = UNet2DModel.from_pretrained(folder, subfolder="unet", use_safetensors=True, torch_dtype=precision(where))
    config = dict(DDIMScheduler.from_pretrained(folder, subfolder="scheduler").config)
    return Model(unet.to(where), config)


def read(network: Network, path: Path, where: torch.device | str = "cpu") -> Network:
    """A network of ours with its weights, frozen, in float32."""
    network.load_state_dict(load_file(path))
    return network.float().eval().requires_grad_(False).to(where)


def digits(conditioning: str) -> Model:
    """The digit model that is told the class in this way; eps(x_t, t, labels)."""
    # So narrow a network gains nothing from bf16.
    return once(f"digits/{conditioning}", lambda: Model(
        read(DENOISERS[conditioning](), DIGITS / f"{conditioning}.safetensors", device()), SCHEDULER))  # fmt: skip


def digit_classifier(name: str) -> DigitClassifier:
    """The classifier that guides: "classifier" knows noise, "blind-classifier" never saw any."""
    return once(f"digits/{name}", lambda: read(DigitClassifier(), DIGITS / f"{name}.safetensors", device()))


def digit_judge() -> DigitJudge:
    """The network that reads digits and never guides."""
    return once("digits/judge", lambda: read(DigitJudge(), DIGITS / "judge.safetensors", device()))


def judge() -> AttributeNetwork:
    """The network that tells what a landscape shows, on the CPU in float32."""
    path = settings.ASSETS / "attributes" / "model.safetensors"
    return read(AttributeNetwork(outputs=len(load_file(path)["head.bias"])), path)
