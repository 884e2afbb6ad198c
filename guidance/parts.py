"""A run whose pictures are made in parts, a few at a time, where memory is too short for all of them at once."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from guidance.frame import Frame
from guidance.recipe import Recipe


def halves(recipe: Recipe) -> list[Recipe]:
    """A recipe's pictures as two recipes, or where pictures differ in more than their seeds as one for each."""
    count = len(recipe.seeds)
    if recipe.each > 1 or count == 1:
        return [recipe.picture(k) for k in range(count)]
    first = -(-count // 2)
    return [recipe.replace(count=first), recipe.replace(seed=recipe.seed + first, count=count - first)]


def abreast(runs: list[Iterator[Frame]], most: int) -> Iterator[Frame]:
    """The frames of parts of a run, at most `most` pictures each, as those of the whole; it is said what was done."""
    note = f"Memory ran out: the pictures were made {most} at a time, which rounds a little otherwise."
    for frames in zip(*runs, strict=True):
        yield replace(together(frames), notes=(*frames[0].notes, note)) if len(runs) > 1 else frames[0]


def together(frames: tuple[Frame, ...]) -> Frame:
    """One frame of several pictures' frames of the same step."""

    def joined(name: str) -> Tensor | dict[str, Tensor]:
        values = [getattr(frame, name) for frame in frames]
        if isinstance(values[0], dict):
            return {key: torch.cat([value[key] for value in values]) for key in values[0]}
        return torch.cat(values)

    return replace(frames[0], **{name: joined(name) for name, value in vars(frames[0]).items()
                                 if isinstance(value, (Tensor, dict))})  # fmt: skip
