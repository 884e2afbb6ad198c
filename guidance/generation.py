"""From a recipe to pictures: the one place where model, losses and guides meet."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from guidance.checks import unpack
from guidance.losses.classifier import CLASSIFIERS
from guidance.losses.clip import prompt_loss
from guidance.losses.color import COLOR_LOSSES, Loss, target
from guidance.models import catalogue, clips
from guidance.models.cache import cache
from guidance.models.digits import NULL
from guidance.models.errors import ModelError
from guidance.models.model import Model, in_batches
from guidance.recipes import TRAVEL, ClipRecipe, ColorRecipe, DigitRecipe, Recipe
from guidance.sampling.guides import GuidanceError, classifier_free, classifier_guide, loss_guide, network
from guidance.sampling.sample import Predict, order, sample
from guidance.sampling.schedule import Schedule, strengths

RECENT = 0.8  # of candidates that one is shown whose loss has been the least, this much of it from the steps before
TAKES_NO_TEXT = "This model is told no text: it was passed over. A prompt steers any model."
TOLD = (GuidanceError, ModelError)  # errors whose message is for the user
_device = threading.Lock()  # one step at a time on the device, whoever asks; runs take turns


class Plan(NamedTuple):
    """What a recipe comes down to."""

    model: Model
    schedule: Schedule
    predict: Predict
    weights: list[float]  # w(t) of each step of the schedule
    travel: tuple[int, float, float] = (0, 0.0, 0.0)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One step of a run. In the last frame, where step == steps, x0 is the picture itself."""

    step: int
    steps: int
    estimate: Tensor  # x0 as the model has it
    decode: Callable[[Tensor], Tensor]  # the model's, from that to pictures
    losses: dict[str, Tensor]  # each (B,)
    x_t: Tensor  # (B, C, H, W) float32, what the next step begins with
    pull: Tensor  # (B, 1, H, W) float32, how far guidance bent the step at each pixel
    weight: float  # w(t), 0 in a step that was not guided
    notes: tuple[str, ...] = ()  # sentences for the user on how the recipe was understood

    @cached_property
    def x0(self) -> Tensor:
        """The pictures so far, (B, C, H, W) float32 in [-1, 1]; a latent model decodes them when they are asked for."""
        with _device, memory(), torch.no_grad():
            return self.decode(self.estimate).clamp(-1, 1)

    @property
    def latent(self) -> bool:
        """Whether the pictures have to be decoded, which takes time."""
        return self.estimate.shape[1] > 3

    def __getstate__(self) -> dict:
        """Decoded, so that a frame can go to another process without its model."""
        return vars(self) | {"x0": self.x0, "decode": None}

    def images(self) -> list[Image.Image]:
        """The pictures at native resolution."""
        return to_images(self.x0)

    def noisy(self) -> list[Image.Image]:
        """x_t, brought into the range of a picture."""
        seen = self.x_t[:, : 3 if self.x_t.shape[1] > 3 else None]  # of a latent model's channels, three
        return to_images(seen / seen.abs().amax((1, 2, 3), keepdim=True).clamp(1, 3))

    def pulls(self) -> list[Image.Image]:
        """How far guidance bent the step at each pixel, as grey pictures: black nowhere, white where most."""
        most = self.pull.amax((1, 2, 3), keepdim=True).clamp_min(1e-20)
        return to_images(self.pull / most * 2 - 1)


def to_images(x0: Tensor) -> list[Image.Image]:
    """Pictures (B, C, H, W) in [-1, 1], C = 1 or 3, as PIL images."""
    array = ((x0.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture) for picture in array]


def to_pixels(images: list[Image.Image]) -> Tensor:
    """PIL images of one size as (B, C, H, W) uint8."""
    return torch.stack([pil_to_tensor(image) for image in images])


def drawings(recipe: Recipe) -> list[tuple[int, int]]:
    """All that is drawn for a recipe, the candidates of each picture beside one another: (seed, which candidate)."""
    return [(seed, candidate) for seed in recipe.seeds for candidate in range(recipe.candidates)]


