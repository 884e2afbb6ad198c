"""Guidance of diffusion models: steer a trained model while it samples, with no training.

    from guidance import ColorRecipe, generate, images
    images(ColorRecipe(color="teal", count=4))[0].show()
"""

from guidance.checks import RecipeError
from guidance.metadata import read_png, save_png
from guidance.recipes import ClipRecipe, ColorRecipe, DigitRecipe

__all__ = [
    "ClipRecipe", "ColorRecipe", "DigitRecipe", "RecipeError", "generate", "images", "read_digits", "read_png",
    "save_png",
]  # fmt: skip


def __getattr__(name: str):
    """Import what needs torch on first use, so that recipes and command-line help come at once."""
    if name in ("generate", "images", "read_digits"):
        from guidance import generation

        return getattr(generation, name)
    raise AttributeError(f"module 'guidance' has no attribute {name!r}")
