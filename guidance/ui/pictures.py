"""Pictures and states as HTML: every string that reaches the page is made here, and escaped here."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from PIL import Image

from guidance import metadata, recipes

if TYPE_CHECKING:
    from guidance.ui.run import View

CRISP = 128  # up to so many pixels a side, a picture is enlarged with its pixels square; larger ones are smoothed


@dataclass(frozen=True)
class Shot:
    """One picture with what is said under it."""

    label: str
    image: Image.Image
    caption: str = ""  # HTML
    recipe: recipes.Recipe | None = None  # None: a preview, not for keeping


def data_url(shot: Shot) -> str:
    """The picture as a data URL: PNG with the recipe inside when finished, a light WebP while it is a preview."""
    if shot.recipe:
        return png_url(shot.image, shot.recipe)
    buffer = io.BytesIO()
    shot.image.save(buffer, "WEBP", quality=80, method=0)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def png_url(image: Image.Image, recipe: recipes.Recipe | None = None) -> str:
    """A picture as a PNG data URL, with its recipe inside if there is one."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=metadata.png_info(recipe) if recipe else None)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def shot_html(shot: Shot, seed: int) -> str:
    """One picture, its label, its caption and, when finished, its download."""
    url, label = data_url(shot), escape(shot.label)
    width, height = shot.image.size
    crisp = " g-crisp" if width <= CRISP else ""
    link = ""
    if shot.recipe:
        link = (
            f'<a class="g-save" href="{url}" download="{escape(shot.recipe.slug)}.png" '
            f'aria-label="Download the {label.lower()} picture of seed {seed}" '
            f'title="PNG with its recipe inside">PNG</a>'
        )
    return (
        f'<div class="g-shot"><div class="g-label">{label}</div>'
        f'<img class="g-picture{crisp}" src="{url}" width="{width}" height="{height}" '
        f'alt="{label} picture, seed {seed}"><div class="g-under">{shot.caption}{link}</div></div>'
    )


def pair_html(shots: list[Shot], seed: int, final: bool) -> str:
    """The pictures of one seed, side by side."""
    use = ""
    if final:
        title = "Set the seed and one picture"
        use = f'<button type="button" class="g-use" data-seed="{seed}" title="{title}">Use this seed</button>'
    return (
        f'<figure class="g-pair">{"".join(shot_html(shot, seed) for shot in shots)}'
        f"<figcaption><span>Seed {seed}</span>{use}</figcaption></figure>"
    )


def gallery(legend: str, pairs: list[tuple[int, list[Shot]]], final: bool) -> str:
    """Pairs (seed, its pictures) as a grid whose columns follow their number, under a legend (HTML)."""
    columns = 1 if len(pairs) == 1 else 2 if len(pairs) <= 6 else 3
    state = "final" if final else "preview"
    return (
        f'<div class="g-legend">{legend}</div><div class="g-gallery" data-state="{state}" style="--columns:{columns}">'
        f"{''.join(pair_html(shots, seed, final) for seed, shots in pairs)}</div>"
    )


def pairs(legend: str, caption: Callable[[Image.Image], str], view: View) -> str:
    """The variants of each seed side by side, under a legend (HTML); `caption` gives what is said under a picture."""
    rows = []
    for k, seed in enumerate(view.recipe.seeds):
        shots = []
        for label, recipe in view.variants.items():
            image = view.images[recipe][k]
            shots.append(Shot(label, image, caption(image), recipe.picture(k) if view.final else None))
        rows.append((seed, shots))
    return gallery(legend, rows, view.final)


def curve(values: list[float], steps: int, name: str, width: int = 160, height: int = 34) -> str:
    """A small plot of values over the steps, as far as they go."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    points = " ".join(
        f"{(i + 0.5) / max(steps, len(values)) * width:.1f},"
        f"{2 + (height - 4) * (high - value) / (high - low or 1):.1f}"
        for i, value in enumerate(values)
    )
    label = f"{name}: from {values[0]:.3g} to {values[-1]:.3g} in {len(values)} steps"
    return (
        f'<span class="g-curve">{escape(name)} <svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(label)}"><title>{escape(label)}</title><polyline points="{points}" '
        f'fill="none" stroke="currentColor" stroke-width="1.5"/></svg> <b>{values[-1]:.3g}</b></span>'
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
