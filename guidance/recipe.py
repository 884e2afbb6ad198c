"""Recipes: everything needed to make a picture again - a model and what it is told, guides, a sampler, seeds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Literal

from PIL import Image, PngImagePlugin
from pydantic import BeforeValidator, ValidationInfo, model_validator

from guidance import guides as known
from guidance.atomic import written
from guidance.codec import opened
from guidance.fields import RecipeError, Values, field, text, whole
from guidance.guides.base import Guide, Reading
from guidance.sampling.schedule import SOLVERS
from guidance.settings import LOOKS

MODELS = (*LOOKS, "digits")  # that are built in
IN_HAND = "in hand"  # instead of a model's name: an object that was handed over
REPOSITORY = re.compile(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}(@\w[\w./-]{0,95})?", re.ASCII)
TRAVEL = (0.1, 0.35)  # the shares of the steps between which time travel goes back: there a picture takes its shape
MAX_SEED, MOST_GUIDES = 2**32 - 1, 16
# Unless a guide brings others.
SAMPLER = {"solver": "ddim", "steps": 40, "eta": 0.0, "travel": 0, "candidates": 1, "tries": 1}
LATER = ("batched", "size", "tries", "weights")  # fields that not all versions wrote
KEY = "guidance"  # the PNG text chunk that holds a recipe
AS_PNG = {"format": "PNG", "compress_level": 4}  # a percent larger than at the default 6, in a quarter of the time
SEEN = "guidance-seen"  # that of what is seen in the picture, a JSON list of {asked, seen, sure, met}
NO_GUIDES = "The model comes first, then its guides, such as Color('teal'); your own function goes as Loss(function)."
NO_PICTURE = "This file is not a PNG picture that can be read."
NO_RECIPE = "This is not a recipe that this version understands."


# What raises RecipeError at a model that is not for whoever is served; nobody but the owner may ask for folders.
admitted: ContextVar[Callable[[object], None]] = ContextVar("admitted")


def model_name(value: object) -> str:
    """A built-in model's name, a repository "owner/name" with or without "@revision", or a folder; else RecipeError."""
    if admit := admitted.get(None):
        admit(value)
    name = value if isinstance(value, str) and len(value) <= 200 and value.isprintable() else ""
    there = name in MODELS or name == IN_HAND or REPOSITORY.fullmatch(name)
    with suppress(RuntimeError, OSError):  # the home of an account that there is not, a folder nobody may look into
        there = there or name and Path(name).expanduser().is_dir()
    if not there:
        raise RecipeError(f"Model must be {MODELS[0]}, a model on the Hub such as google/ddpm-cat-256, or a folder.")
    return name


def together(value: object) -> tuple[Guide, ...]:
    """One guide or several; else RecipeError."""
    guides = tuple(value) if isinstance(value, Iterable) and not isinstance(value, Guide) else (value,)
    if not all(isinstance(guide, Guide) for guide in guides):
        raise RecipeError(NO_GUIDES)
    return guides


def one_line(value: object, info: ValidationInfo) -> str:
    """A text in one line."""
    return text({"negative": "Negative text"}.get(info.field_name, "Text"), value)


