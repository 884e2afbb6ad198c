"""CLIPs behind one control: the built-in one, and those that open_clip downloads."""

import json
import math
import pickle
from functools import lru_cache, partial
from pathlib import Path

import open_clip
import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HTTPError
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from open_clip.transformer import Transformer
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize
from torchvision.transforms.functional import to_tensor

from guidance import progress, settings
from guidance.models import loading
from guidance.models.cache import cache
from guidance.models.device import ModelError, building, device, precision
from guidance.models.files import OURS, shipped, sound
from guidance.models.hub import fetch, online
from guidance.models.layout import frozen
from guidance.models.model import padded
from guidance.models.words import WordTokenizer

WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")  # the first that is there is taken


class Clip:
    """A frozen CLIP on its device that takes pictures in [0, 1] and gives float32 embeddings."""

    def __init__(self, network: nn.Module, tokenizer: object, normal: dict):  # mean and std of what it was trained on
        self.network = sequence_first(frozen(network))  # open_clip's come in training mode
        self.tokenizer = tokenizer
        weight = next(network.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        size = network.visual.image_size
        self.size: int = size if isinstance(size, int) else size[0]
        # As in Model: one batch size for all calls, so that a picture's gradient is the same alone and in company.
        self.batch = 64 if self.device.type != "cpu" else 8 if self.size <= 64 else 4
        if self.device.type == "cpu" and math.prod(getattr(network.visual, "grid_size", (99, 99))) < 100:
            unfused(network.visual)
        values = (torch.tensor(normal[name], device=self.device) for name in ("mean", "std"))
        self.mean, self.std = (value.view(3, 1, 1) for value in values)
        self.text = lru_cache(512)(self.text)

    def encode_image(self, pictures: Tensor, together: int = 1, batched: bool = True) -> Tensor:
        """Pictures (N, 3, size, size) in [0, 1] to (N, D) float32, with a gradient; `together` always come at once.

        On a CPU no more than these do unless `batched`.
        """
        batch = max(self.batch, together) if batched or self.device.type != "cpu" else together
        parts = ((pictures - self.mean) / self.std).to(self.dtype).split(batch)
        return torch.cat([self.network.encode_image(padded(part, batch))[: len(part)] for part in parts]).float()

    @torch.no_grad()
    def text(self, prompt: str) -> Tensor:
        """The unit vector (D,) of a prompt; kept for the next time."""
        return normalize(self.network.encode_text(self.tokenizer([prompt]).to(self.device)).float(), dim=-1)[0]

    @torch.no_grad()
    def picture(self, image: Image.Image) -> Tensor:
        """The unit vector (D,) of a picture as a prompt."""
        x = interpolate(to_tensor(image.convert("RGB"))[None], (self.size, self.size), mode="bicubic", antialias=True)
        return normalize(self.encode_image(x.clamp(0, 1).to(self.device)), dim=-1)[0]

    def notes(self, prompt: str) -> list[str]:
        """What a user should know of how a prompt is read: words that are not known, or did not fit."""
        if isinstance(self.tokenizer, WordTokenizer):
            return self.tokenizer.notes(prompt)
        ids = self.tokenizer([prompt])[0]
        longer = len(self.tokenizer.encode(prompt)) + 2 if hasattr(self.tokenizer, "encode") else 0
        return [f"The prompt is longer than the {len(ids)} tokens CLIP reads: its end was cut."] * (longer > len(ids))


def sequence_first(network: CLIP) -> CLIP:
    """Lay the pictures of open_clip's transformers out as (L, N, D).

    From (N, L, D), attention transposes its input without copying it, and torch then multiplies a copy of its weights
    by each place of the sequence: in bf16 on a CPU that is more than ten times the work of all the rest.
    """
    for part in network.modules():
        if isinstance(part, Transformer) and part.batch_first:
            part.batch_first = False
            for block in part.resblocks:
                block.attn.batch_first = False
    return network


def unfused(visual: nn.Module) -> None:
    """Let attention give its weights, for which torch multiplies matrix by matrix.

    Where a CPU has few places to attend to, going back through its fused kernel takes several times as long.
    """

    def weighed(attention: nn.Module, *inputs: Tensor, need_weights: bool = True, **options: object) -> tuple:
        return nn.MultiheadAttention.forward(attention, *inputs, average_attn_weights=False, **options)

    for part in visual.modules():
        if isinstance(part, nn.MultiheadAttention):
            part.forward = partial(weighed, part)


def build(config: dict) -> CLIP:
    """An untrained open_clip model of a configuration as in open_clip_config.json's "model_cfg"."""
    parts = {"vision_cfg": CLIPVisionCfg(**config["vision_cfg"]), "text_cfg": CLIPTextCfg(**config["text_cfg"])}
    return CLIP(**config | parts)


def built_in(folder: Path) -> Clip:
    """The CLIP in a folder of ours."""
    config = json.loads((folder / "open_clip_config.json").read_text())
    with building:
        network = build(config["model_cfg"])
    network.load_state_dict(load_file(folder / "open_clip_model.safetensors"))
    sound(network, OURS)
    where, tokenizer = device(), WordTokenizer.read(folder / "vocabulary.json")
    return Clip(network.to(where, precision(where)), tokenizer, config["preprocess_cfg"])


def downloaded(name: str) -> Clip:
    """What open_clip calls "ARCHITECTURE/TAG", cached or over the network; ModelError when it cannot be had."""
    architecture, tag = name.split("/")
    described = open_clip.get_pretrained_cfg(architecture, tag)
    try:
        return loaded(architecture, weights(described), described, device())
    except ImportError as error:
        raise ModelError(f"This CLIP needs another package: pip install {error.name}") from error
    except (HTTPError, OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        message = f"The CLIP {name} could not be downloaded; is there a network? The built-in one is always there."
        raise ModelError(message) from error


def weights(described: dict) -> str:
    """The file of what open_clip describes: cached, else downloaded, safetensors where there are any."""
    repository = described["hf_hub"].strip("/")
    if path := cached(repository):
        return path
    if not online():
        raise OSError("The Hub does not answer.")
    with progress.loading(repository):
        folder = fetch(repository, (), [WEIGHTS])
    return str(next((folder / file for file in WEIGHTS if (folder / file).exists()), folder / WEIGHTS[0]))


def cached(repository: str) -> str | None:
    """The file of weights of a repository that is here already."""
    found = (try_to_load_from_cache(repository, file) for file in WEIGHTS)
    return next((path for path in found if isinstance(path, str)), None)


def loaded(architecture: str, path: str, described: dict, where: torch.device) -> Clip:
    """An open_clip architecture with the weights in a file; of a pickle only tensors are taken."""
    with building:
        network = open_clip.create_model(
            architecture, pretrained=path, precision="fp32", force_quick_gelu=described.get("quick_gelu", False),
            require_pretrained=True, weights_only=True,
        )  # fmt: skip
    return Clip(network.to(where, precision(where)), open_clip.get_tokenizer(architecture), described)


def untrained(architecture: str, where: torch.device) -> Clip:
    """An open_clip architecture with random weights, as fast or slow as a trained one."""
    network = open_clip.create_model(architecture, precision="fp32").to(where, precision(where))
    return Clip(network, open_clip.get_tokenizer(architecture), network.visual.preprocess_cfg)


def get(name: str) -> Clip:
    """The CLIP of a name, "landscapes" or what open_clip calls "ARCHITECTURE/TAG"; recipes hold the list of them."""

    def load() -> Clip:
        if name != "landscapes":
            return downloaded(name)
        with shipped("clip/") as folder:
            return built_in(folder)

    return cache.get(f"CLIP {name}", load)


def fingerprint(name: str) -> str | None:
    """The fingerprint of a CLIP's weights; None while they are not among the files here."""
    if name == "landscapes":
        return loading.fingerprint(settings.ASSETS / "clip" / "open_clip_model.safetensors")
    path = cached(open_clip.get_pretrained_cfg(*name.split("/"))["hf_hub"].strip("/"))
    return loading.fingerprint(Path(path).resolve()) if path else None
