"""Prompt guidance: does a picture show what the prompt names; presets, scales, ingredients, the course's loop."""

import random
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from guidance.atomic import save
from guidance.evaluation import metrics
from guidance.evaluation.samples import data, grid, pictures
from guidance.guides.prompt import Prompt
from guidance.models import catalogue, clips
from guidance.models.attributes import ATTRIBUTES
from guidance.recipe import ClipRecipe, Recipe
from guidance.training import captions, guided
from guidance.training.diffusion import SEEDS, painted_from
from guidance.training.landscapes import attributes
from guidance.training.trainer import keep, plot

Asked = tuple[str, list[str]]  # what is said, and the attributes it names
ONE = ", one picture of each prompt"  # as the parts have; KID counts how like pictures of one prompt are
SCALE = Prompt().scale
# The preset fast as version 0.1 had it, which took 50 passes, and quality as it was in 80.
FIRST = {"scale": 0.08, "cuts": 2, "detail": 1.0, "travel": 1, "solver": "ddim", "eta": 0.5, "steps": 40, "tries": 1}
SLOW = FIRST | {"scale": 0.1, "cuts": 4, "travel": 0, "eta": 1.0, "steps": 80}
WHOLE = {
    "unguided": ClipRecipe().unguided(), "unguided, as 0.1's fast": ClipRecipe(**FIRST).unguided(),
    "live": ClipRecipe(preset="live"), "fast": ClipRecipe(), "quality": ClipRecipe(preset="quality"),
    "0.1's fast": ClipRecipe(**FIRST), "0.1's quality": ClipRecipe(**SLOW),
}  # fmt: skip
PARTS = {name: recipe.replace(tries=1) for name, recipe in {  # of the first try, which is what they change
    "fast in one try": ClipRecipe(), "quality in one try": ClipRecipe(preset="quality"),
    **{f"fast in one try, scale {scale:g}": ClipRecipe(scale=scale) for scale in (SCALE / 4, SCALE / 2, SCALE * 2)},
    **{f"course, scale {scale:g}": ClipRecipe(preset="course", scale=scale, steps=50)
       for scale in (2.0, 8.0, 30.0, 100.0)},
    **{f"detail {detail:g}": ClipRecipe(detail=detail) for detail in (1.0, 16.0, 64.0)},
    "1 cut": ClipRecipe(cuts=1), "16 cuts": ClipRecipe(cuts=16), "full": ClipRecipe(method="full"),
    "late w(t)": ClipRecipe(weight="late"), "early w(t)": ClipRecipe(weight="early"),
    "from 0.1 on": ClipRecipe(start=0.1), "to the end": ClipRecipe(stop=1.0), "2 candidates": ClipRecipe(candidates=2),
    **{f"0.1's fast, {name}": ClipRecipe(**FIRST | change) for name, change in {
        "no time travel": {"travel": 0}, "eta 0": {"eta": 0.0}, "eta 1": {"eta": 1.0}}.items()},
}.items()}  # fmt: skip


def prompts(count: int = 160, seed: int = 1) -> list[Asked]:
    """Prompts with the attributes they name: three in eight name one, the others two to four that occur together."""
    words, made = random.Random(seed), []
    truth = attributes(torch.arange(count) + SEEDS["evaluation"] + 100_000)
    for k, row in enumerate(truth):
        true = [name for name, shown in zip(ATTRIBUTES, row.tolist(), strict=True) if shown]
        names = [ATTRIBUTES[k % len(ATTRIBUTES)]] if k % 8 < 3 else words.sample(true, min(len(true), 2 + k % 3))
        say = words.choice([captions.sentence, captions.fragment])
        made.append((say(names, words), names))
    return made


def shows(judge: nn.Module, batch: Tensor, names: list[str]) -> Tensor:
    """Whether each picture (N, 3, 64, 64) shows every one of the attributes: (N,) bool."""
    with torch.no_grad():
        return (judge(batch)[:, [ATTRIBUTES.index(name) for name in names]] > 0).all(1)


def drawn(path: Path, recipe: Recipe, asked: list[str]) -> tuple[Tensor, float]:
    """The pictures of `guided.together`, in [-1, 1], and the seconds each took, kept in a file.

    What an earlier run left there is read where recipe, prompts and weights are the same: a stopped run goes on.
    """
    key = repr((recipe, asked, catalogue.fingerprint("landscapes"), clips.fingerprint("landscapes")))
    if path.exists():
        kept = torch.load(path, weights_only=True)
        if kept["key"] == key:
            return kept["pictures"], kept["seconds"]
    started = time.perf_counter()
    pictures = guided.together(recipe, asked).float() / 127.5 - 1
    seconds = (time.perf_counter() - started) / len(pictures)
    keep({"key": key, "pictures": pictures, "seconds": seconds}, path)
    return pictures, seconds


