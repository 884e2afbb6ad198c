"""A page's compute function without a network, and a guide from elsewhere."""

import dataclasses
import math
from collections.abc import Iterator
from typing import ClassVar, Literal

from PIL import Image

from guidance.fields import field
from guidance.guides.base import LossGuide
from guidance.recipe import Recipe


class Ridges(LossGuide):
    """Toward more or fewer ridges; no file of the project has it."""

    name: ClassVar[str] = "ridges"
    label: ClassVar[str] = "Ridges"
    about: ClassVar[str] = "Paint pictures with as many ridges as asked."

    amount: float = field(0.25, "Amount", "How many ridges.", 0, 2, slider=(1, 0.05), front=True)
    along: Literal["rows", "columns"] = field(
        "rows", "Direction", "Where they run.", labels={"rows": "In rows", "columns": "In columns"}
    )
    sizes: int = field(3, "Sizes", "How many sizes of them.", 1, 9)


@dataclasses.dataclass
class Frame:
    """A frame without tensors: flat pictures in the target, or in grey when unguided."""

    step: int
    steps: int
    recipe: Recipe
    weight: float = 1.0
    losses: dict = dataclasses.field(default_factory=dict)
    notes: tuple = ()
    latent: bool = False
    weights: str = ""

    @property
    def digits(self) -> str:
        """The digit of each picture."""
        return "".join(getattr(guide, "digits", "") for guide in self.recipe.guides) * self.recipe.count

    @property
    def seen(self) -> list[dict[str, float]]:
        """What those pictures show: a 9 is taken for a 4, and whoever is guided sees a lake, and hardly a moon."""
        if self.digits:
            return [{digit.replace("9", "4"): 0.5} for digit in self.digits]
        return [{"lake": 0.9 if self.recipe.guided else 0.2, "moon": 0.3}] * self.recipe.count

    def images(self, most: int | None = None) -> list[Image.Image]:
        """The pictures, or the first of them."""
        if self.digits:
            return [Image.new("L", (28, 28), 20 * int(digit)) for digit in self.digits][:most]
        paint = "#203040" if self.recipe.guided else "#808080"
        paint = next((guide.color for guide in self.recipe.guides if guide.name == "color" and guide.scale), paint)
        return [Image.new("RGB", (8, 8), paint) for _ in range(self.recipe.count)][:most]

    natives = images


    def noisy(self, most: int | None = None) -> list[Image.Image]:
        """As grey as it gets."""
        return [image.convert("L") for image in self.images(most)]

    parts: tuple = ()  # of the pull

    pulls = noisy


class Fake:
    """A compute function that remembers what it was asked and which runs were closed or finished."""

    def __init__(self, fail_at: int = 0, error: Exception | None = None, weights: str = ""):
        self.asked, self.over, self.fail_at, self.error, self.weights = [], [], fail_at, error, weights

    def __call__(self, recipe: Recipe) -> Iterator[Frame]:
        self.asked.append(recipe)
        try:
            for i in range(recipe.steps):
                if i + 1 == self.fail_at:
                    raise self.error
                yield Frame(i + 1, recipe.steps, recipe, weights=self.weights)
        finally:
            self.over.append(recipe)


COLOUR = "Colour must be a hex value such as #2080ff, a CSS name such as teal, or rgb(32, 128, 255)."
SCALE = "Scale must be a number from 0 to 1."
STEPS, COUNT = "Steps must be a whole number from 1 to {steps}.", "Count must be a whole number from 1 to {count}."
SEED = "Seed must be a whole number from 0 to 4,294,967,295."
LISTED = "Model must be one of those that the page lists, or where it is not public one on the Hub by owner/name."
# Fields that no recipe takes on the page or through the API, and the sentence about them.
WRONG = [
    ({"color": "#12"}, COLOUR),
    ({"color": "$44CCAA"}, COLOUR),
    ({"color": "javascript:x"}, COLOUR),
    ({"color": None}, COLOUR),
    ({"scale": -1}, SCALE),
    ({"scale": math.nan}, SCALE),
    ({"scale": 1e9}, SCALE),
    ({"scale": "text"}, SCALE),
    ({"scale": 20_000, "rule": "course"}, "Scale must be a number from 0 to 10000."),
    ({"steps": 0}, STEPS),
    ({"steps": 10_000}, STEPS),
    ({"steps": 2.5}, STEPS),
    ({"count": 0}, COUNT),
    ({"count": 1000}, COUNT),
    ({"seed": -1}, SEED),
    ({"seed": 10**30}, SEED),
    ({"model": "../etc"}, "{model}"),
    ({"model": "/etc"}, LISTED),
    ({"solver": "euler"}, "Solver must be one of: ddim, dpm++, ddpm."),
    ({"start": 0.8, "stop": 0.2}, "Start must not lie after stop."),
]
# What stands in those sentences.
PAGE = {"steps": "250", "count": "16", "model": LISTED}
API = {
    "steps": "1,000", "count": "64",
    "model": LISTED,
}  # fmt: skip