def stream(seed: int, *key: int) -> torch.Generator:
    """A generator for a seed and, unless the key is 0, something of its own: torch looks at 32 bits of a seed."""
    if any(key):
        seed = int(numpy.random.SeedSequence([seed, *key]).generate_state(1)[0])
    return torch.Generator().manual_seed(seed)


def base(recipe: ColorRecipe | ClipRecipe, generators: list[torch.Generator]) -> Plan:
    """The network before anything steers it, told the recipe's text if it takes one."""
    model = catalogue.get(recipe.model)
    schedule = Schedule(model.config, recipe.solver, recipe.steps, generators, recipe.eta)
    nothing = [0.0] * len(schedule.timesteps)
    if not model.takes_text:
        notes = (TAKES_NO_TEXT,) if recipe.text or recipe.negative else ()
        return Plan(model, schedule, network(model.eps, schedule), nothing, notes=notes)
    text, negative = model.embed([recipe.text, recipe.negative]).repeat_interleave(len(generators), 0).chunk(2)
    scale = 1.0 if recipe.text == recipe.negative else recipe.text_scale  # nothing to be led from: half the work
    predict = classifier_free(model.eps, text, negative, schedule, scale=scale, weights=[1.0] * len(nothing))
    return Plan(model, schedule, predict, nothing, notes=(*model.notes(recipe.text), *model.notes(recipe.negative)))


def steered(plan: Plan, recipe: ColorRecipe | ClipRecipe, loss: Loss, name: str, fade: bool = False) -> Plan:
    """A plan, steered by a loss on its pictures in the way the recipe says."""
    weights = strengths(plan.schedule, recipe.weight, recipe.start, recipe.stop)
    predict = loss_guide(
        plan.predict, lambda x0, i: loss(plan.model.decode(x0), i), plan.schedule, scale=recipe.scale, weights=weights,
        name=name, method=recipe.method, rule=recipe.rule, fade=fade and recipe.rule == "normalized",
        passed=plan.model.passed,
    )  # fmt: skip
    return plan._replace(predict=predict, weights=weights)


def color_plan(recipe: ColorRecipe, generators: list[torch.Generator]) -> Plan:
    """A model, steered toward the recipe's colour."""
    plan = base(recipe, generators)
    if recipe.scale == 0:
        return plan
    loss = COLOR_LOSSES[recipe.loss](target(recipe.color, plan.model.channels))
    return steered(plan, recipe, loss, "colour", fade=True)


def clip_plan(recipe: ClipRecipe, generators: list[torch.Generator], targets: Tensor | None = None) -> Plan:
    """A model, steered toward the recipe's prompt, or each picture to its own row of `targets` (B, M, D)."""
    plan = base(recipe, generators)
    if recipe.scale > 0:
        judge = clips.get(recipe.clip)
        if targets is None:
            goals = [judge.text(text) if text else judge.picture(unpack(recipe.image)) for text, _ in recipe.targets]
            targets = torch.stack(goals)
        notes = tuple(note for text, _ in recipe.targets if text for note in judge.notes(text))
        # Cuts have generators of their own, so that their number does not change what a stochastic solver draws.
        draws = [stream(*drawn, 1) for drawn in drawings(recipe)]
        encode, weights = partial(judge.encode_image, together=recipe.cuts), [weight for _, weight in recipe.targets]
        loss = prompt_loss(
            encode, judge.size, targets, weights, cuts=recipe.cuts, generators=draws, steps=recipe.steps
        )  # fmt: skip
        plan = steered(plan._replace(notes=plan.notes + notes), recipe, loss, "prompt")
    return plan._replace(travel=(recipe.travel, *TRAVEL))


