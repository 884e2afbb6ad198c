"""Pictures and states as HTML: every string that reaches the page is made here, and escaped here."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from PIL import Image

from guidance.guides.base import Reading
from guidance.recipe import AS_PNG, Recipe, png_info, to_json
from guidance.ui.html.words import Say

if TYPE_CHECKING:
    from guidance.ui.runs.painting import View

CRISP = 128  # up to so many pixels a side, a picture is enlarged with its pixels square; larger ones are smoothed


def png_url(image: Image.Image, recipe: Recipe | None = None) -> str:
    """A picture as a PNG data URL, with its recipe inside if there is one."""
    buffer = io.BytesIO()
    image.save(buffer, **AS_PNG, pnginfo=png_info(recipe) if recipe else None)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def webp_url(image: Image.Image, quality: int = 80) -> str:
    """A preview as a light data URL."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=0)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def in_words(reading: Reading, say: Say) -> str:
    """A reading in words."""
    return say(f"Asked for {reading.asked}, seen: {reading.seen}, {reading.sure:.0%} sure")


def seen(reading: Reading, say: Say) -> str:
    """A reading as a tick or a cross, what is there, and how sure that is (HTML)."""
    words = escape(in_words(reading, say))
    return (
        f'<span class="g-seen" data-met="{str(reading.met).lower()}" role="img" aria-label="{words}" title="{words}">'
        f"{reading.mark} {escape(reading.seen)} <i>{reading.sure:.0%}</i></span>"
    )


def shot_html(label: str, recipe: Recipe, k: int, caption: Callable[[Image.Image], str], view: View) -> str:
    """The k-th picture of a recipe, its label, what `caption` says of it (HTML) and, when finished, readings of it and
    its download.
    """
    name, image, seed = view.say(label), view.images[recipe][k], view.recipe.seeds[k]
    crisp, link = " g-crisp" if image.width <= CRISP else "", ""
    readings = " ".join(seen(reading, view.say) for reading in view.readings(recipe, k))
    if view.final:
        made = view.made(recipe).picture(k)
        url = png_url(image, made if view.keep else None)
        link = save(made, view.say(f"Download the {name} picture of seed {seed} as a PNG"))
    else:
        url = webp_url(image)
    return (
        f'<div class="g-shot"><div class="g-label">{escape(name)}</div>'
        f'<img class="g-picture{crisp}" src="{url}" width="{image.width}" height="{image.height}" '
        f'alt="{escape(name)}, {escape(view.say(f"Seed {seed}"))}">'
        f'<div class="g-under"><div>{caption(image)} {readings}</div>{link}</div></div>'
    )


def save(recipe: Recipe, title: str, url: str = "", name: str = "") -> str:
    """A button that keeps the picture beside it, or the one of the data URL `url`, as a PNG file."""
    data = f' data-url="{url}"' if url else ""
    return (
        f'<button type="button" class="g-use g-save" data-save="{escape(name or recipe.slug)}.png"{data} '
        f'title="{escape(title)}" aria-label="{escape(title)}">PNG</button>'
    )


def remembered(recipe: Recipe) -> str:
    """An attribute from which the browser's history takes the recipe of a finished picture."""
    return f' data-recipe="{escape(to_json(recipe))}"'


def pair_html(k: int, seed: int, caption: Callable[[Image.Image], str], view: View) -> str:
    """The k-th picture of each variant, side by side; the last is the one that was asked for."""
    variants = view.variants.items()
    shots = "".join(shot_html(label, recipe, k, caption, view) for label, recipe in variants)
    use = mark = wipe = ""
    if view.final:
        use = (
            f'<button type="button" class="g-use g-seed-of" data-seed="{seed}" '
            f'title="{escape(view.say("Set the seed and one picture"))}">{escape(view.say("Use this seed"))}</button>'
        )
        mark = remembered(view.made(list(view.variants.values())[-1]).picture(k))
    if len(variants) == 2:
        name = escape(view.say("Before and after"))
        wipe = f'<input class="g-wipe" type="range" min="0" max="100" value="50" aria-label="{name}">'
    return (
        f'<figure class="g-pair"{mark}>{shots}{wipe}'
        f"<figcaption><span>{escape(view.say(f'Seed {seed}'))}</span>{use}</figcaption></figure>"
    )


def pairs(legend: str, caption: Callable[[Image.Image], str], view: View) -> str:
    """The variants of each seed side by side, under a legend (HTML); `caption` gives what is said under a picture."""
    if view.readings(view.recipe, 0):
        legend += f" <span>{escape(view.say('Under each picture: what an independent network sees of it.'))}</span>"
    rows = [pair_html(k, seed, caption, view) for k, seed in enumerate(view.recipe.seeds)]
    columns = 1 if len(rows) == 1 else 2 if len(rows) <= 6 else 3
    toggle = ""
    if len(view.variants) == 2:
        toggle = f'<button type="button" class="g-use g-wiper">{escape(view.say("Before and after"))}</button>'
    return (
        f'<div class="g-legend">{legend}{toggle}</div><div class="g-gallery" '
        f'data-state="{"final" if view.final else "preview"}" style="--columns:{columns}">{"".join(rows)}</div>'
    )


def curve(values: list[float], steps: int, name: str, low: float | None = None, high: float | None = None) -> str:
    """A small plot of values over the steps, as far as they go, from `low` to `high` if these are given."""
    if len(values) < 2:
        return ""
    width, height = 160, 34
    low, high = min(values) if low is None else low, max(values) if high is None else high
    label = f"{name}: {values[0]:.3g} \N{RIGHTWARDS ARROW} {values[-1]:.3g}"
    return (
        f'<span class="g-curve">{escape(name)} <svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(label)}"><title>{escape(label)}</title>'
        f"{polyline(values, max(steps, len(values)), (low, high), (width, height))}</svg> "
        f"<b>{values[-1]:.3g}</b></span>"
    )


def polyline(values: list[float | None], steps: int, ends: tuple[float, float], size: tuple[int, int]) -> str:
    """A line through the values that are known, `steps` of them across a drawing of `size`, from low to high."""
    (low, high), (width, height) = ends, size
    points = " ".join(
        f"{(i + 0.5) / steps * width:.1f},{2 + (height - 4) * (high - value) / (high - low or 1):.1f}"
        for i, value in enumerate(values)
        if value is not None
    )
    return (
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5" '
        f'vector-effect="non-scaling-stroke"/>'
    )


def swatch(color: str, name: str) -> str:
    """A dot of one colour, "#rrggbb"."""
    return f'<i class="g-dot" style="background:{escape(color)}" role="img" aria-label="{escape(name)}"></i>'


def status(state: str, text: str, share: float = 0.0) -> str:
    """The line above the pictures; `state` is idle, waiting, running, done, stopped or error."""
    bar = ""
    if state == "running":
        bar = f'<div class="g-bar"><div style="width:{100 * share:.1f}%"></div></div>'
    # A screen reader hears how a run ends, not each step.
    role = {"running": "off", "error": "assertive"}.get(state, "polite")
    return f'<div class="g-status" data-state="{state}" aria-live="{role}"><p>{escape(text)}</p>{bar}</div>'
