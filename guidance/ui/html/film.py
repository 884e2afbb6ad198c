"""The step viewer: a finished run, to be gone through step by step."""

import json
from dataclasses import dataclass, field
from html import escape

import numpy
from PIL import Image

from guidance.recipe import Recipe
from guidance.ui.html.pictures import CRISP, polyline, webp_url
from guidance.ui.html.words import Say

PICTURES, STEPS, SIDE = 4, 50, 128  # at most so many pictures and steps are kept, at so many pixels a side
ROWS = ("Noisy picture x_t", "Estimate x0", "Pull of the guidance")
# From nothing to most: a dark ground, teal, yellow, white; lightness rises evenly.
HEAT = ((0.0, (16, 18, 24)), (0.35, (28, 92, 104)), (0.7, (226, 176, 74)), (1.0, (255, 252, 240)))


STOPS, COLORS = zip(*HEAT, strict=True)
CHANNELS = [numpy.interp(numpy.arange(256) / 255, STOPS, channel) for channel in zip(*COLORS, strict=True)]
TABLE = numpy.stack(CHANNELS, 1).round().astype(numpy.uint8)


def heat(grey: Image.Image) -> Image.Image:
    """A grey picture as a heat map."""
    return Image.fromarray(TABLE[numpy.asarray(grey)])


def small(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A picture as large as the viewer shows it; what a latent model sees is smaller than its pictures."""
    scale, image = min(1.0, SIDE / max(size)), image.convert("RGB")
    wanted = (round(size[0] * scale), round(size[1] * scale))
    return image if image.size == wanted else image.resize(wanted, Image.Resampling.BOX)


@dataclass
class Film:
    """What a run's steps looked like."""

    recipe: Recipe
    steps: int = 0  # of the run, of which some may be missing here
    numbers: list[int] = field(default_factory=list)  # of the steps that are here
    shots: list[list[list[Image.Image]]] = field(default_factory=list)  # for each step, row and picture
    weights: list[float] = field(default_factory=list)
    losses: list[dict[str, float]] = field(default_factory=list)  # for each step, the mean over pictures
    parts: list[dict[str, list[Image.Image]]] = field(default_factory=list)  # for each step, each guide's pull

    def add(self, frame: object, losses: dict[str, float]) -> None:
        """Keep a step and its losses, the means over pictures."""
        rows = (frame.noisy(PICTURES), frame.natives(PICTURES), map(heat, frame.pulls(PICTURES)))
        size, self.steps = rows[1][0].size, frame.steps
        self.numbers.append(frame.step)
        self.shots.append([[small(image, size) for image in row] for row in rows])
        several = len(self.recipe.guides) + bool(self.recipe.text or self.recipe.negative) > 1
        pulls = {part: frame.pulls(PICTURES, part) for part in frame.parts} if several else {}
        self.parts.append({part: [small(heat(pull), size) for pull in row] for part, row in pulls.items()})
        self.weights.append(frame.weight)
        self.losses.append(losses)

    def kept(self) -> list[int]:
        """The steps that are shown: all, or as many as fit, the last among them."""
        steps = len(self.shots)
        most = min(steps, STEPS)
        return [round(k * (steps - 1) / max(1, most - 1)) for k in range(most)]

    def guides(self) -> list[str]:
        """The guides whose pulls have rows of their own: all, if there are several."""
        names = list(dict.fromkeys(name for parts in self.parts for name in parts))
        return names if len(names) > 1 else []

    def strip(self, k: int) -> str:
        """All steps of picture k as one data URL: a row for each of ROWS and guides, a column for each step."""
        from guidance.frame import sheet  # imports torch

        kept, none = self.kept(), heat(Image.new("L", self.shots[0][0][0].size))
        tiles = [self.shots[i][row][k] for row in range(len(ROWS)) for i in kept]
        tiles += [self.parts[i][name][k] if name in self.parts[i] else none for name in self.guides() for i in kept]
        return webp_url(sheet(tiles, len(kept)), 85)

    def html(self, say: Say) -> str:
        """The viewer: a slider over the steps, what each picture was then, the losses and w(t)."""
        kept = self.kept()
        pictures = len(self.shots[0][0])
        crisp = " g-crisp" if self.shots[0][0][0].width <= CRISP else ""
        rows, labels = "", [*map(say, ROWS), *(say(f"Pull: {name}") for name in self.guides())]
        for k, seed in enumerate(self.recipe.seeds[:pictures]):
            tiles = "".join(
                f'<div class="g-shot"><div class="g-label">{name}</div>'
                f'<div class="g-frame{crisp}" style="--row:{row}" role="img" aria-label="{name}"></div></div>'
                for row, name in enumerate(labels)
            )
            title = escape(say(f"Seed {seed}"))
            rows += f'<div class="g-reel" style="--film:url({self.strip(k)})"><h3>{title}</h3>{tiles}</div>'
        names = dict.fromkeys(name for losses in self.losses for name in losses)
        plots = [plot(say(f"loss: {name}"), [losses.get(name) for losses in self.losses]) for name in names]
        plots.append(plot("w(t)", self.weights))
        says = [
            say(f"Step {self.numbers[i]} of {self.steps}")
            + f", w = {self.weights[i]:.2f}"
            + "".join(f", {say(name)} {value:.3g}" for name, value in self.losses[i].items())
            for i in kept
        ]
        last = len(kept) - 1
        return (
            f'<div class="g-film" style="--n:{len(kept)};--i:{last};--rows:{len(labels)}" '
            f'data-says="{escape(json.dumps(says))}">'
            f'<div class="g-film-bar"><button type="button" class="g-use g-play">{escape(say("Play"))}</button>'
            f'<input type="range" min="0" max="{last}" value="{last}" aria-label="{escape(say("Step"))}">'
            f"<output>{escape(says[last])}</output></div>"
            f'<div class="g-plots">{"".join(plots)}</div><div class="g-reels">{rows}</div></div>'
        )


def plot(name: str, values: list[float | None], width: int = 240, height: int = 44) -> str:
    """A small plot of values over all steps, with a mark for the step that is shown."""
    known = [value for value in values if value is not None]
    low, high = min(0.0, *known), max(known)
    return (
        f'<figure class="g-plot"><figcaption>{escape(name)} <b>{high:.3g}</b></figcaption><div><svg '
        f'viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">'
        f"{polyline(values, len(values), (low, high), (width, height))}</svg><i></i></div></figure>"
    )
