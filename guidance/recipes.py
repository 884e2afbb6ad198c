"""Recipes: everything needed to make a picture again, checked on the way in and carried inside the PNG."""

import json
import math
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from PIL import Image, ImageColor, PngImagePlugin

KEY = "guidance"  # the PNG text chunk that holds a recipe
MODELS = ("landscapes",)
METHODS = ("shortcut", "full")
RULES = ("normalized", "course")
SOLVERS = ("ddim", "dpm++")
COLOR_LOSSES = ("tone", "pixel", "pixel-l1")
WEIGHTS = ("late", "constant", "early", "counter")
# What goes with a rule unless a recipe says otherwise; the course's are the notebook's.
DEFAULTS = {
    "normalized": {"scale": 0.5, "loss": "tone", "weight": "late"},
    "course": {"scale": 40.0, "loss": "pixel-l1", "weight": "constant"},
}
MAX_SCALES = {"normalized": 1.0, "course": 10_000.0}
MAX_SEED = 2**32 - 1


class RecipeError(ValueError):
    """A recipe cannot be made; the message is one sentence for the user and never echoes what was put in."""


def whole(label: str, value: object, low: int, high: int) -> int:
    """`value` as an int from `low` to `high`; numbers and digits in text are taken, else RecipeError."""
    message = f"{label} must be a whole number from {low:,} to {high:,}."
    number = real(label, value, low, high, message)
    if number != int(number):
        raise RecipeError(message)
    return int(number)


def real(label: str, value: object, low: float, high: float, message: str = "") -> float:
    """`value` as a float from `low` to `high`; numbers and digits in text are taken, else RecipeError."""
    message = message or f"{label} must be a number from {low:g} to {high:g}."
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or len(str(value)) > 40:
        raise RecipeError(message)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise RecipeError(message) from None
    if not (math.isfinite(number) and low <= number <= high):
        raise RecipeError(message)
    return number


def choice(label: str, value: object, choices: tuple[str, ...]) -> str:
    """`value` if it is one of `choices`, else RecipeError."""
    if value not in choices:
        raise RecipeError(f"{label} must be one of: {', '.join(choices)}.")
    return value


def color(value: object) -> str:
    """A colour as "#rrggbb": hex, a CSS name, rgb(...), rgba(...), hsl(...) are taken, else RecipeError."""
    text = value.strip().lower() if isinstance(value, str) and len(value) <= 60 else ""
    rgb = re.fullmatch(r"rgba?\(([\d.]+)[, ]+([\d.]+)[, ]+([\d.]+)(?:[,/ ]+[\d.]+%?)?\)", text)
    try:
        channels = [float(part) for part in rgb.groups()] if rgb else ImageColor.getrgb(text)[:3]
    except ValueError:
        channels = [-1]
    if not all(0 <= channel <= 255 for channel in channels):
        raise RecipeError("Colour must be a hex value such as #2080ff, a CSS name such as teal, or rgb(32, 128, 255).")
    return "#" + "".join(f"{round(channel):02x}" for channel in channels)


@dataclass(frozen=True)
class ColorRecipe:
    """Pictures steered toward a colour.

    Fields are checked and brought to their plain form; RecipeError if they cannot be. Picture k of `count` is the
    picture of seed + k, alone or in any batch.
    """

    color: str = "#2080ff"
    model: str = "landscapes"
    loss: str | None = None  # "tone": the mean colour; "pixel": every one; "pixel-l1": the course's; None: by rule
    scale: float | None = None  # 0: unguided; None: by rule
    method: str = "shortcut"  # "full" sends the gradient through the network
    rule: str = "normalized"  # "course": the diffusion course's update, where a batch of one equals the notebook
    weight: str | None = None  # w(t), the strength over the steps; None: by rule
    start: float = 0.0  # the share of the steps after which guidance begins ...
    stop: float = 1.0  # ... and ends
    solver: str = "ddim"
    steps: int = 40
    seed: int = 0
    count: int = 1

    def __post_init__(self):
        """Check every field."""
        choice("Rule", self.rule, RULES)
        for name, value in DEFAULTS[self.rule].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        checked = {
            "color": color(self.color),
            "model": choice("Model", self.model, MODELS),
            "loss": choice("Loss", self.loss, COLOR_LOSSES),
            "scale": real("Scale", self.scale, 0, MAX_SCALES[self.rule]),
            "method": choice("Method", self.method, METHODS),
            "weight": choice("Weight", self.weight, WEIGHTS),
            "start": real("Start", self.start, 0, 1),
            "stop": real("Stop", self.stop, 0, 1),
            "solver": choice("Solver", self.solver, SOLVERS),
            "steps": whole("Steps", self.steps, 1, 1000),
            "seed": whole("Seed", self.seed, 0, MAX_SEED),
            "count": whole("Count", self.count, 1, 64),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.start > self.stop:
            raise RecipeError("Start must not lie after stop.")
        whole("Seed plus count", self.seed + self.count - 1, 0, MAX_SEED)

    def picture(self, k: int) -> "ColorRecipe":
        """The recipe of picture k alone."""
        return replace(self, seed=self.seed + k, count=1)

    def unguided(self) -> "ColorRecipe":
        """The same pictures without guidance."""
        return replace(self, scale=0.0)


KINDS = {"color": ColorRecipe}


def to_json(recipe: ColorRecipe) -> str:
    """The recipe as JSON, its kind among the fields."""
    kind = next(name for name, cls in KINDS.items() if type(recipe) is cls)
    return json.dumps({"kind": kind, **asdict(recipe)})


def from_json(text: str) -> ColorRecipe:
    """The recipe in a JSON text; RecipeError if it is none. Unknown fields are refused, missing ones take defaults."""
    try:
        values = json.loads(text)
        cls = KINDS[values.pop("kind")]
        if unknown := set(values) - {field.name for field in fields(cls)}:
            raise KeyError(unknown)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RecipeError("This is not a recipe that this version understands.") from None
    return cls(**values)


def png_info(recipe: ColorRecipe) -> PngImagePlugin.PngInfo:
    """PNG metadata that carries the recipe."""
    info = PngImagePlugin.PngInfo()
    info.add_text(KEY, to_json(recipe))
    return info


def save_png(image: Image.Image, path: Path, recipe: ColorRecipe) -> Path:
    """Save one picture with its recipe inside."""
    image.save(path, pnginfo=png_info(recipe))
    return path


def read_png(path: Path) -> ColorRecipe:
    """The recipe inside a PNG; RecipeError if the file is not a picture or carries none."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            text = image.info.get(KEY)
            if text is None:  # text chunks may stand behind the pixels
                image.load()
                text = image.info.get(KEY)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise RecipeError("This file is not a PNG picture that can be read.") from None
    if not isinstance(text, str):
        raise RecipeError("This picture carries no recipe.")
    return from_json(text)