def digit_plan(recipe: DigitRecipe, generators: list[torch.Generator]) -> Plan:
    """A model that is told the digit, or one that a classifier leads there."""
    model = catalogue.digits(recipe.conditioning)
    schedule = Schedule(model.config, recipe.solver, recipe.steps, generators)
    labels = torch.tensor(recipe.classes, device=model.device)
    null, weights = torch.full_like(labels, NULL), strengths(schedule, "constant", recipe.start, recipe.stop)
    by_classifier = recipe.guidance in CLASSIFIERS
    # A classifier leads the network that is told nothing, which is w = 0; without guidance, w = 1.
    scale = {"classifier-free": recipe.scale, "none": 1.0}.get(recipe.guidance, 0.0)
    # The interval is for going beyond the network: with less than w = 1 every step knows less of the digit, or nothing.
    acts = weights if scale > 1 else [1.0] * len(weights)
    predict = classifier_free(model.eps, labels, null, schedule, scale=scale, weights=acts)
    if by_classifier and recipe.scale > 0:
        classifier = in_batches(catalogue.digit_classifier(recipe.guidance), model.batch)
        log_probability = CLASSIFIERS[recipe.guidance](classifier, labels)
        predict = classifier_guide(predict, log_probability, schedule, scale=recipe.scale, weights=weights)
    return Plan(model, schedule, predict, weights if by_classifier else acts)


PLANS: dict[type, Callable[[Recipe, list[torch.Generator]], Plan]] = {
    ColorRecipe: color_plan, ClipRecipe: clip_plan, DigitRecipe: digit_plan
}  # fmt: skip


@contextmanager
def memory() -> Iterator[None]:
    """Says so in a sentence when memory runs out; each device has words of its own for it."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in ("out of memory", "allocate memory")):
            raise
        message = "There is not enough memory: ask for fewer pictures, the method shortcut, or a smaller model."
        raise GuidanceError(message) from error


def generate(recipe: Recipe, *, deadline: float = math.inf) -> Iterator[Frame]:
    """Make the recipe's pictures, a frame per step; closing the iterator stops the run within one step.

    Raises GuidanceError, with a sentence for the user, when guidance blows up, memory runs out, or the run takes over
    `deadline` seconds.
    """
    started = time.monotonic()
    generators = [stream(*drawn) for drawn in drawings(recipe)]
    with memory():
        plan = PLANS[type(recipe)](recipe, generators)
    for frame in frames(plan, generators, recipe.candidates):
        yield frame
        if frame.step < frame.steps and time.monotonic() - started > deadline:
            raise GuidanceError(f"The run was stopped after {deadline:g} seconds: ask for fewer pictures or steps.")


def frames(plan: Plan, generators: list[torch.Generator], candidates: int = 1) -> Iterator[Frame]:
    """The steps of a plan; of the `candidates` of each picture, those show that are best so far."""
    steps = len(order(len(plan.schedule.timesteps), *plan.travel))
    loss, shown = torch.zeros(len(generators)), torch.arange(0, len(generators), candidates)
    run = sample(plan.predict, plan.model.noise(generators), plan.schedule, plan.travel)
    for i in range(steps):
        with _device, memory():
            step = next(run)
        last = i + 1 == steps
        pull = (step.x_t * 0 + step.pull).square().mean(1, keepdim=True).sqrt()
        if candidates > 1 and step.losses:
            loss = RECENT * loss + (1 - RECENT) * sum(step.losses.values()).cpu()
            shown = torch.arange(0, len(generators), candidates) + loss.view(-1, candidates).argmin(1)
        yield Frame(
            i + 1, steps, (step.x_t if last else step.x0)[shown], plan.model.decode,
            {name: value[shown] for name, value in step.losses.items()}, step.x_t[shown], pull[shown],
            plan.weights[step.i], plan.notes,
        )  # fmt: skip


def held() -> tuple[list[tuple[str, int]], int]:
    """The networks in memory, each with its bytes, the most recently used first; and the bytes that they may take."""
    return cache.held(), cache.budget()


def read_digits(pictures: list[Image.Image]) -> list[tuple[int, float]]:
    """What an independent network reads in pictures of digits: (digit, confidence in [0, 1]) for each."""
    network = catalogue.digit_judge()
    x = to_pixels(pictures).to(next(network.parameters()).device) / 127.5 - 1
    with torch.no_grad():
        confidence, digits = torch.cat([network(part) for part in x.split(256)]).softmax(1).max(1)
    return list(zip(digits.tolist(), confidence.tolist(), strict=True))


def images(recipe: Recipe) -> list[Image.Image]:
    """The recipe's pictures as PIL images, without the steps between."""
    *_, last = generate(recipe)
    return last.images()
