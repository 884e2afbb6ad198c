"""Tiny pipelines of diffusers with random weights, and everything that can be seen of one."""

import json
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel, UNet2DModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer


def pixels(channels=3, out=None, dropout=0.0):
    """A UNet2DModel for pictures of 16 px as it comes, ready to be trained; `out` channels with a learned variance."""
    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=16, in_channels=channels, out_channels=out or channels, block_out_channels=(16, 32),
        layers_per_block=1, norm_num_groups=8, attention_head_dim=8, dropout=dropout,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    unet.conv_in.weight.grad = torch.ones_like(unet.conv_in.weight)  # a training was under way
    return unet


def tokenizer():
    """A tokenizer of letters."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder) / "vocab.json", Path(folder) / "merges.txt"
        vocabulary.write_text(json.dumps({word: number for number, word in enumerate(words)}))
        merges.write_text("#version: 0.2\n")
        return CLIPTokenizer(str(vocabulary), str(merges), model_max_length=16)


def text_config(**changes):
    """The configuration of a text encoder for that tokenizer."""
    about = {
        "vocab_size": 54, "hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
        "max_position_embeddings": 16, "bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53,
    }  # fmt: skip
    return CLIPTextConfig(**about | changes)


def stable_diffusion(cls=StableDiffusionPipeline, **others):
    """A pipeline like Stable Diffusion's whose pictures are 32 px, its latents 4 x 16 x 16."""
    torch.manual_seed(0)
    blocks = {"block_out_channels": (16, 32), "layers_per_block": 1}
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4,
        norm_num_groups=1, scaling_factor=0.5, **blocks,
    )  # fmt: skip
    vae.decoder.conv_out.weight.data *= 4  # so that a latent's mean shows in the picture's
    unet = UNet2DConditionModel(
        sample_size=16, cross_attention_dim=24, attention_head_dim=8, norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        **blocks,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1,
        set_alpha_to_one=False,
    )  # fmt: skip
    parts = {"vae": vae, "text_encoder": CLIPTextModel(text_config()), "tokenizer": tokenizer(), "unet": unet,
             "scheduler": scheduler}  # fmt: skip
    if cls is StableDiffusionPipeline:
        others = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False} | others
    return cls(**parts, **others)


def seen(pipeline):
    """All that can be seen of a pipeline: what its modules hold, every tensor to the byte, and its scheduler."""
    parts = getattr(pipeline, "components", {"unet": pipeline})
    found = {}
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            found |= {f"{name}.{place}": attributes(module) for place, module in part.named_modules()}
            tensors = [*part.named_parameters(), *part.named_buffers()]
            found |= {f"{name}.{place}": looks(tensor) for place, tensor in tensors}
        elif hasattr(part, "set_timesteps"):
            found[name] = scheduler_state(part)
        elif hasattr(part, "backend_tokenizer"):
            found[name] = part.backend_tokenizer.to_str()  # how it pads and cuts included
    return found


class Same:
    """A thing that only equals itself; holding it keeps its place from being taken by another."""

    def __init__(self, thing):
        self.thing = thing

    def __eq__(self, other):
        return self.thing is other.thing


def attributes(module):
    """What a module holds, by identity: its flags, forward, hooks, processor, parts and tensors."""
    held = {}
    for name, value in vars(module).items():
        held[name] = {key: Same(part) for key, part in value.items()} if isinstance(value, dict) else Same(value)
    return held


def looks(tensor):
    """A tensor's place, form and bytes, and how often it was written to."""
    grad = None if tensor.grad is None else tensor.grad.tolist()
    return (
        tensor.data_ptr(), tensor.dtype, tensor.device, tensor.stride(), tensor.requires_grad, grad, tensor._version,
        tensor.detach().clone().contiguous().view(-1).view(torch.uint8).tolist(),
    )  # fmt: skip


def changes(before, after):
    """What has changed between two looks at a pipeline."""
    return [name for name in before | after if before.get(name) != after.get(name)]


def scheduler_state(scheduler):
    """A scheduler's configuration and all that it remembers."""
    state = {name: value.tolist() if hasattr(value, "tolist") else repr(value) for name, value in
             vars(scheduler).items()}  # fmt: skip
    return state | {"config": dict(scheduler.config)}