def ideal(asked: list[Asked]) -> Tensor:
    """A painted picture for each prompt that shows what it names, no two the same: (N, 3, 64, 64) in [-1, 1].

    What the prompts ask for is not spread as the data is, so this is the KID that there is to be had.
    """
    seeds = torch.arange(50_000) + SEEDS["evaluation"] + 200_000
    truth, chosen = attributes(seeds), []
    for _, names in asked:
        k = int(truth[:, [ATTRIBUTES.index(name) for name in names]].all(1).nonzero()[0])
        truth[k] = False
        chosen.append(seeds[k])
    return painted_from(torch.stack(chosen)).float() / 127.5 - 1


def evaluate(out: Path, count: int = 160, seeds: int = 4) -> None:
    """Print the table, save it, the curve over the scale, and a sheet of the default's pictures, a prompt a row.

    The presets paint `seeds` pictures of each prompt, the other rows one. Every row's pictures are kept in `out`; those
    that an earlier run left there are not drawn again.
    """
    judge, asked = catalogue.judge(), prompts(count)
    known = metrics.features(judge, data(2048, skip=2048))
    table, made, seconds, texts = metrics.Table(out / "clip.json"), {}, {}, [text for text, _ in asked]
    single = torch.tensor([len(names) == 1 for _, names in asked])

    def add(name: str, pictures: Tensor, **more: float) -> None:  # one for each prompt, then another, and so on
        parts = [(pictures[k :: len(asked)], names) for k, (_, names) in enumerate(asked)]
        shares = torch.stack([shows(judge, part, names).float().mean() for part, names in parts])
        table.add({
            "setting": name, "pictures": len(pictures), "one attribute %": 100 * shares[single].mean().item(),
            "two to four %": 100 * shares[~single].mean().item(),
            "KID x 1000": metrics.kid(metrics.features(judge, pictures), known),
            "contrast": metrics.contrast(pictures), **more,
        })  # fmt: skip

    for name, recipe in (WHOLE | PARTS).items():
        made[name], seconds[name] = drawn(out / f"{name}.pt", recipe, texts * (seeds if name in WHOLE else 1))
        add(name, made[name], time=seconds[name] / seconds["unguided"])
    add("painted pictures of what the prompts name", ideal(asked * seeds))
    for name in ("unguided", "fast", "quality"):
        add(name + ONE, made[name][:count])
    sides, turns = ("unguided", "fast"), range(seeds)
    rows = [made[name][k + count * turn] for k in range(min(12, count)) for name in sides for turn in turns]
    save(grid(torch.stack(rows), len(sides) * seeds), out / "clip.png")
    negatives(judge, seeds)
    # Over the scale, ours and the course's, all with one picture a prompt.
    ones = {row["setting"].removesuffix(ONE): row for row in table.rows}
    scales = {name: sum(guide.scale for guide in recipe.guides) for name, recipe in (WHOLE | PARTS).items()}
    curves = {label: [ones[name] for name in sorted(scales, key=scales.get) if name.split(", scale")[0] == label]
              for label in ("fast in one try", "course", "unguided", "live", "fast", "quality")}  # fmt: skip
    plot(out / "clip-plot.png", curves, "KID x 1000", "two to four %",
         ylabel="pictures that show all of two to four attributes, %")  # fmt: skip


def negatives(judge: nn.Module, seeds: int) -> None:
    """Print how a negative weight, and a small one, move the share of what they weigh."""
    print("\n| attribute | unguided % | alone | noon, and it at 0.3 | noon, and it at -0.5 |\n|---|---|---|---|---|")
    bare = pictures(ClipRecipe().unguided(), 16 * seeds)
    for name in ("clouds", "mist", "sea", "mountains"):
        asked = (name, f"noon | {name}:0.3", f"noon | {name}:-0.5")
        sets = [bare, *(pictures(ClipRecipe(prompt=prompt, tries=1), 4 * seeds) for prompt in asked)]
        shares = [100 * shows(judge, batch, [name]).float().mean().item() for batch in sets]
        print(f"| {name} | " + " | ".join(f"{share:.0f}" for share in shares) + " |", flush=True)
