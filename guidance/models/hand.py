"""Models in hand: pipelines of diffusers that someone holds, steered without a change to them."""

import copy

from torch import nn

from guidance.models import loading
from guidance.models.device import ModelError
from guidance.models.model import LatentModel, Model

TAKEN = "a DDPMPipeline, a DDIMPipeline, a StableDiffusionPipeline, or a UNet2DModel and its scheduler"


def twin(network: nn.Module) -> nn.Module:
    """A network of the same tensors in modules of its own: what is set on it leaves the first one as it is."""
    network = getattr(network, "_orig_mod", network)  # what torch.compile was given
    tensors = {id(weight): nn.Parameter(weight.detach(), requires_grad=False) for weight in network.parameters()}
    return copy.deepcopy(network, tensors | {id(buffer): buffer for buffer in network.buffers()})


def opened(held: object, scheduler: object = None) -> Model:
    """The model of a pipeline, or of a UNet2DModel with a scheduler; ModelError, with a sentence, for anything else.

    It runs on the device and in the dtype that it is in, shares its tensors, and is left as it was found.
    """
    unet, scheduler = getattr(held, "unet", held), scheduler or getattr(held, "scheduler", None)
    if not (isinstance(unet, nn.Module) and hasattr(unet, "config")):
        raise ModelError(f"This is no model that can be steered: that is {TAKEN}.")
    if not hasattr(scheduler, "config"):
        raise ModelError("A network alone needs its noise schedule: give the scheduler as scheduler=...")
    source = type(held).__name__
    schedule = {"_class_name": type(scheduler).__name__} | dict(scheduler.config)
    about = dict(unet.config) | {"_class_name": type(getattr(unet, "_orig_mod", unet)).__name__}
    parts = {name: part for name, part in getattr(held, "components", {}).items() if part is not None}
    if not loading.LATENT & set(parts):
        loading.pixel(about, source)
        return Model(twin(unet), loading.scheduled(schedule, source), shared=True)
    vae, text = parts.get("vae"), parts.get("text_encoder")
    configs = [{} if part is None else config(part) for part in (vae, text)]
    loading.latent(parts, about, *configs, source)
    if parts.get("tokenizer") is None:
        raise ModelError(f"{source} has no tokenizer.")
    networks = [twin(part) for part in (unet, vae, text)]
    tokenizer = copy.deepcopy(parts["tokenizer"])  # it remembers how it was last told to pad and to cut
    return LatentModel(*networks, tokenizer, loading.scheduled(schedule, source, latent=True), shared=True)


def config(part: nn.Module) -> dict:
    """The configuration of a part, under the names that its files would have."""
    name, values = type(part).__name__, part.config
    values = dict(values if isinstance(values, dict) else values.to_dict())
    return values | {"_class_name": name, "architectures": [name]}
