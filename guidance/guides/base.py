"""What guides are: values with their strength, that add up, can be weakened, and know how to steer a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, model_validator

from guidance.codec import packed
from guidance.fields import PICTURES, RecipeError, Values, field, look
from guidance.guides.run import Run
from guidance.sampling.regions import REGIONS
from guidance.sampling.rules import METHODS, RULES
from guidance.sampling.schedule import WEIGHTS, strengths

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.sampling.guides import Loss
    from guidance.sampling.sample import Predict
    from guidance.sampling.schedule import Schedule


Picture = Annotated[str, BeforeValidator(packed)]  # that a recipe holds


class Reading(NamedTuple):
    """What a network that never guides sees in a picture of one thing that it was asked to show."""

    asked: str
    seen: str  # that, or what is there instead
    sure: float  # in [0, 1]

    @property
    def met(self) -> bool:
        """Whether it is there."""
        return self.asked == self.seen

    @property
    def mark(self) -> str:
        """A tick or a cross."""
        return "\N{CHECK MARK}" if self.met else "\N{BALLOT X}"


class Guide(Values):
    """One thing that steers. A subclass in a file of this folder is found by its name everywhere: see docs/guides.md.

    Of the class: `name` in files and commands, `label` on the page, `about` in a sentence, `curve` of its loss;
    `leading`, a field whose value `brings` defaults for others left None, some of them the recipe's; `model` that it
    steers and what the `sampler` is set to unless told; `form`, the fields of its endpoint in order, if not all of
    them; `alone`, whether it has a tab of its own. `scale`, the strength, is a field that each subclass has.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    about: ClassVar[str] = ""
    curve: ClassVar[str] = "loss"
    leading: ClassVar[str] = ""
    brings: ClassVar[dict[str, dict]] = {"": {}}
    model: ClassVar[str] = "landscapes"
    sampler: ClassVar[dict[str, object]] = {}
    form: ClassVar[tuple[str, ...]] = ()
    most: ClassVar[int] = 64  # pictures, or rounds of them, in one recipe
    hurry: ClassVar[int] = 4  # steps in which pictures follow the page's controls
    alone: ClassVar[bool] = True
    inner: ClassVar[bool] = False  # whether it is what the others stand around, whatever their order
    outer: ClassVar[bool] = False  # whether it stands around the others
    ruled_by: ClassVar[str] = "rule"  # the field on which the range of the strength depends
    later: ClassVar[dict[str, object]] = {}  # fields that not all versions wrote, and what they were then
    words: ClassVar[dict[str, str]] = {}  # the page's words of this guide in Chinese, by the English

    start: float | None = field(None, "Start", "Begin after this share of the steps.", 0, 1, slider=(1.0, 0.01))
    stop: float | None = field(None, "Stop", "End after this share of the steps.", 0, 1, slider=(1.0, 0.01))

    @model_validator(mode="after")
    def complete(self) -> Guide:
        """Fill in what the leading field brings, and see that the interval is one."""
        self.fill({"start": 0.0, "stop": 1.0} | self.brought())
        if self.start > self.stop:
            raise RecipeError("Start must not lie after stop.")
        return self

    @classmethod
    def led(cls) -> list[str]:
        """The fields that come with the value of the leading field unless told."""
        return list(next(iter(cls.brings.values())))

    @classmethod
    def slider(cls, by: str) -> tuple[float, float, str]:
        """How the page's slider of the strength goes, by the value of the field `ruled_by`: its end, step and help."""
        info = cls.model_fields["scale"]
        return (*info.json_schema_extra["slider"], info.description)

    @classmethod
    def written(cls, values: dict[str, object]) -> dict[str, object]:
        """The values in a file; where a version wrote all that it knew, what it did not know is as it was then."""
        return cls.later | values if cls.model_fields.keys() - values.keys() <= cls.later.keys() else values

    def brought(self) -> dict[str, object]:
        """The defaults that the value of the leading field brings, for this guide and for the recipe it stands in."""
        return self.sampler | self.brings[getattr(self, self.leading, "")]

    def replace(self, **changes: object) -> Guide:
        """The same with some fields changed; a leading field that changes brings its own defaults for the others."""
        if self.leading in changes and changes[self.leading] != getattr(self, self.leading):
            changes = {name: None for name in self.brought() if name in type(self).model_fields} | changes
        return super().replace(**changes)

    def __add__(self, other: Guide | Iterable[Guide]) -> Guides:
        """Both together."""
        return Guides((self,)) + other

    def __mul__(self, share: float) -> Guide:
        """The same guide, `share` times as strong."""
        return self.replace(scale=self.scale * share)

    __rmul__ = __mul__

    @property
    def each(self) -> int:
        """How many pictures one round has."""
        return 1

    @property
    def bare(self) -> bool:
        """Whether it lacks a picture without which it cannot steer."""
        kinds = {name: look(info) for name, info in type(self).model_fields.items()}
        needed = [name for name, kind in kinds.items() if kind.get("front") and kind.get("control") in PICTURES]
        return not all(getattr(self, name) for name in needed)

    @property
    def slug(self) -> str:
        """What a file with such a picture is called."""
        return self.name

    def picture(self, k: int) -> Guide:
        """The guide of the k-th picture alone."""
        return self

    def readings(self, seen: dict[str, float]) -> tuple[Reading, ...]:
        """What this guide asks of its only picture, and what is there by the chances of all that a network saw."""
        return ()

    def network(self, model: str) -> str:
        """The name of the network of a model that this guide steers."""
        return model

    def fingerprint(self) -> str | None:
        """The fingerprint of the networks that judge, if there are any; None while their files are not here."""
        return ""

    def weights(self, schedule: Schedule) -> list[float]:
        """w(t) of each step."""
        return strengths(schedule, "constant", self.start, self.stop)

    def begin(self, x_t: Tensor, run: Run) -> tuple[Tensor, int]:
        """What the run begins with instead of the noise x_t (B, C, H, W), and the step at which it does."""
        return x_t, 0

    def end(self, x_0: Tensor, run: Run) -> Tensor:
        """The pictures (B, C, H, W) that the run ends with, instead of those of its last step."""
        return x_0

    def steer(self, predict: Predict, run: Run, curve: str) -> Predict:
        """`predict` steered by this guide; its loss is called `curve` in what each step tells."""
        raise NotImplementedError


