"""From what a step takes on this machine to what many of them make: pictures a second, and for a euro."""

import pickle
import time

from guidance.engine import generate
from guidance.models import catalogue
from guidance.models.device import device
from guidance.recipe import ClipRecipe, ColorRecipe, Recipe
from guidance.scale.cluster import CORES
from guidance.ui.html.film import Film
from guidance.ui.html.pictures import webp_url

PAINTERS = (1, 8, 64)
EFFICIENCY = 0.9  # of many painters beside one, as it is tested
EUROS = {"cpu": 0.04 * CORES, "cuda": 2.5, "mps": 0.1}  # what a painter costs an hour: prices of 2026, put in your own


def seconds(recipe: Recipe) -> tuple[float, list]:
    """The seconds that a run takes once its networks are loaded, and its frames."""
    list(generate(recipe.replace(steps=2)))
    began = time.monotonic()
    frames = list(generate(recipe))
    return time.monotonic() - began, frames


def carried(recipe: Recipe, frames: list) -> float:
    """The seconds of the page's process that a run takes: its frames are unpacked, kept for the film and shown."""
    packed = [pickle.dumps(frame) for frame in frames]
    began, film = time.monotonic(), Film(recipe)
    for data in packed:
        frame = pickle.loads(data)
        film.add(frame, {})
        for image in frame.images():
            webp_url(image)
    return time.monotonic() - began


def arithmetic() -> None:
    """Print the tables for this machine's device."""
    where = device().type
    most = catalogue.get("landscapes").batch
    print(f"A painter here: {where}, {most} pictures at once, {EUROS[where]:.2f} euros an hour\n")
    print("| recipe | s a step | painters | pictures a second | pictures for a euro | runs a second one page carries |")
    print("|---|---|---|---|---|---|")
    recipes = {"a colour": ColorRecipe(count=most), "a prompt": ClipRecipe(count=most)}
    for name, recipe in recipes.items():
        taken, frames = seconds(recipe)
        page = carried(recipe, frames)
        for painters in PAINTERS:
            rate = painters * (EFFICIENCY if painters > 1 else 1) * most / taken
            euro = rate * 3600 / painters / EUROS[where]
            print(f"| {name} | {taken / len(frames):.3f} | {painters} | {rate:.2f} | {euro:,.0f} | {1 / page:.1f} |")
