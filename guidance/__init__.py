"""Guidance of diffusion models: steer a trained model while it samples, with no training.

    from guidance import Color, Loss, Prompt, frames, steer
    steer("landscapes", Color("teal"), count=4)[0].show()
    steer(pipeline, Color("teal", scale=0.4) + Prompt("a lake at dusk"), seed=7)   # a diffusers pipeline in hand
    steer(pipeline, Loss(lambda x0: (x0 - x0.flip(-1)).square().mean((1, 2, 3)), name="symmetry"))
"""

from guidance.fields import RecipeError
from guidance.guides import every
from guidance.guides.base import Guide, Guides, Loss, LossGuide
from guidance.recipe import ClipRecipe, ColorRecipe, DigitRecipe, Recipe, read_png, save_png

LATER = {"steer": "steer", "frames": "steer", "generate": "steer", "images": "steer", "read_digits": "models.catalogue"}
__all__ = [
    "ClipRecipe", "ColorRecipe", "DigitRecipe", "Guide", "Guides", "Loss", "LossGuide", "Recipe", "RecipeError",
    "read_png", "save_png", *LATER,
]  # fmt: skip


def __getattr__(name: str):
    """Import what needs torch on first use, so that help comes at once; guides are found by the names of classes."""
    from importlib import import_module

    if name in LATER:
        value = getattr(import_module(f"guidance.{LATER[name]}"), name)
        return globals().setdefault(name, value)  # steer is bound by now: the module of that name, which can be called
    for kind in every().values():
        if kind.__name__ == name:
            return kind
    raise AttributeError(f"module 'guidance' has no attribute {name!r}")