class Guides(tuple):
    """Several guides; they steer one after another, the first one innermost."""

    def __add__(self, other: Guide | Iterable[Guide]) -> Guides:
        """These and more."""
        return Guides((*self, *([other] if isinstance(other, Guide) else other)))

    def __mul__(self, share: float) -> Guides:
        """Each of them, `share` times as strong."""
        return Guides(guide * share for guide in self)

    __rmul__ = __mul__


class LossGuide(Guide):
    """A guide by the gradient of a loss on the estimate x0; a subclass says in `objective` which."""

    leading: ClassVar[str] = "rule"
    brings: ClassVar[dict[str, dict]] = {
        "normalized": {"scale": 0.3, "weight": "constant"}, "course": {"scale": 40.0, "weight": "constant"}
    }  # fmt: skip
    highest: ClassVar[dict[str, float]] = {"normalized": 1.0, "course": 10_000.0}  # scale, by rule
    later: ClassVar[dict[str, object]] = {"where": "everywhere", "mask": ""}
    fades: ClassVar[bool] = False  # whether the loss has a known zero, near which the strength fades
    sees_all: ClassVar[bool] = False  # whether its loss is shown the whole picture where it acts in a region alone

    rule: Literal[tuple(RULES)] | None = field(
        None, "Rule",
        "Normalised means the same strength for every model and step; the course's is the notebook's update.",
        labels={"normalized": "Normalised", "course": "The course's"},
    )  # fmt: skip
    scale: float | None = field(None, "Strength", "0 leaves the model alone; too much breaks the picture.", 0, 10_000,
                                slider=(1.0, 0.005), front=True)  # fmt: skip
    method: Literal[METHODS] | None = field(
        None, "Gradient",
        "Shortcut leaves the network out of the gradient and is fast; Full goes through it and is truer.",
        labels={"shortcut": "Shortcut", "full": "Full"},
    )  # fmt: skip
    weight: Literal[tuple(WEIGHTS)] | None = field(
        None, "Weight over the steps",
        "Where the strength goes: evenly, to the first steps, to the last, or as the notebook has it.",
        labels={"constant": "Constant", "early": "Early", "late": "Late", "counter": "The course's counter"},
    )  # fmt: skip

    where: Literal[tuple(REGIONS)] = field(
        "everywhere", "Where", "The part of the picture that is judged and bent.",
        labels={"everywhere": "Everywhere", "sky": "Upper half", "ground": "Lower half", "left": "Left half",
                "right": "Right half", "centre": "Centre", "border": "Border"},
    )  # fmt: skip
    mask: Picture = field(
        "", "Painted region", "Light where it acts; base64 of a PNG or WebP of at most 256 px.", control="mask"
    )

    @classmethod
    def limits(cls, name: str, others: dict) -> tuple[float, float] | None:
        """The greatest strength depends on the rule."""
        return (0, cls.highest[others.get("rule", "normalized")]) if name == "scale" else super().limits(name, others)

    @model_validator(mode="before")
    @classmethod
    def ruled(cls, values: dict) -> dict:
        """The rule is known before the values that depend on it are checked."""
        leading = values.get(cls.leading, cls.model_fields[cls.leading].default)
        brought = cls.brings.get(leading if isinstance(leading, str) else None, {})
        defaults = {name: brought.get(name, plain) for name, plain in (("rule", "normalized"), ("method", "shortcut"))}
        return values | {name: value for name, value in defaults.items() if values.get(name) is None}

    @classmethod
    def slider(cls, by: str) -> tuple[float, float, str]:
        """Under the course's rule the strength is of another order."""
        return (1000.0, 1.0, cls.model_fields["scale"].description) if by == "course" else super().slider(by)

    def weights(self, schedule: Schedule) -> list[float]:
        """w(t) of each step."""
        return strengths(schedule, self.weight, self.start, self.stop)

    def objective(self, run: Run) -> Loss:
        """The loss of a run's pictures: x0 (B, C, H, W), nominally in [-1, 1], and the step's number to (B,)."""
        raise NotImplementedError

    def filter(self) -> Callable[[Tensor, float, float], Tensor]:
        """What the shortcut does to a gradient in the network's place, as `loss_guide` takes it."""
        from guidance.sampling.spectrum import wiener

        return wiener

    def region(self, run: Run) -> Tensor | None:
        """Where it acts, (1, 1, H, W) in [0, 1]; None if everywhere. GuidanceError, with a sentence, if nowhere."""
        from guidance.sampling import regions
        from guidance.sampling.guides import GuidanceError

        if self.where == "everywhere" and not self.mask:
            return None
        cover = regions.region(self.where, *run.model.size).to(run.model.device)
        cover = cover * run.mask(self.mask, self.label) if self.mask else cover
        if not (cover >= regions.FULL).any():
            raise GuidanceError(f"The region of {self.label} covers nothing: paint where it acts.")
        return cover

    def steer(self, predict: Predict, run: Run, curve: str) -> Predict:
        """`predict`, bent by the gradient of the loss in the way the fields say."""
        from guidance.sampling import regions
        from guidance.sampling.guides import loss_guide

        loss, model, cover = self.objective(run), run.model, self.region(run)
        view = (lambda x0: x0) if cover is None or self.sees_all else regions.within(cover)
        return loss_guide(
            predict, lambda x0, i: loss(view(model.decode(x0)), i), run.schedule, scale=self.scale, name=curve,
            weights=self.weights(run.schedule), method=self.method, rule=self.rule,
            fade=self.fades and self.rule == "normalized", precondition=None if model.takes_text else self.filter(),
            region=None if cover is None else regions.resized(cover, *model.shape[1:]),
        )  # fmt: skip
