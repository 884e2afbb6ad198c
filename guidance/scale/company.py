"""Pictures in company: those of one network go through it together, whatever recipes they belong to."""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import copy

import torch
from torch import Tensor

from guidance.engine import generate, network_of, painted, plan, steps
from guidance.fields import RecipeError
from guidance.frame import Frame, OutOfMemory, device_lock, memory
from guidance.models import catalogue
from guidance.models.model import Model
from guidance.recipe import Recipe
from guidance.tries import tried


class Company:
    """Runs whose calls of a network are answered together: each waits until all others wait too, or are over.

    The network sees batches of one size anyway, filled up with zeros or with others' pictures, so the pixels are those
    of a run alone. One run at a time works on the device; a gradient through the network is everybody's own.
    """

    def __init__(self, model: Model, members: int):
        self.model, self.alone, self.members = copy(model), model.outputs, members
        self.model.outputs = self.ask
        self.asked, self.told = dict[int, tuple[Tensor, ...]](), dict[int, Tensor | Exception]()
        self.moved = threading.Condition(device_lock)  # which every run holds while it takes a step

    def ask(self, *inputs: Tensor) -> Tensor:
        """What the network says of t, x_t and perhaps a condition, (B, ...) each."""
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
            return self.alone(*inputs)
        self.asked[me := threading.get_ident()] = inputs
        self.answer()
        self.moved.wait_for(lambda: me in self.told)
        if isinstance(told := self.told.pop(me), Exception):
            raise told
        return told

    def answer(self) -> None:
        """Call the network for all, if all wait."""
        if len(self.asked) < max(1, self.members):
            return
        try:
            together = map(torch.cat, zip(*self.asked.values(), strict=True))
            told = self.alone(*together).split([len(inputs[0]) for inputs in self.asked.values()])
        except Exception as error:  # everybody's
            told = [error] * len(self.asked)
        self.told = dict(zip(self.asked, told, strict=True))
        self.asked = {}
        self.moved.notify_all()

    def run(self, recipe: Recipe) -> Frame:
        """The last frame of a run's first try."""
        try:
            with memory(), torch.inference_mode(False):
                made = plan(recipe, self.model)
            *_, frame = steps(made)
            return frame
        finally:
            with self.moved:
                self.members -= 1
                self.answer()


def paint(recipes: list[Recipe]) -> list[Frame | Exception]:
    """The last frame of each run of one network, or why there is none."""
    with memory(), torch.inference_mode(False):
        model = catalogue.get(network_of(recipes[0]))
    together = [recipe for recipe in recipes if not recipe.batched] if model.batch > 1 else []
    company, made = Company(model, len(together)), {}
    with ThreadPoolExecutor(max(1, len(together))) as threads:
        for recipe, future in [(recipe, threads.submit(company.run, recipe)) for recipe in together]:
            made[recipe] = future.exception() or future.result()
    # Where memory ran out for all, there may be enough for each.
    return [finished(recipe, made.get(recipe, OutOfMemory())) for recipe in recipes]


def finished(recipe: Recipe, made: Frame | Exception) -> Frame | Exception:
    """The last frame of a run of whose first try this was the last, or why there is none."""
    if isinstance(made, Exception) and not isinstance(made, OutOfMemory):
        return made
    frames = generate(recipe) if isinstance(made, OutOfMemory) else tried(recipe, iter([made]), painted)
    try:
        *_, last = frames
        return last
    except Exception as error:
        return error


def runs(recipes: Iterable[Recipe], most: int) -> list[Recipe]:
    """Pictures' recipes as runs of at most `most`: those that differ in nothing but a seed that counts on are one."""
    made: list[Recipe] = []
    for recipe in recipes:
        if made and recipe.each == 1 and made[-1].count < most:
            try:
                longer = made[-1].replace(count=made[-1].count + 1)
                if longer.picture(made[-1].count) == recipe:
                    made[-1] = longer
                    continue
            except RecipeError:  # more than these guides take
                pass
        made.append(recipe)
    return made
