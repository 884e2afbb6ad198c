"""Tries: the pictures of a run that do not show what its guides ask for are painted again, from other noise.

That is best of n by a verifier (Cobbe et al. 2021, arXiv:2110.14168; of diffusion models Ma et al. 2025,
arXiv:2501.09732), which stops at the first that will do: a try costs only where one is needed.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from guidance.frame import Frame, device_lock, memory
from guidance.models import catalogue
from guidance.models.upscaler import enlarged
from guidance.parts import together
from guidance.recipe import Recipe

SURE = 0.75  # of what is there; more lets few that lack something pass, and paints many that lack nothing again
SURER = {"boat": 0.9, "stars": 0.9}  # of what networks see where there is none, for it is small


def verified(recipe: Recipe) -> bool:
    """Whether a recipe may try again: a verifier knows its model, and something that its guides ask for."""
    if recipe.tries == 1 or recipe.model not in catalogue.VERIFIERS:
        return False
    seen = dict.fromkeys(catalogue.VERIFIERS[recipe.model][2], 0.0)
    guides, count = [guide for guide in recipe.guides if guide.scale], len(recipe.seeds)
    return any(guide.picture(k).readings(seen) for guide in guides for k in range(count))


def wanting(recipe: Recipe, frame: Frame) -> list[int]:
    """How much of what its guides ask for a verifier is not sure to see in each picture of a recipe's last frame."""
    x0 = frame.x0
    with device_lock, memory():
        seen = catalogue.seen(recipe.model, x0, catalogue.VERIFIERS)
    guides = [guide for guide in recipe.guides if guide.scale]
    return [sum(not reading.met or reading.sure < SURER.get(reading.asked, SURE)
                for guide in guides for reading in guide.picture(k).readings(chances))
            for k, chances in enumerate(seen)]  # fmt: skip


def tried(
    recipe: Recipe, first: Iterator[Frame], anew: Callable[[Recipe, int], Iterator[Frame]]
) -> Iterator[Frame]:  # fmt: skip
    """The frames of a recipe's first try, and those of its others: `anew` makes a picture's frames of the n-th, from 1.

    Each picture is that of the first try in which the least is wanting. The steps of all tries count on, and a note
    says which pictures were painted again.
    """
    losses: dict[str, Tensor] = {}  # the last there were: a step that was not guided has none
    last = yield from but_last(first, losses)
    length, lacks = last.steps, wanting(recipe, last) if verified(recipe) else []
    for number in range(1, recipe.tries):
        if not (bad := [k for k, lack in enumerate(lacks) if lack]):
            break
        named = f"picture {bad[0] + 1}" if len(bad) == 1 else f"pictures {', '.join(str(k + 1) for k in bad)}"
        note = f"Not all that was asked for was there, and other noise was tried: {named}."
        notes = (*last.notes, note)
        done = replace(last, steps=last.steps + length, losses=dict(losses), notes=notes, see=None)
        yield done
        runs = [anew(recipe.picture(k), number) for k in bad]
        steps = (among(done, bad, together(frames)) for frames in zip(*runs, strict=True))
        last = yield from but_last(steps, losses)
        now = wanting(recipe, last)
        last = chosen(last, [after < before for after, before in zip(now, lacks, strict=True)], done)
        lacks = list(map(min, now, lacks))
    yield last


def but_last(frames: Iterator[Frame], losses: dict[str, Tensor]) -> Generator[Frame, None, Frame]:
    """All frames but the last, which is returned; the latest losses are kept."""
    for frame in frames:
        losses |= frame.losses
        if frame.step < frame.steps:
            yield frame
    return frame


def among(done: Frame, rows: list[int], frame: Frame) -> Frame:
    """A frame of some pictures' next try among all that were done before."""

    def put(new: Tensor, old: Tensor) -> Tensor:
        return old.index_copy(0, torch.tensor(rows, device=old.device), new.to(old))

    still, large = torch.zeros_like(done.pull), done.large
    if large is not None:
        large = put(enlarged(frame.x0) if frame.large is None else frame.large, large)
    return replace(
        done, step=done.step + frame.step, estimate=put(frame.estimate, done.estimate), x_t=put(frame.x_t, done.x_t),
        losses={name: put(value, done.losses[name]) for name, value in frame.losses.items()}, weight=frame.weight,
        pull=put(frame.pull, still), parts={name: put(pull, still) for name, pull in frame.parts.items()}, large=large,
        see=frame.see,
    )  # fmt: skip


def chosen(frame: Frame, better: list[bool], done: Frame) -> Frame:
    """The last frame of a try, with the pictures that it did not make better as they were before."""
    taken = torch.tensor(better, device=frame.pull.device).view(-1, 1, 1, 1)
    both = {name: (getattr(frame, name), getattr(done, name)) for name in ("estimate", "x_t", "large")}
    return replace(frame, **{name: torch.where(taken, *pair) for name, pair in both.items() if pair[0] is not None})
