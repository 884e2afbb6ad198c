"""Prompt: pictures steered toward a sentence, or another picture, by a CLIP."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, model_validator

from guidance.codec import seen, unpack
from guidance.fields import RecipeError, field, real, text
from guidance.guides.base import LossGuide, Picture, Reading, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from guidance.models.clips import Clip
    from guidance.sampling.guides import Loss

MOST_PARTS, MOST_WEIGHT = 16, 10.0
# The built-in one, and architecture and tag of what open_clip may download: it would also take a path or a hub's id.
CLIPS = {
    "landscapes": "Built in: landscapes", "ViT-B-32/openai": "OpenAI ViT-B-32", "ViT-B-16/openai": "OpenAI ViT-B-16",
    "ViT-L-14/openai": "OpenAI ViT-L-14", "ViT-B-32/laion2b_s34b_b79k": "LAION ViT-B-32",
    "ViT-B-16-SigLIP/webli": "SigLIP ViT-B-16",
}  # fmt: skip


def parts(prompt: str) -> list[tuple[str, float]]:
    """"a moon:0.5 | clouds:-0.5" as [("a moon", 0.5), ("clouds", -0.5)], without a weight 1; else RecipeError."""
    found = []
    for part in filter(str.strip, text("Prompt", prompt).split("|")):
        words, colon, number = part.rpartition(":")
        message = f"A weight must be a number from -{MOST_WEIGHT:g} to {MOST_WEIGHT:g} after a colon, as in a moon:0.5."
        weight = real("", number.strip(), -MOST_WEIGHT, MOST_WEIGHT, message) if colon else 1.0
        words = " ".join((words if colon else part).split())
        if not words or ":" in words:
            raise RecipeError(message)
        found.append((words, weight))
    if len(found) > MOST_PARTS:
        raise RecipeError(f"Prompt must have at most {MOST_PARTS} parts.")
    return found


def sentence(value: object) -> str:
    """A prompt whose parts and weights can be read, as it was written; else RecipeError."""
    parts(value)
    return value


class Prompt(LossGuide):
    """Toward what a sentence says."""

    name: ClassVar[str] = "prompt"
    label: ClassVar[str] = "Prompt"
    about: ClassVar[str] = "Paint pictures steered toward a prompt by a CLIP."
    curve: ClassVar[str] = "prompt"
    leading: ClassVar[str] = "preset"
    # What a preset brings unless a recipe says otherwise, to the guide and the sampler; "course" is the notebook's.
    brings: ClassVar[dict[str, dict]] = {
        name: {"rule": "normalized", "method": "shortcut", "weight": "constant", "detail": 4.0, "travel": 0,
               "candidates": 1, "stop": 0.9, "solver": "dpm++", "eta": 0.0} | own
        for name, own in {
            "fast": {"scale": 0.12, "cuts": 6, "tries": 4, "steps": 12},
            "live": {"scale": 0.15, "cuts": 4, "tries": 1, "steps": 6},
            "quality": {"scale": 0.11, "cuts": 8, "tries": 8, "steps": 20},
            "course": {"rule": "course", "scale": 8.0, "weight": "counter", "cuts": 4, "detail": 1.0, "tries": 1,
                       "stop": 1.0, "solver": "ddim", "steps": 40},
        }.items()
    }  # fmt: skip
    hurry: ClassVar[int] = 6
    later: ClassVar[dict[str, object]] = LossGuide.later | {"detail": 1.0, "view": "region"}
    form: ClassVar[tuple[str, ...]] = (
        "prompt", "image", "clip", "model", "text", "negative", "text_scale", "preset", "rule", "scale", "method",
        "weight", "cuts", "travel", "candidates", "start", "stop", "solver", "eta", "steps", "seed", "count", "batched",
        "where", "mask", "size", "detail", "view", "tries",
    )  # fmt: skip

    prompt: Annotated[str, BeforeValidator(sentence)] = field(
        "mountains and a lake at sunset", "Prompt",
        "Lands, times of day, weather, colours. Weights: snow:1 | clouds:-0.5", lines=2, front=True,
    )  # fmt: skip
    image: Picture = field(
        "", "A picture as a prompt", "Of weight 1; base64 of a WebP of at most 256 px.", control="picture"
    )
    clip: Literal[tuple(CLIPS)] = field(
        "landscapes", "CLIP",
        "Who judges. The built-in one knows the landscapes' words alone; others are downloaded.", labels=CLIPS,
    )  # fmt: skip
    preset: Literal[tuple(brings)] = field(
        "fast", "Preset", "Quality takes twice as long as Fast and finds more, Live half as long and finds less.",
        front=True, labels={"fast": "Fast", "live": "Live", "quality": "Quality", "course": "The course's"},
    )  # fmt: skip
    cuts: int | None = field(None, "Cuts", "Random crops that CLIP judges a step.", 1, 64, slider=(64, 1))
    detail: float | None = field(
        None, "Detail",
        "How fine the structure is that the shortcut may bend while there is noise: 1 is Wiener's filter.", 1, 64,
        slider=(64, 1),
    )  # fmt: skip
    view: Literal["whole", "region"] = field(
        "whole", "What CLIP sees", "Of a prompt in a region: the whole picture, or the region alone.",
        labels={"whole": "The whole picture", "region": "The region alone"},
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def renamed(cls, values: dict) -> dict:
        """What a preset is called now."""
        return values | {"preset": "fast"} if values.get("preset") == "quick" else values

    @model_validator(mode="after")
    def says(self) -> Prompt:
        """It must say something."""
        if not parts(self.prompt) and not self.image:
            raise RecipeError("Prompt must say something, such as mountains and a lake at sunset.")
        if not any(weight for _, weight in self.targets):
            raise RecipeError("At least one part of the prompt must have a weight other than 0.")
        return self

    @property
    def sees_all(self) -> bool:
        """Whether the CLIP is shown the whole picture where a region alone is bent: it knows whole landscapes best."""
        return self.view == "whole"

    @property
    def targets(self) -> list[tuple[str, float]]:
        """Sentences with their weights; the picture, if there is one, is the empty sentence."""
        return parts(self.prompt) + [("", 1.0)] * bool(self.image)

    @property
    def slug(self) -> str:
        """The first words of the prompt."""
        return "-".join(re.findall(r"[a-z0-9]+", self.prompt.lower()))[:40].strip("-") or "prompt"

    def readings(self, seen: dict[str, float]) -> tuple[Reading, ...]:
        """Each thing that the sentences name, and whether it is there; a negative weight asks for its absence."""
        from guidance.models.attributes import named

        wishes = {name: wish == (weight > 0) for words, weight in parts(self.prompt) if weight
                  for name, wish in named(words).items() if name in seen}  # fmt: skip
        found = []
        for name, wish in wishes.items():
            said, chance = {True: name, False: f"no {name}"}, seen[name]
            found.append(Reading(said[wish], said[chance > 0.5], max(chance, 1 - chance)))
        return tuple(found)

    def fingerprint(self) -> str | None:
        """That of the CLIP."""
        from guidance.models import clips

        return clips.fingerprint(self.clip)

    def goals(self, judge: Clip) -> Tensor:
        """Where the sentences lie in the space of the CLIP: unit vectors (M, D), or (B, M, D) by picture."""
        import torch

        vectors = [judge.text(words) if words else judge.picture(seen(unpack(self.image))) for words, _ in self.targets]
        return torch.stack(vectors)

    def filter(self) -> Callable[[Tensor, float, float], Tensor]:
        """Wiener's, which lets through what is as fine as `detail` says."""
        return partial(super().filter(), detail=self.detail)

    def objective(self, run: Run) -> Loss:
        """How far the CLIP finds random cuts of the pictures from the sentences."""
        from guidance.models import clips
        from guidance.sampling.cuts import prompt_loss

        judge = clips.get(self.clip)
        run.notes += [note for words, _ in self.targets if words for note in judge.notes(words)]
        return prompt_loss(
            partial(judge.encode_image, together=self.cuts, batched=run.batched), judge.size, self.goals(judge),
            [weight for _, weight in self.targets], cuts=self.cuts, generators=run.generators(1),
            steps=len(run.schedule.timesteps),
        )  # fmt: skip
