"""Guidance of diffusion models: steer a trained model while it samples, with no training.

    from guidance import Color, Loss, Prompt, frames, steer
    steer("landscapes", Color("teal"), count=4)[0].show()
    steer(pipeline, Color("teal", scale=0.4) + Prompt("a lake at dusk"), seed=7)   # a diffusers pipeline in hand
    steer(pipeline, Loss(lambda x0: (x0 - x0.flip(-1)).square().mean((1, 2, 3)), name="symmetry"))
"""

from guidance.fields import RecipeError
from guidance.guides import every
from guidance.guides.base import Guide, Guides, LossGuide
from guidance.guides.loss import Loss
from guidance.recipe import ClipRecipe, ColorRecipe, DigitRecipe, Recipe, read_png, save_png

LATER = dict.fromkeys(("steer", "frames", "generate", "images"), "engine") | {"read_digits": "models.catalogue"}
__all__ = [
    "ClipRecipe", "ColorRecipe", "DigitRecipe", "Guide", "Guides", "Loss", "LossGuide", "Recipe", "RecipeError",
    "read_png", "save_png", *LATER,
]  # fmt: skip


def __getattr__(name: str):
    """Import what needs torch on first use, so that help comes at once; guides are found by the names of classes."""
    from importlib import import_module

    if name in LATER:
        return globals().setdefault(name, getattr(import_module(f"guidance.{LATER[name]}"), name))
    for kind in every().values():
        if kind.__name__ == name:
            return kind
    raise AttributeError(f"module 'guidance' has no attribute {name!r}")
