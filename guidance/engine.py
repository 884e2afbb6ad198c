"""From a recipe to pictures: the one place where model, guides and sampler meet."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial, reduce
from os import PathLike
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from guidance.fields import RecipeError
from guidance.frame import Frame, OutOfMemory, device_lock, memory
from guidance.guides.base import Guide, Run
from guidance.models import catalogue
from guidance.models.device import ModelError
from guidance.models.hand import opened
from guidance.models.model import Model
from guidance.parts import abreast, halves
from guidance.recipe import IN_HAND, TRAVEL, Recipe
from guidance.sampling.guides import GuidanceError, classifier_free, network
from guidance.sampling.sample import Predict, order, sample
from guidance.sampling.schedule import Schedule
from guidance.tries import tried, verified

AVERAGED = 0.8  # candidates are compared by a running mean of their losses, so much of it from the steps before
TAKES_NO_TEXT = "This model is told no text: it was passed over. A prompt steers any model."
OTHER_WEIGHTS = "This picture was made with other weights than those here: what its recipe gives today may differ."
SENTENCES = (GuidanceError, ModelError)  # errors whose message is for the user


def steer(
    model: object, guides: Guide | Iterable[Guide] = (), *, scheduler: object = None, **fields: object
) -> list[Image.Image]:
    """Pictures of a model, steered by guides, as PIL images.

    `model` is a built-in one's name, a repository of the Hub or a folder, or an object: a DDPMPipeline, DDIMPipeline,
    StableDiffusionPipeline, or a UNet2DModel with its `scheduler`. An object is left as it was found. `fields` are a
    Recipe's, such as seed, count, steps, solver and text. Raises RecipeError, ModelError or GuidanceError, each with
    one sentence.
    """
    *_, last = frames(model, guides, scheduler=scheduler, **fields)
    return last.images()


def frames(
    model: object, guides: Guide | Iterable[Guide] = (), *, scheduler: object = None, **fields: object
) -> Iterator[Frame]:
    """The same, a step at a time; closing the iterator stops the run within one step."""
    if isinstance(model, (str, PathLike)):
        return generate(Recipe(guides=guides, model=str(model), **fields))
    return generate(Recipe(guides=guides, model=IN_HAND, **fields), model=opened(model, scheduler))


def images(recipe: Recipe) -> list[Image.Image]:
    """The recipe's pictures as PIL images, without the steps between."""
    *_, last = generate(recipe)
    return last.images()


class Plan(NamedTuple):
    """What a recipe comes down to."""

    run: Run
    predict: Predict
    x_t: Tensor  # what it begins with
    first: int  # the step at which it does
    ends: list[Callable[[Tensor, Run], Tensor]]  # what is done to the pictures at last
    weights: list[float]  # w(t) of each step of the schedule, the greatest of all guides
    travel: tuple[int, float, float]
    fingerprint: str
    enlarge: Callable[[Tensor], Tensor] | None  # the model's, if its pictures are to be enlarged
    see: Callable[[Tensor], list[dict[str, float]]] | None  # who judges the model's pictures, if anybody does


def plan(recipe: Recipe, model: Model | None = None, most: int = 0, number: int = 0) -> Plan:
    """The networks of a recipe and the guides around them; `model` is there if the recipe's is in hand.

    It sees no more than `most` pictures at once, if that is given. The noise is that of the `number`-th try.
    """
    if model is None and recipe.model == IN_HAND:
        raise RecipeError("The model of this recipe was in hand: name one.")
    model = model or catalogue.get(network_of(recipe))
    model = model.batched() if recipe.batched else model
    model = model.batched(most) if most else model
    candidates = range(number * recipe.candidates, (number + 1) * recipe.candidates)
    seeds = [(seed, candidate) for seed in recipe.seeds for candidate in candidates]
    run = Run(model, None, seeds, recipe.candidates, recipe.batched)
    run.schedule = Schedule(model.config, recipe.solver, recipe.steps, run.generators(), recipe.eta)
    predict, weights, curves = unguided(recipe, run), [0.0] * len(run.schedule.timesteps), []
    x_t, first, ends = model.noise(run.schedule.options["generator"]), 0, []
    for guide in sorted(recipe.guides, key=lambda guide: guide.outer - guide.inner):
        if not (guide.scale or guide.inner):
            continue
        x_t, begins = guide.begin(x_t, run)
        first = max(first, begins)
        ends.append(guide.end)
        curves.append(guide.curve)
        again = curves.count(guide.curve)
        predict = guide.steer(predict, run, guide.curve if again == 1 else f"{guide.curve} {again}")
        weights = [max(pair) for pair in zip(weights, guide.weights(run.schedule), strict=True)]
    now = fingerprint(recipe, model)
    if said := differing(recipe, now):
        run.notes.insert(0, said)
    enlarge = model.enlarge if model.upscaler and recipe.size == "full" else None
    see = partial(catalogue.seen, recipe.model) if recipe.model in catalogue.JUDGES else None
    return Plan(run, predict, x_t, first, ends, weights, (recipe.travel, *TRAVEL), now, enlarge, see)


