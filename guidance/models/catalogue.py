"""The models there are, and the cache that holds the loaded ones."""

import threading

from diffusers import DDIMScheduler, UNet2DModel
from safetensors.torch import load_file

from guidance import settings
from guidance.models.device import device, precision
from guidance.models.model import Model
from guidance.models.networks import AttributeNetwork

BUILT_IN = {"landscapes": settings.ASSETS / "landscapes"}

_models: dict[str, Model] = {}
_loading = threading.Lock()


def get(name: str) -> Model:
    """The model of this name, loaded once; two callers at once wait for one load."""
    with _loading:
        if name not in _models:
            where = device()
            unet = UNet2DModel.from_pretrained(
                BUILT_IN[name], subfolder="unet", use_safetensors=True, torch_dtype=precision(where)
            )
            config = dict(DDIMScheduler.from_pretrained(BUILT_IN[name], subfolder="scheduler").config)
            _models[name] = Model(unet.to(where), config)
        return _models[name]


def judge() -> AttributeNetwork:
    """The network that tells what a landscape shows, on the CPU in float32."""
    weights = load_file(settings.ASSETS / "attributes" / "model.safetensors")
    network = AttributeNetwork(outputs=len(weights["head.bias"]))
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)
