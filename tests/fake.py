"""A page's compute function without a network."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL import Image

from guidance.recipes import DigitRecipe, Recipe


@dataclass
class Frame:
    """A frame without tensors: flat pictures in the target, or in grey when unguided."""

    step: int
    steps: int
    recipe: Recipe
    weight: float = 1.0
    losses: dict = field(default_factory=dict)
    notes: tuple = ()
    latent: bool = False

    def images(self) -> list[Image.Image]:
        """The pictures."""
        if isinstance(self.recipe, DigitRecipe):
            return [Image.new("L", (28, 28), 20 * digit) for digit in self.recipe.classes]
        paint = getattr(self.recipe, "color", "#203040") if self.recipe.scale else "#808080"
        return [Image.new("RGB", (8, 8), paint) for _ in range(self.recipe.count)]

    def noisy(self) -> list[Image.Image]:
        """As grey as it gets."""
        return [image.convert("L") for image in self.images()]

    pulls = noisy


def read(images: list[Image.Image]) -> list[tuple[int, float]]:
    """What those pictures of digits show; a 9 is taken for a 4."""
    digits = [image.getpixel((0, 0)) // 20 for image in images]
    return [(4 if digit == 9 else digit, 0.5) for digit in digits]


class Fake:
    """A compute function that remembers what it was asked and which runs were closed or finished."""

    def __init__(self, fail_at: int = 0, error: Exception | None = None):
        self.asked, self.over, self.fail_at, self.error = [], [], fail_at, error

    def __call__(self, recipe: Recipe) -> Iterator[Frame]:
        self.asked.append(recipe)
        try:
            for i in range(recipe.steps):
                if i + 1 == self.fail_at:
                    raise self.error
                yield Frame(i + 1, recipe.steps, recipe)
        finally:
            self.over.append(recipe)


# Fields that no recipe takes on the page or through the API, and how the sentence about them begins.
WRONG = [
    ({"color": "#12"}, "Colour must be"),
    ({"color": "$44CCAA"}, "Colour must be"),
    ({"color": "javascript:x"}, "Colour must be"),
    ({"color": None}, "Colour must be"),
    ({"scale": -1}, "Scale must be a number from 0 to 1."),
    ({"scale": math.nan}, "Scale must be a number from 0 to 1."),
    ({"scale": 1e9}, "Scale must be a number from 0 to 1."),
    ({"scale": "text"}, "Scale must be a number from 0 to 1."),
    ({"scale": 20_000, "rule": "course"}, "Scale must be a number from 0 to 10000."),
    ({"steps": 0}, "Steps must be a whole number from 1 to"),
    ({"steps": 10_000}, "Steps must be a whole number from 1 to"),
    ({"steps": 2.5}, "Steps must be a whole number from 1 to"),
    ({"count": 0}, "Count must be a whole number from 1 to"),
    ({"count": 1000}, "Count must be a whole number from 1 to"),
    ({"seed": -1}, "Seed must be a whole number from 0 to"),
    ({"seed": 10**30}, "Seed must be a whole number from 0 to"),
    ({"model": "../etc"}, "Model must be"),
    ({"model": "/etc"}, "Model must be one of those that the page lists"),
    ({"solver": "euler"}, "Solver must be one of"),
    ({"start": 0.8, "stop": 0.2}, "Start must not lie after stop."),
]
