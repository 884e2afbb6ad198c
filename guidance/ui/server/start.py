"""What must be right before the page is built, each with a sentence that names the remedy; gradio is not imported."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version

from guidance import settings
from guidance.fields import RecipeError, choice
from guidance.guides.prompt import CLIPS
from guidance.recipe import model_name

INSTALL = "pip install -r requirements.txt"
NEEDED = {"torch": "torch", "torchvision": "torchvision", "diffusers": "diffusers", "open_clip": "open_clip_torch"}
GRADIO = 6


class StartError(ValueError):
    """The page cannot start; the message is a sentence for whoever starts it."""


def packages() -> None:
    """StartError unless the packages are there that the page needs; nothing heavy is imported."""
    try:
        found = version("gradio")
    except PackageNotFoundError:
        raise StartError(f"The page needs Gradio {GRADIO}: {INSTALL}") from None
    if int(found.split(".")[0]) != GRADIO:
        raise StartError(f"The page needs Gradio {GRADIO} and this is {found}: {INSTALL}")
    for module, package in NEEDED.items():
        if importlib.util.find_spec(module) is None:
            raise StartError(f"The page needs {package}: {INSTALL}")


def account() -> tuple[str, str] | None:
    """The user and the password that the page asks for, if any; StartError if they are not written so."""
    user, colon, password = settings.AUTH.partition(":")
    if settings.AUTH and not (user and password):
        raise StartError('The account must be written "user:password".')
    return (user, password) if colon else None


def is_there(device: str) -> bool:
    """Whether torch, which is imported only where it is asked for, finds a device here."""
    import torch

    return {"cuda": torch.cuda, "mps": torch.backends.mps}[device].is_available()


def ready() -> None:
    """StartError unless the page can be what the settings ask for."""
    try:
        if settings.MODEL:
            model_name(settings.MODEL)
        if settings.CLIP:
            choice("CLIP", settings.CLIP, tuple(CLIPS))
    except RecipeError as error:
        raise StartError(str(error)) from None
    account()
    device, lacks = settings.DEVICE, lambda module: importlib.util.find_spec(module) is None
    wrong = {
        "GUIDANCE_DEVICE must be cuda, mps or cpu, or not set.": device not in ("", "cpu", "cuda", "mps"),
        "GUIDANCE_PRECISION must be float32 or bfloat16, or not set.":
            settings.PRECISION not in ("", "float32", "bfloat16"),
        f"GUIDANCE_DEVICE is {device}, which torch does not find here: leave it out.":
            device in ("cuda", "mps") and not is_there(device),
        "ZeroGPU needs one more package in requirements.txt: spaces": settings.ZERO and lacks("spaces"),
        "The port must be from 1 to 65535.": not 1 <= settings.PORT <= 65535,
        "Serving agents needs one more package: pip install 'gradio[mcp]'": settings.MCP and lacks("mcp"),
    }  # fmt: skip
    for sentence, so in wrong.items():
        if so:
            raise StartError(sentence)