def unguided(recipe: Recipe, run: Run) -> Predict:
    """The network before any guide, told the recipe's text if it takes one, and no class."""
    model, schedule = run.model, run.schedule
    if not model.takes_text:
        run.notes += [TAKES_NO_TEXT] * bool(recipe.text or recipe.negative)
        if model.null is None:
            return network(model.eps, schedule)
        null = torch.full((run.count,), model.null, device=model.device)
        return network(lambda x_t, t: model.eps(x_t, t, null), schedule)
    text, negative = model.embed([recipe.text, recipe.negative]).repeat_interleave(run.count, 0).chunk(2)
    run.notes += [*model.notes(recipe.text), *model.notes(recipe.negative)]
    scale = 1.0 if recipe.text == recipe.negative else recipe.text_scale  # nothing to be led from: half the work
    return classifier_free(model.eps, text, negative, schedule, scale=scale, weights=[1.0] * len(schedule.timesteps))


def network_of(recipe: Recipe) -> str:
    """The name of the network that a recipe's guides steer."""
    name = recipe.model
    for guide in recipe.guides:
        name = guide.network(name)
    return name


def fingerprint(recipe: Recipe, model: Model | None = None) -> str:
    """A fingerprint of the networks that paint and guide by a recipe, or nothing while a file of theirs is not here."""
    known = [model.fingerprint if model else catalogue.fingerprint(network_of(recipe))]
    known += [guide.fingerprint() for guide in recipe.guides if guide.scale]
    if verified(recipe):
        known.append(catalogue.verifier_fingerprint())
    return "" if None in known else "-".join(filter(None, known))


def differing(recipe: Recipe, now: str) -> str:
    """A sentence where a recipe was made with other weights than those of the fingerprint `now`, else nothing."""
    return OTHER_WEIGHTS if recipe.weights and now and now != recipe.weights else ""


def changed(recipe: Recipe) -> str:
    """A sentence where a recipe was made with other weights than those that are here, else nothing."""
    return differing(recipe, fingerprint(recipe)) if recipe.weights and recipe.model != IN_HAND else ""


def generate(recipe: Recipe, *, model: Model | None = None, deadline: float = math.inf) -> Iterator[Frame]:
    """Make the recipe's pictures, a frame per step; closing the iterator stops the run within one step.

    Where memory runs out, they are made in parts of half as many, again and again, and a note says so. Raises
    GuidanceError, with a sentence for the user, when guidance blows up, there is no memory for one picture, or the run
    takes over `deadline` seconds.
    """
    started = time.monotonic()
    for frame in tried(recipe, painted(recipe, model=model), partial(painted, model=model)):
        yield frame
        if frame.step < frame.steps and time.monotonic() - started > deadline:
            raise GuidanceError(f"The run was stopped after {deadline:g} seconds: ask for fewer pictures or steps.")


def painted(recipe: Recipe, number: int = 0, *, model: Model | None = None) -> Iterator[Frame]:
    """The frames of a recipe's `number`-th try."""
    seen, parts, most = 0, [recipe], 0
    while True:
        with memory(), torch.inference_mode(False):  # or networks that are kept could never again have a gradient
            plans = [plan(part, model, most, number) for part in parts]
        try:
            for frame in abreast([steps(made) for made in plans], most):
                if frame.step > seen:  # the steps before were shown when memory was not yet short
                    seen = frame.step
                    yield frame
            return
        except OutOfMemory:
            if len(parts) == len(recipe.seeds):
                raise
        plans = None  # what they hold is given back first
        torch.cuda.empty_cache()
        parts = [half for part in parts for half in halves(part)]
        most = max(len(part.seeds) for part in parts)


def steps(plan: Plan) -> Iterator[Frame]:
    """The steps of a plan; of the candidates of each picture, the one that is best so far is shown."""
    run, count = plan.run, len(order(len(plan.run.schedule.timesteps), *plan.travel, plan.first))
    firsts = torch.arange(0, run.count, run.candidates)
    loss, shown = torch.zeros(run.count), firsts
    with torch.inference_mode(False):
        taken = sample(plan.predict, plan.x_t, run.schedule, plan.travel, plan.first)
    for i in range(count):
        with device_lock, memory(), torch.inference_mode(False):
            step = next(taken)
            made = step.x0 if i + 1 < count else reduce(lambda x_0, end: end(x_0, run), plan.ends, step.x_t)
        pull = size(sum(step.pulls.values(), torch.zeros_like(step.x_t)))
        if run.candidates > 1 and step.losses:
            loss = AVERAGED * loss + (1 - AVERAGED) * sum(step.losses.values()).cpu()
            shown = firsts + loss.view(-1, run.candidates).argmin(1)
        parts = {name: size(part)[shown] for name, part in step.pulls.items()}
        frame = Frame(
            i + 1, count, made[shown], run.model.decode,
            {name: value[shown] for name, value in step.losses.items()}, step.x_t[shown], pull[shown],
            plan.weights[step.i], tuple(run.notes), plan.fingerprint, parts,
        )  # fmt: skip
        yield finished(frame, plan) if i + 1 == count else frame


def finished(frame: Frame, plan: Plan) -> Frame:
    """The last frame with its pictures enlarged, if they are to be, and with who judges them."""
    if plan.enlarge is None:
        return replace(frame, see=plan.see)
    x0 = frame.x0
    with device_lock, memory(), torch.inference_mode(False), torch.no_grad():
        return replace(frame, see=plan.see, large=plan.enlarge(x0))


def size(bend: Tensor) -> Tensor:
    """How large a bend (B, C, H, W) is at each pixel, (B, 1, H, W)."""
    return bend.square().mean(1, keepdim=True).sqrt()


def held() -> tuple[list[tuple[str, int]], int]:
    """The networks in memory, each with its bytes, the most recently used first; and the bytes that they may take."""
    return catalogue.cache.held(), catalogue.cache.budget()
