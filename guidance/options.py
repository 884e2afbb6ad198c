"""Options of the commands that train and measure, whose numbers are checked before the work."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from guidance.fields import RecipeError, real, whole
from guidance.recipe import MAX_SEED

# Options: what they are, what they are for, and of numbers the least and the greatest.
TRAIN = {
    "out": (Path, "runs/NETWORK unless given; a checkpoint found there is resumed"),
    "steps": (int, "how many", 1, 10**8), "minutes": (float, "end after so much time at the latest", 0.001, 10**6),
    "batch": (int, "pictures a step", 1, 10**5), "seed": (int, "of all that is drawn", 0, MAX_SEED),
    "pictures": (int, "landscapes, engravings, upscaler: how many pictures to paint", 1, 10**7),
    "fine": (float, "landscapes: how much more often stars and boats are shown", 0, 1000),
    "weak": (Path, "landscapes: learn what the weights that ship say, guided away from this pipeline's"),
    "scale": (float, "landscapes: how far away", 0, 100),
    "below": (int, "landscapes: at timesteps below this one", 1, 1000),
    "data": (Path, "digits: where MNIST is, or goes"),
}  # fmt: skip
FINETUNE = {
    "model": (str, "landscapes, a model on the Hub, or a folder"), "batch": (int, "pictures at once", 1, 10**5),
    "push": (str, "put the result into this repository of the Hub"),
    "accumulate": (int, "batches a step", 1, 10**5), "steps": (int, "how many", 1, 10**8),
    "pictures": (int, "take so many pictures at most (10,000)", 1, 10**7),
    "minutes": (float, "end after so much time", 0.001, 10**6), "learning-rate": (float, "of AdamW", 1e-9, 1),
    "every": (int, "steps between samples", 1, 10**8), "seed": (int, "of all that is drawn", 0, MAX_SEED),
}  # fmt: skip
EVALUATE = {
    "count": (int, "samples, upscaler, digits: pictures; clip: prompts; blend: blends", 2, 10**7),
    "data": TRAIN["data"],
    "steps": (int, "finetune: how many", 1, 10**8), "seeds": (int, "blend: pictures of each", 1, 10**4),
}  # fmt: skip
SERVE = {"cores": (int, "processors of each painter; unless given its share of them", 1, 10**4)}
BATCH = {
    "shards": (int, "pack so many rows each into a tar, as WebDataset has it", 1, 10**6),
    "replicas": (int, "so many painters on Ray, one a GPU; 0: in this process", 0, 10**5),
} | SERVE  # fmt: skip
EVALUATIONS = {
    "samples": ("count",), "color": (), "clip": ("count",), "digits": ("count", "data"), "finetune": ("steps",),
    "blend": ("count", "seeds"), "upscaler": ("count",),
}  # fmt: skip


def flags(parser: argparse.ArgumentParser, rows: dict[str, tuple]) -> None:
    """An option for each row, that is there only where it is given."""
    for name, (kind, about, *ends) in rows.items():
        parser.add_argument(f"--{name}", type=str if ends else kind, default=argparse.SUPPRESS, help=about)


def taken(options: argparse.Namespace, rows: dict[str, tuple]) -> dict[str, object]:
    """The options that were given, numbers checked; RecipeError for one that cannot be."""
    found = {name: value for name, value in vars(options).items() if name != "run"}
    for name, (kind, _, *ends) in rows.items():
        if ends and (key := name.replace("-", "_")) in found:
            label = name.replace("-", " ").capitalize()
            found[key] = (whole if kind is int else real)(label, found[key], *ends)
    return found


def stray(options: dict[str, object], known: Iterable[str], what: str) -> None:
    """RecipeError if there are other options than the known ones."""
    if others := options.keys() - set(known):
        raise RecipeError(f"The {what} takes no --{min(others)}.")
