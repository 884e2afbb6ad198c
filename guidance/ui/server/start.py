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


def mcp() -> None:
    """StartError unless the page can be served to agents."""
    if importlib.util.find_spec("mcp") is None:
        raise StartError("Serving agents needs one more package: pip install 'gradio[mcp]'")
    if settings.AUTH:
        raise StartError("Agents cannot log in: leave out either --mcp or --auth.")


def zero() -> None:
    """StartError unless ZeroGPU, where this runs there, can be asked for a GPU."""
    if settings.ZERO and importlib.util.find_spec("spaces") is None:
        raise StartError("ZeroGPU needs one more package in requirements.txt: spaces")


def account() -> tuple[str, str] | None:
    """The user and the password that the page asks for, if any; StartError if they are not written so."""
    user, colon, password = settings.AUTH.partition(":")
    if settings.AUTH and not (user and password):
        raise StartError('The account must be written "user:password".')
    return (user, password) if colon else None


def beginnings() -> None:
    """StartError unless the page can begin with the model and the CLIP that were asked for."""
    try:
        if settings.MODEL:
            model_name(settings.MODEL)
        if settings.CLIP:
            choice("CLIP", settings.CLIP, tuple(CLIPS))
    except RecipeError as error:
        raise StartError(str(error)) from None


def device() -> None:
    """StartError unless the device that was asked for is there; torch is imported only where one was."""
    if settings.DEVICE not in ("", "cpu", "cuda", "mps"):
        raise StartError("GUIDANCE_DEVICE must be cuda, mps or cpu, or not set.")
    if settings.PRECISION not in ("", "float32", "bfloat16"):
        raise StartError("GUIDANCE_PRECISION must be float32 or bfloat16, or not set.")
    if settings.DEVICE in ("cuda", "mps"):
        import torch

        if not {"cuda": torch.cuda, "mps": torch.backends.mps}[settings.DEVICE].is_available():
            raise StartError(f"GUIDANCE_DEVICE is {settings.DEVICE}, which torch does not find here: leave it out.")


def ready() -> None:
    """Everything above that the settings ask for."""
    beginnings()
    account()
    device()
    zero()
    if not 1 <= settings.PORT <= 65535:
        raise StartError("The port must be from 1 to 65535.")
    if settings.MCP:
        mcp()
