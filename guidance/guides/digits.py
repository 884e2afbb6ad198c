"""Digits: class-conditional MNIST, by classifier-free guidance or by a classifier."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator

from guidance.fields import RecipeError, field
from guidance.guides.base import Guide, Reading, Run

if TYPE_CHECKING:
    from guidance.sampling.sample import Predict
    from guidance.sampling.schedule import Schedule

MOST = 100  # digits in a round
CLASSIFIERS = {"classifier": "aware", "blind-classifier": "blind"}  # how each is asked, in sampling/guides.py

MEANINGS = {  # of the strength, with the end and the step of the page's slider
    "classifier-free": (20.0, 0.1, "0: any digit; 1: the network alone; more: surer digits, less variety."),
    "classifier": (50.0, 0.1, "0: any digit; more: the classifier pulls harder."),
    "blind-classifier": (50.0, 0.1, "0: any digit; more: the classifier pulls harder, but where?"),
    "none": (0.0, 0.1, "Without guidance there is nothing to set."),
}


def plain(value: object) -> str:
    """One to MOST digits as "0" to "9"; those of other scripts and spaces between are taken, else RecipeError."""
    text = "".join(value.split()) if isinstance(value, str) and len(value) <= 20 * MOST else ""
    try:
        digits = "".join(str(unicodedata.decimal(character)) for character in text)
    except ValueError:
        digits = ""
    if not 1 <= len(digits) <= MOST:
        raise RecipeError(f"Digits must be 1 to {MOST} of the digits 0 to 9, such as 2026.")
    return digits


class Digits(Guide):
    """Toward the digits asked for: `count` rounds of them in the order given."""

    name: ClassVar[str] = "digits"
    label: ClassVar[str] = "Digits"
    about: ClassVar[str] = "Draw the digits asked for, as often as there are rounds, in the order given."
    curve: ClassVar[str] = "classifier"
    leading: ClassVar[str] = "guidance"
    # What a kind of guidance brings unless a recipe says otherwise. Classifier-free, the first and the late steps do
    # better without (Kynkaanniemi et al. 2024, arXiv:2404.07724), and so they are one pass instead of two.
    brings: ClassVar[dict[str, dict]] = {
        name: {"scale": scale, "start": start, "stop": stop}
        for name, scale, start, stop in (
            ("classifier-free", 1.45, 0.1, 0.7), ("classifier", 30.0, 0.0, 1.0), ("blind-classifier", 30.0, 0.0, 1.0),
            ("none", 1.0, 0.0, 1.0),
        )
    }  # fmt: skip
    model: ClassVar[str] = "digits"
    sampler: ClassVar[dict[str, object]] = {"solver": "dpm++", "steps": 15}
    most: ClassVar[int] = 1000
    inner: ClassVar[bool] = True
    ruled_by: ClassVar[str] = "guidance"
    form: ClassVar[tuple[str, ...]] = (
        "digits", "guidance", "scale", "conditioning", "start", "stop", "solver", "steps", "seed", "count",
        "batched",
    )  # fmt: skip

    digits: Annotated[str, BeforeValidator(plain)] = field(
        "0123456789", "Digits", "One, several, or a number such as 2026.", front=True
    )
    guidance: Literal[tuple(brings)] = field(
        "classifier-free", "Guidance",
        "Classifier-free: the network told the digit against the network told nothing. Classifier: the gradient of one "
        "that reads noisy digits, or of one that never saw noise.",
        labels={"classifier-free": "Classifier-free", "classifier": "Classifier",
                "blind-classifier": "Classifier, noise-blind", "none": "None"},
    )  # fmt: skip
    scale: float | None = field(
        None, "Strength", MEANINGS["classifier-free"][2], 0, 50, slider=MEANINGS["classifier-free"][:2], front=True
    )  # fmt: skip
    conditioning: Literal["embedding", "channels", "attention"] = field(
        "embedding", "How the network is told", "Three networks of like size; each learned it its own way.",
        labels={"embedding": "With the timestep", "channels": "Input channels", "attention": "Cross-attention"},
    )  # fmt: skip

    @classmethod
    def slider(cls, by: str) -> tuple[float, float, str]:
        """What the strength means, and how far it goes, depends on the kind of guidance."""
        return MEANINGS[by]

    @property
    def each(self) -> int:
        """A picture a digit."""
        return len(self.digits)

    @property
    def slug(self) -> str:
        """The first digits."""
        return self.digits[:20]

    def picture(self, k: int) -> Digits:
        """The guide of the k-th picture alone."""
        return self.replace(digits=self.digits[k % len(self.digits)])

    def readings(self, seen: dict[str, float]) -> tuple[Reading, ...]:
        """The digit, and the one that is read."""
        digit = max(seen, key=seen.get, default="")
        return (Reading(self.digits, digit, seen[digit]),) if digit.isdecimal() else ()

    def network(self, model: str) -> str:
        """The digits' model has a network for each way of telling it the class."""
        return f"digits/{self.conditioning}" if model == "digits" else model

    def fingerprint(self) -> str | None:
        """That of the classifier, if one leads."""
        from guidance.models import catalogue

        return catalogue.fingerprint(f"digits/{self.guidance}") if self.guidance in CLASSIFIERS else ""

    def weights(self, schedule: Schedule) -> list[float]:
        """w(t) of each step; in which the conditional network goes beyond itself, if no classifier leads."""
        if self.guidance in CLASSIFIERS or self.guidance == "classifier-free" and self.scale > 1:
            return super().weights(schedule)
        # The interval is for going beyond the network: with less than w = 1 every step knows less of the digit.
        return [1.0] * len(schedule.timesteps)

    def steer(self, predict: Predict, run: Run, curve: str) -> Predict:
        """A network that is told the digit, or one that a classifier leads there; it takes the place of `predict`."""
        import torch

        from guidance.models import catalogue
        from guidance.models.model import in_batches
        from guidance.sampling import guides

        if run.model.null is None:
            raise guides.GuidanceError("Digits steer a model that is told a class, such as digits: this one is not.")
        labels = torch.tensor([int(digit) for digit in self.digits], device=run.model.device)
        labels = labels.repeat_interleave(run.candidates).repeat(run.count // len(labels) // run.candidates)
        weights, act = self.weights(run.schedule), [1.0] * len(run.schedule.timesteps)
        # A classifier leads the network that is told nothing, which is w = 0; without guidance, w = 1.
        scale = {"classifier-free": self.scale, "none": 1.0}.get(self.guidance, 0.0)
        null = torch.full_like(labels, run.model.null)
        by_classifier = self.guidance in CLASSIFIERS
        predict = guides.classifier_free(
            run.model.eps, labels, null, run.schedule, scale=scale, weights=act if by_classifier else weights,
            name=self.name,
        )
        if by_classifier and self.scale > 0:
            classifier = in_batches(catalogue.digit_classifier(self.guidance), run.model.batch)
            log_probability = getattr(guides, CLASSIFIERS[self.guidance])(classifier, labels)
            predict = guides.classifier_guide(
                predict, log_probability, run.schedule, scale=self.scale, weights=weights, name=curve
            )
        return predict
