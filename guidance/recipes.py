"""Recipes: everything needed to make a picture again, checked on the way in."""

import re
from dataclasses import dataclass, replace

from guidance.checks import RecipeError, choice, color, digits, model, picture, prompts, real, text, whole

MODELS = ("landscapes",)
METHODS = ("shortcut", "full")
RULES = ("normalized", "course")
SOLVERS = ("ddim", "dpm++", "ddpm")
COLOR_LOSSES = ("tone", "pixel", "pixel-l1")
WEIGHTS = ("late", "constant", "early", "counter")
# What goes with a rule unless a recipe says otherwise; the course's are the notebook's.
DEFAULTS = {
    "normalized": {"scale": 0.5, "loss": "tone", "weight": "late"},
    "course": {"scale": 40.0, "loss": "pixel-l1", "weight": "constant"},
}
MAX_SCALES = {"normalized": 1.0, "course": 10_000.0}
# The built-in one, and architecture and tag of what open_clip may download: it would also take a path or a hub's id.
CLIPS = ("landscapes", "ViT-B-32/openai", "ViT-B-16/openai", "ViT-L-14/openai", "ViT-B-32/laion2b_s34b_b79k",
         "ViT-B-16-SigLIP/webli")  # fmt: skip
# What a preset brings unless a recipe says otherwise; "course" is the notebook's CLIP guidance.
PRESETS = {
    "fast": {"rule": "normalized", "scale": 0.08, "method": "shortcut", "weight": "constant", "cuts": 2, "travel": 1,
             "candidates": 1, "stop": 0.9, "eta": 0.5, "steps": 40},
    "quality": {"rule": "normalized", "scale": 0.1, "method": "shortcut", "weight": "constant", "cuts": 4, "travel": 0,
                "candidates": 1, "stop": 0.9, "eta": 1.0, "steps": 80},
    "course": {"rule": "course", "scale": 8.0, "method": "shortcut", "weight": "counter", "cuts": 4, "travel": 0,
               "candidates": 1, "stop": 1.0, "eta": 0.0, "steps": 40},
}  # fmt: skip
TRAVEL = (0.1, 0.35)  # the shares of the steps between which time travel goes back: there a picture takes its shape
CONDITIONINGS = ("embedding", "channels", "attention")
GUIDANCES = ("classifier-free", "classifier", "blind-classifier", "none")
# What a kind of guidance brings unless a recipe says otherwise. Classifier-free, the first and the late steps do better
# without (Kynkaanniemi et al. 2024, arXiv:2404.07724), and so they are one pass instead of two.
DIGIT_DEFAULTS = {
    "classifier-free": {"scale": 1.45, "start": 0.1, "stop": 0.7},
    "classifier": {"scale": 30.0, "start": 0.0, "stop": 1.0},
    "blind-classifier": {"scale": 30.0, "start": 0.0, "stop": 1.0},
    "none": {"scale": 1.0, "start": 0.0, "stop": 1.0},
}
MAX_DIGITS, MAX_DIGIT_SCALE, MAX_TEXT_SCALE = 100, 50.0, 50.0
MAX_SEED = 2**32 - 1


def fill(recipe: "Recipe", defaults: dict) -> None:
    """Give a recipe what it leaves open."""
    for name, value in defaults.items():
        if getattr(recipe, name) is None:
            object.__setattr__(recipe, name, value)


def sampling(recipe: "Recipe") -> dict:
    """The checked fields that every recipe has: the interval of guidance, the solver, the steps and the seed."""
    checked = {
        "start": real("Start", recipe.start, 0, 1),
        "stop": real("Stop", recipe.stop, 0, 1),
        "solver": choice("Solver", recipe.solver, SOLVERS),
        "steps": whole("Steps", recipe.steps, 1, 1000),
        "seed": whole("Seed", recipe.seed, 0, MAX_SEED),
    }
    if checked["start"] > checked["stop"]:
        raise RecipeError("Start must not lie after stop.")
    return checked