class Recipe(Values):
    """Pictures of a model, steered by guides. Picture k is the picture of seed + k, alone or in any batch."""

    guides: Annotated[tuple[Guide, ...], BeforeValidator(together)] = ()
    model: Annotated[str, BeforeValidator(model_name)] | None = field(
        None, "Model", "The network that paints; all but the built-in one are downloaded on first use.", control="model"
    )
    text: Annotated[str, BeforeValidator(one_line)] = field(
        "", "Text for the model", "What a Stable-Diffusion-like model is told; the others are told nothing.", lines=3
    )
    negative: Annotated[str, BeforeValidator(one_line)] = field(
        "", "Not in the text", "What it is led away from.", lines=3
    )
    text_scale: float = field(
        7.5, "Strength of the text", "Classifier-free guidance: 1 is the model alone.", 0, 50, slider=(20, 0.1)
    )
    solver: Literal[tuple(SOLVERS)] | None = field(
        None, "Solver", "DDIM is plain; DPM-Solver++ needs fewer steps; DDPM adds noise at each and needs many.",
        labels={"ddim": "DDIM", "dpm++": "DPM-Solver++", "ddpm": "DDPM"},
    )  # fmt: skip
    eta: float | None = field(
        None, "Eta", "How much noise each step of DDIM adds: 1 is as much as DDPM.", 0, 1, slider=(1, 0.05)
    )
    travel: int | None = field(None, "Time travel", "How often the early steps are taken again.", 0, 10, slider=(10, 1))
    candidates: int | None = field(
        None, "Candidates", "Each picture is the one of so many whose loss is least.", 1, 16, slider=(16, 1)
    )
    steps: int | None = field(None, "Steps", "More: slower, finer.", 1, 1000, slider=(250, 1))
    seed: int = field(0, "Seed", "The same number, the same pictures; each picture adds one.", 0, MAX_SEED,
                      control="seed", front=True)  # fmt: skip
    count: int = field(1, "Pictures", "Each from its own noise.", 1, 1000, slider=(16, 1), front=True)
    batched: bool = field(
        False, "In batches", "Networks see several pictures at once, as in version 0.1, and round accordingly: slower "
        "for one picture."
    )  # fmt: skip
    size: Literal["full", "native"] = field(
        "full", "Size", "Full: enlarged by a network, if the model brings one. Native: as the model paints them.",
        labels={"full": "Full size", "native": "Native size"},
    )  # fmt: skip
    tries: int | None = field(
        None, "Tries", "A landscape in which another network does not find all that is asked for is painted again from "
        "other noise, up to so often.", 1, 10, slider=(10, 1),
    )  # fmt: skip
    weights: str = field("", "Weights", "The fingerprint of the networks that a picture was made with, if it has one.")

    @classmethod
    def limits(cls, name: str, others: dict) -> tuple[float, float] | None:
        """The greatest count depends on the guides, if there are any."""
        ends, guides = super().limits(name, others), others.get("guides", ())
        return (1, max(guide.most for guide in guides)) if name == "count" and guides else ends

    @model_validator(mode="after")
    def complete(self) -> Recipe:
        """Fill in what the guides bring, and see that all goes together."""
        ordered = sorted(self.guides, key=lambda guide: not guide.inner)
        self.fill({"model": next((guide.model for guide in ordered), MODELS[0])})
        brought = [guide.brought() for guide in ordered]
        if self.model not in MODELS:  # few steps are enough for those, and what others need is not known
            plain = {"solver": "ddim", "tries": 1}
            brought = [defaults | plain | {"steps": max(SAMPLER["steps"], defaults.get("steps", 0))}
                       for defaults in brought]  # fmt: skip
        # The sampler is that of the guide which needs the most steps.
        sampler = SAMPLER | max(brought, key=lambda defaults: defaults.get("steps") or 0, default={})
        if (self.travel or self.eta) and sampler["solver"] == "dpm++":  # which can do neither
            sampler |= {"solver": "ddim", "steps": max(SAMPLER["steps"], sampler["steps"])}
        self.fill({"solver": sampler["solver"]})
        if self.solver == "dpm++":
            self.fill({"travel": 0})
        self.fill(sampler)
        if len(self.guides) > MOST_GUIDES:
            raise RecipeError(f"A recipe has at most {MOST_GUIDES} guides.")
        if sum(guide.inner for guide in self.guides) > 1:
            raise RecipeError("Only one guide of a recipe may say which class is drawn.")
        if self.travel and self.solver == "dpm++":
            raise RecipeError("Time travel needs the solver ddim or ddpm: DPM-Solver++ remembers its last step.")
        whole("Seed plus count", self.seeds[-1], 0, MAX_SEED)
        if self.candidates > 1:
            whole("Pictures times candidates", len(self.seeds) * self.candidates, 1, 256)
        return self

    @property
    def guided(self) -> bool:
        """Whether anything steers."""
        return any(guide.scale for guide in self.guides)

    @property
    def each(self) -> int:
        """How many pictures a round has."""
        return max((guide.each for guide in self.guides), default=1)

    @property
    def seeds(self) -> list[int]:
        """The seed of each picture."""
        return list(range(self.seed, self.seed + self.count * self.each))

    def picture(self, k: int) -> Recipe:
        """The recipe of picture k alone."""
        alone = tuple(guide.picture(k) for guide in self.guides)
        return self.replace(guides=alone, seed=self.seed + k, count=1)

    def readings(self, k: int, seen: dict[str, float]) -> tuple[Reading, ...]:
        """What the guides ask of picture k, and what is there by the chances of all that a network saw: a Frame's."""
        found = (reading for guide in self.guides for reading in guide.picture(k).readings(seen))
        return tuple({reading.asked: reading for reading in found}.values())

    def unguided(self) -> Recipe:
        """The same pictures without guidance."""
        return self.replace(guides=(), travel=0, candidates=1, tries=1, count=len(self.seeds), weights="")

    def change(self, **changes: object) -> Recipe:
        """The same with fields of the recipe or of its only guide changed, and what these bring."""
        mine = {name: value for name, value in changes.items() if name in type(self).model_fields}
        if len(mine) == len(changes):
            return self.replace(**mine)
        if len(self.guides) != 1:
            raise RecipeError("A recipe has one guide's fields beside its own if it has one guide.")
        (guide,) = self.guides
        made = guide.replace(**{name: value for name, value in changes.items() if name not in mine})
        led = made.led() if made.brought() != guide.brought() else []
        anew = {name: None for name in led if name in SAMPLER}
        return self.replace(**anew | {"guides": (made,)} | mine)

    def __getattr__(self, name: str) -> object:
        """A field of the only guide, as recipes of version 0.1 had it beside their own."""
        guides = self.__dict__.get("guides", ())
        if len(guides) == 1 and name in type(guides[0]).model_fields:
            return getattr(guides[0], name)
        return super().__getattr__(name)

    @property
    def slug(self) -> str:
        """What a file with the first picture is called."""
        words = "-".join(guide.slug for guide in self.guides if guide.scale or guide.inner)[:60] or "unguided"
        return f"{'digits' if self.model == 'digits' else 'guidance'}-{words}-{self.seed}"


