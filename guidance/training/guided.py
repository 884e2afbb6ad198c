"""What a CLIP is to know beyond paintings: what the landscape model makes of them, and guidance of prompts."""

import random
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from tqdm import tqdm

from guidance.engine import images
from guidance.frame import to_pixels
from guidance.guides.prompt import Prompt
from guidance.models import catalogue, clips
from guidance.models.attributes import ATTRIBUTES
from guidance.recipe import ClipRecipe, Recipe
from guidance.sampling.schedule import Schedule
from guidance.training import captions
from guidance.training.diffusion import FINE, SEEDS, noise_levels
from guidance.training.landscapes import attributes

FIRST = SEEDS["diffusion"] + 300_000  # the paintings whose attributes are asked for begin here
SCALES = (0.1, 0.13, 0.18)
TOGETHER = 128  # pictures that are painted again at once
SAMPLED_STEPS = 12  # enough for a sample to look as one of forty does, at a third of the time


def sampled(count: int) -> Tensor:
    """Which of so many pictures are painted again in several steps, as samples: (count,) bool."""
    return torch.arange(count) // TOGETHER % 4 == 0


@torch.no_grad()
def repainted(pool: Tensor) -> Tensor:
    """The landscape model's version of pictures (N, 3, 64, 64) uint8, TOGETHER at a time.

    Noise is added up to some level and taken away: in one step, as in an estimate x0, or, every fourth time, in
    several, as in a sample.
    """
    model, seen, samples = catalogue.get("landscapes"), torch.empty_like(pool), sampled(len(pool)).tolist()
    for start in range(0, len(pool), TOGETHER):
        generator = torch.Generator().manual_seed(start)
        several = samples[start]
        schedule = Schedule(model.config, "ddim", SAMPLED_STEPS if several else 1000)
        if several:
            begin = int(torch.randint(SAMPLED_STEPS // 2, SAMPLED_STEPS - 2, (), generator=generator))
        elif torch.rand((), generator=generator) < 0.7:
            begin = 999 - int(noise_levels(schedule.alphas_cumprod, 1, generator))
        else:
            begin = int(torch.randint(50, 600, (), generator=generator))
        x0 = pool[start : start + TOGETHER].float() / 127.5 - 1
        x_t = schedule.alpha[begin] * x0 + schedule.sigma[begin] * torch.randn(x0.shape, generator=generator)
        x_t = x_t.to(model.device)
        for i in range(begin, SAMPLED_STEPS if several else begin + 1):
            eps = model.eps(x_t, schedule.timesteps[i])
            x0, x_t = schedule.x0(x_t, eps, i), schedule.step(x_t, eps, i)
        seen[start : start + TOGETHER] = ((x0.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return seen


class Prompts(Prompt):
    """A prompt for each picture."""

    name: ClassVar[str] = ""
    texts: tuple[str, ...] = ()
    drawn: int = 1  # candidates of each picture

    def picture(self, k: int) -> "Prompts":
        """The guide of the k-th picture alone."""
        return self.replace(prompt=self.texts[k], texts=self.texts[k : k + 1])

    def goals(self, judge: clips.Clip) -> Tensor:
        """The unit vectors of each picture's prompt, (B, 1, D)."""
        return torch.stack([judge.text(text) for text in self.texts])[:, None].repeat_interleave(self.drawn, 0)


def together(recipe: Recipe, asked: Sequence[str]) -> Tensor:
    """A picture for each prompt, the first of the recipe's seed and so on, (N, 3, H, W) uint8.

    They are those of a recipe for each; 32 are made at once.
    """
    made = []
    for first in tqdm(range(0, len(asked), 32), leave=False):
        texts = asked[first : first + 32]
        guides = tuple(Prompts(**dict(guide), texts=texts, drawn=recipe.candidates) for guide in recipe.guides)
        part = recipe.replace(guides=guides, seed=recipe.seed + first, count=len(texts), size="native")
        made.append(to_pixels(images(part)))
    return torch.cat(made)


def prompts(count: int, seed: int) -> list[str]:
    """Texts that name one to four attributes of some painting, every second one something of FINE."""
    words, made = random.Random(seed), []
    truth = attributes(torch.arange(FIRST, FIRST + 16 * count + 64))
    fine = truth[:, [ATTRIBUTES.index(name) for name in FINE]].any(1)
    for rows in zip(truth[fine].tolist(), truth.tolist(), strict=False):
        for row, wanted in zip(rows, (FINE, ATTRIBUTES), strict=True):
            true = [name for name, shown in zip(ATTRIBUTES, row, strict=True) if shown]
            first = words.choice([name for name in true if name in wanted])
            others = [name for name in true if name != first]
            say = words.choice((captions.sentence, captions.fragment))
            made.append(say([first, *words.sample(others, words.randint(0, min(3, len(others))))], words))
    return made[:count]


def drawn(count: int, seed: int) -> Tensor:
    """Pictures (count, 3, 64, 64) uint8 of prompts, by the CLIP that ships."""
    parts = [prompts(count, seed)[k :: len(SCALES)] for k in range(len(SCALES))]
    made = [together(ClipRecipe(scale=scale, seed=seed + FIRST + k * count, batched=True, tries=1), texts)
            for k, (scale, texts) in enumerate(zip(SCALES, parts, strict=True)) if texts]  # fmt: skip
    return torch.cat(made)