def told(recipe: "ColorRecipe | ClipRecipe") -> dict:
    """The checked fields of a recipe that say which model, and what it is told."""
    return {
        "model": model(recipe.model, MODELS),
        "text": text("Text", recipe.text),
        "negative": text("Negative text", recipe.negative),
        "text_scale": real("Text scale", recipe.text_scale, 0, MAX_TEXT_SCALE),
    }


def settle(recipe: "Recipe", checked: dict) -> None:
    """Give a recipe its checked values, and see that its last seed is one."""
    for name, value in checked.items():
        object.__setattr__(recipe, name, value)
    whole("Seed plus count", recipe.seeds[-1], 0, MAX_SEED)


class Once:
    """What holds for a recipe without such fields: pictures made once, no step taken again, no noise added by DDIM."""

    candidates, travel, eta = 1, 0, 0.0


class Batch(Once):
    """What recipes of `count` pictures from `seed` on have in common."""

    NO_GUIDANCE = {"scale": 0}

    @property
    def seeds(self) -> list[int]:
        """The seed of each picture."""
        return list(range(self.seed, self.seed + self.count))

    def picture(self, k: int) -> "Recipe":
        """The recipe of picture k alone."""
        return replace(self, seed=self.seed + k, count=1)

    def unguided(self) -> "Recipe":
        """The same pictures without guidance; what then means nothing is at its default."""
        kept = ("model", "text", "negative", "text_scale", "solver", "eta", "steps", "seed", "count")
        held = {name: value for name, value in vars(self).items() if name in kept}
        return type(self)(**held, **self.NO_GUIDANCE)


@dataclass(frozen=True)
class ColorRecipe(Batch):
    """Pictures steered toward a colour.

    Fields are checked and brought to their plain form; RecipeError if they cannot be. Picture k of `count` is the
    picture of seed + k, alone or in any batch.
    """

    color: str = "#2080ff"
    model: str = "landscapes"
    text: str = ""  # to a model that is told one, such as Stable Diffusion; others pass it over
    negative: str = ""  # and what it is led away from
    text_scale: float = 7.5  # of classifier-free guidance by the text; 1: the model alone
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
        fill(self, DEFAULTS[self.rule])
        checked = {
            "color": color(self.color),
            "loss": choice("Loss", self.loss, COLOR_LOSSES),
            "scale": real("Scale", self.scale, 0, MAX_SCALES[self.rule]),
            "method": choice("Method", self.method, METHODS),
            "weight": choice("Weight", self.weight, WEIGHTS),
            "count": whole("Count", self.count, 1, 64),
        }
        settle(self, checked | told(self) | sampling(self))

    @property
    def slug(self) -> str:
        """What a file with the first picture is called."""
        return f"guidance-{self.color[1:] if self.scale else 'unguided'}-{self.seed}"