# The flat form of a recipe with one guide, which its tab, its command and its endpoint have: the fields of both.


def form(kind: type[Guide]) -> tuple[str, ...]:
    """The fields of a guide's flat form, in order."""
    rest = [name for name in Recipe.model_fields if name not in ("guides", "tries", "weights")]
    return kind.form or tuple(dict.fromkeys([*kind.names(), *rest]))


def about(kind: type[Guide], name: str):
    """The field of a guide's flat form, with what pydantic knows of it."""
    return kind.model_fields.get(name) or Recipe.model_fields[name]


def from_flat(kind: type[Guide], values: dict[str, object]) -> Recipe:
    """The recipe of a flat form; RecipeError when it has fields that are none, or values that are not taken."""
    if set(values) - set(form(kind)) - {"weights"}:
        raise RecipeError(NO_RECIPE)
    own = {name: value for name, value in values.items() if name in kind.model_fields}
    return Recipe(guides=(kind(**own),), **{name: value for name, value in values.items() if name not in own})


def to_flat(recipe: Recipe, kind: type[Guide] | None = None) -> dict[str, object]:
    """The flat form of a recipe with one guide, or of one with none as a guide of no strength."""
    (guide,) = recipe.guides or ((kind or known.find("color"))(scale=0),)
    return {name: getattr(guide if name in type(guide).model_fields else recipe, name) for name in form(type(guide))}


def maker(guide: str) -> Callable[..., Recipe]:
    """What makes recipes with one guide of the fields of its flat form, in order or by name, as 0.1's classes did."""

    def made(*first: object, **values: object) -> Recipe:
        kind = known.find(guide)
        return from_flat(kind, dict(zip(form(kind), first, strict=False)) | values)

    return made


ColorRecipe, ClipRecipe, DigitRecipe = map(maker, ("color", "clip", "digits"))


def to_json(recipe: Recipe) -> str:
    """The recipe as JSON; RecipeError if it has parts that no file can hold."""
    if recipe.model == IN_HAND or not all(guide.name for guide in recipe.guides):
        raise RecipeError("A model in hand or a loss of your own runs in the library: no file can hold its recipe.")
    guides = [{"guide": guide.name} | dict(guide) for guide in recipe.guides]
    return json.dumps({"guides": guides} | {name: value for name, value in recipe if name not in ("guides",)})


def from_json(words: str, old: bool = True) -> Recipe:
    """The recipe in a JSON text, today's form or version 0.1's; RecipeError if it is none.

    Unknown fields are refused, missing ones take defaults; but what an older version wrote is to give, if it is `old`,
    the same pictures as then: of native size, and in the form of 0.1 painted in batches.
    """
    as_then = {"batched": True, "size": "native", "tries": 1} if old else {}
    try:
        values = json.loads(words)
        if "kind" in values:
            kind = known.find(values.pop("kind"))
            values = kind.written(values) if old else values
            return from_flat(kind, {name: as_then[name] for name in as_then if name in form(kind)} | values)
        guides = [(guide.pop("guide"), guide) for guide in values.pop("guides")]
        if set(values) - set(Recipe.model_fields):
            raise KeyError
        if set(Recipe.model_fields) - set(values) <= {"guides", *LATER}:  # a version wrote it, nobody typed it
            values = {"size": as_then.get("size", "full"), "tries": 1} | values
    except RecipeError as error:
        raise (RecipeError(NO_RECIPE) if str(error).startswith("Guide must") else error) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RecipeError(NO_RECIPE) from None
    kinds = [(known.find(name), fields) for name, fields in guides]
    return Recipe(guides=tuple(kind(**kind.written(fields) if old else fields) for kind, fields in kinds), **values)


def readings_json(readings: Iterable[Reading]) -> str:
    """Readings as JSON, each with whether it is met."""
    return json.dumps([reading._asdict() | {"met": reading.met} for reading in readings])


def png_info(recipe: Recipe, readings: Iterable[Reading] = ()) -> PngImagePlugin.PngInfo:
    """PNG metadata that carries the recipe, and what of it a network that never guides sees in the picture."""
    info = PngImagePlugin.PngInfo()
    info.add_text(KEY, to_json(recipe))
    if readings:
        info.add_text(SEEN, readings_json(readings))
    return info


def save_png(image: Image.Image, path: Path, recipe: Recipe, readings: Iterable[Reading] = ()) -> Path:
    """Save one picture with its recipe inside, and what of it is seen in the picture."""
    info = png_info(recipe, readings)
    with written(Path(path)) as part:
        image.save(part, **AS_PNG, pnginfo=info)
    return path


def read_png(path: Path) -> Recipe:
    """The recipe inside a PNG; RecipeError if the file is not a picture or carries none."""
    with opened(path, ("PNG",), NO_PICTURE) as image:
        words = image.info.get(KEY)
        if words is None:  # text chunks may stand behind the pixels
            image.load()
            words = image.info.get(KEY)
    if not isinstance(words, str):
        raise RecipeError("This picture carries no recipe.")
    return from_json(words)