@dataclass(frozen=True)
class ClipRecipe(Batch):
    """Pictures steered toward a prompt by a CLIP.

    Fields are checked and brought to their plain form; RecipeError if they cannot be. Picture k of `count` is the
    picture of seed + k, alone or in any batch.
    """

    NO_GUIDANCE = {"scale": 0, "travel": 0, "candidates": 1}

    prompt: str = "mountains and a lake at sunset"  # parts with weights: "snowy mountains:1 | clouds:-0.5"
    image: str = ""  # a picture as a prompt of weight 1: base64 of a WebP of at most 256 px
    clip: str = "landscapes"
    model: str = "landscapes"
    text: str = ""  # to a model that is told one, such as Stable Diffusion; others pass it over
    negative: str = ""  # and what it is led away from
    text_scale: float = 7.5  # of classifier-free guidance by the text; 1: the model alone
    preset: str = "fast"  # or "quality", or "course", the notebook's
    rule: str | None = None  # None, here and below: by preset
    scale: float | None = None  # 0: unguided
    method: str | None = None
    weight: str | None = None  # w(t), the strength over the steps
    cuts: int | None = None  # random cuts of each picture that CLIP judges, all in one forward
    travel: int | None = None  # how often the early steps are taken again
    candidates: int | None = None  # from how many each picture is chosen: the one nearest to the prompt
    start: float = 0.0  # the share of the steps after which guidance begins ...
    stop: float | None = None  # ... and ends; None: by preset
    solver: str = "ddim"
    eta: float | None = None  # how much noise a step of "ddim" adds: 0 none, 1 as much as "ddpm"; None: by preset
    steps: int | None = None
    seed: int = 0
    count: int = 1

    def __post_init__(self):
        """Check every field."""
        choice("Preset", self.preset, tuple(PRESETS))
        fill(self, {"travel": 0} if self.solver == "dpm++" else {})
        fill(self, PRESETS[self.preset])
        checked = {
            "image": picture(self.image),
            "clip": choice("CLIP", self.clip, CLIPS),
            "rule": choice("Rule", self.rule, RULES),
            "method": choice("Method", self.method, METHODS),
            "weight": choice("Weight", self.weight, WEIGHTS),
            "cuts": whole("Cuts", self.cuts, 1, 64),
            "travel": whole("Travel", self.travel, 0, 10),
            "candidates": whole("Candidates", self.candidates, 1, 16),
            "eta": real("Eta", self.eta, 0, 1),
            "count": whole("Count", self.count, 1, 64),
        }
        checked["scale"] = real("Scale", self.scale, 0, MAX_SCALES[checked["rule"]])
        if not prompts(self.prompt) and not checked["image"]:
            raise RecipeError("Prompt must say something, such as mountains and a lake at sunset.")
        if not any(weight for _, weight in self.targets):
            raise RecipeError("At least one part of the prompt must have a weight other than 0.")
        settle(self, checked | told(self) | sampling(self))
        whole("Pictures times candidates", self.count * self.candidates, 1, 256)
        if self.travel and self.solver == "dpm++":
            raise RecipeError("Time travel needs the solver ddim or ddpm: DPM-Solver++ remembers its last step.")

    @property
    def targets(self) -> list[tuple[str, float]]:
        """Sentences with their weights; the picture, if there is one, is the empty sentence."""
        return prompts(self.prompt) + [("", 1.0)] * bool(self.image)

    @property
    def slug(self) -> str:
        """What a file with the first picture is called."""
        words = "-".join(re.findall(r"[a-z0-9]+", self.prompt.lower()))[:40].strip("-")
        return f"guidance-{(words or 'prompt') if self.scale else 'unguided'}-{self.seed}"


@dataclass(frozen=True)
class DigitRecipe(Once):
    """Pictures of digits: `count` rounds of `digits` in the order given, picture k from seed + k.

    Fields are checked and brought to their plain form; RecipeError if they cannot be.
    """

    digits: str = "0123456789"
    guidance: str = "classifier-free"  # "none": the conditional network alone
    scale: float | None = None  # classifier-free: 0 ignores the digit, 1 is the network alone; None: by guidance
    conditioning: str = "embedding"  # how the network is told the digit
    start: float | None = None  # the share of the steps after which guidance begins ...
    stop: float | None = None  # ... and ends; None: by guidance
    solver: str = "dpm++"
    steps: int = 15
    seed: int = 0
    count: int = 1

    def __post_init__(self):
        """Check every field."""
        choice("Guidance", self.guidance, GUIDANCES)
        fill(self, DIGIT_DEFAULTS[self.guidance])
        checked = {
            "digits": digits(self.digits, MAX_DIGITS),
            "scale": real("Scale", self.scale, 0, MAX_DIGIT_SCALE),
            "conditioning": choice("Conditioning", self.conditioning, CONDITIONINGS),
            "count": whole("Count", self.count, 1, 1000),
        }
        settle(self, checked | sampling(self))

    @property
    def classes(self) -> list[int]:
        """The digit of each picture."""
        return [int(digit) for digit in self.digits] * self.count

    @property
    def seeds(self) -> list[int]:
        """The seed of each picture."""
        return list(range(self.seed, self.seed + self.count * len(self.digits)))

    def picture(self, k: int) -> "DigitRecipe":
        """The recipe of picture k alone."""
        return replace(self, digits=str(self.classes[k]), seed=self.seed + k, count=1)

    @property
    def slug(self) -> str:
        """What a file with the first picture is called."""
        return f"digits-{self.digits[:20]}-{self.seed}"


Recipe = ColorRecipe | ClipRecipe | DigitRecipe
