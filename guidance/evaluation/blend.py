"""Blends: is every wish met, as often as each would be alone; palettes, sketches and held pixels."""

import base64
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import normalize

from guidance import cielab
from guidance.atomic import save
from guidance.cielab import channels, lab
from guidance.evaluation import metrics
from guidance.evaluation.clip import prompts, shows
from guidance.evaluation.samples import data, grid, pictures
from guidance.frame import to_images
from guidance.guides.base import Guide, LossGuide, Run
from guidance.guides.color import Color
from guidance.guides.hold import Hold
from guidance.guides.palette import Palette, spread
from guidance.guides.prompt import Prompt
from guidance.guides.sketch import Sketch
from guidance.models import catalogue
from guidance.models.attributes import LANDS, TIMES, TONES
from guidance.recipe import Recipe
from guidance.sampling.guides import Loss
from guidance.sampling.palettes import distance
from guidance.sampling.regions import FULL, region

NEAR = 20.0  # a colour is met where it is so near in CIELAB
PALETTES = (
    "#16324f 4, #2a9d8f 3, #e9c46a 2, #e76f51 1", "#0b1026 5, #31356e 3, #8a6fb0 2, #f4d8cd 1",
    "#264027 4, #6a994e 3, #a7c957 2, #f2e8cf 2", "#5f0f40 3, #9a031e 3, #fb8b24 3, #e36414 2",
    "#03045e 4, #0077b6 3, #00b4d8 2, #caf0f8 2",
)  # fmt: skip
BANDS = (("#f0963c", "#14285a"), ("#78b4e6", "#3c6e32"), ("#28143c", "#c86428"), ("#e6c8d2", "#64788c"),
         ("#1e3c78", "#dcc896"))  # fmt: skip
SKY = ("sun", "moon", "stars", "clouds", "aurora")
HOURS = {*TIMES, "sun", "moon", "stars", "aurora"}  # what only a night or no night has tells the hour as well


class Wish(NamedTuple):
    """A guide, and how to see in pictures (N, 3, 64, 64) whether it was met: (N,) bool."""

    guide: Guide
    met: Callable[[Tensor], Tensor]


class Sum(LossGuide):
    """The plain sum of the losses of several guides: one gradient, whatever the size of each."""

    name: ClassVar[str] = ""
    label: ClassVar[str] = "Sum"
    guides: tuple[LossGuide, ...] = ()

    def objective(self, run: Run) -> Loss:
        """Each loss by the strength of its guide."""
        losses = [(guide.scale, guide.objective(run)) for guide in self.guides]
        return lambda x0, i: sum(scale * loss(x0, i) for scale, loss in losses)


def held(image: Image.Image) -> str:
    """A picture as recipes hold it."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def apart(batch: Tensor, color: str, place: Tensor) -> Tensor:
    """How far the mean colour of pictures at a place (64, 64) bool is from a colour, in CIELAB: (N,)."""
    mean = (batch.clamp(-1, 1)[:, :, place].mean(-1).double() + 1) / 2
    return (lab(mean) - lab(channels(color))).norm(dim=1)


def away(batch: Tensor, colors: str) -> Tensor:
    """How far the colours of pictures are from a palette, the sliced Wasserstein distance in CIELAB: (N,)."""
    axes = normalize(torch.randn(len(batch), 3, 64, generator=torch.Generator().manual_seed(0)), dim=1)
    return distance(lab((batch.clamp(-1, 1).flatten(2).transpose(1, 2) + 1) / 2), spread(colors, 4096), axes).sqrt()


def every(batch: Tensor, wishes: list[Wish]) -> Tensor:
    """In which pictures (N, 3, 64, 64) all wishes are met: (N,) bool."""
    return torch.cat([torch.stack([wish.met(part) for wish in wishes]).all(0) for part in batch.split(256)])


def share(batch: Tensor, *wishes: Wish) -> float:
    """In how many of the pictures all wishes are met, in [0, 1]."""
    return every(batch, wishes).float().mean().item()


def mean(picture: Tensor, place: Tensor) -> str:
    """The mean colour of a picture (3, 64, 64) at a place (64, 64) bool, as #rrggbb."""
    (image,) = to_images(picture[None, :, None, place])
    return cielab.mean(image)


def main_colors(picture: Tensor) -> str:
    """Four colours of a picture (3, 64, 64) by median cut, with their shares, as a palette is written."""
    (image,) = to_images(picture[None])
    few = image.quantize(4)
    parts = [(few.getpalette()[3 * k : 3 * k + 3], count) for count, k in few.getcolors()]
    return ", ".join(f"#{bytes(color).hex()} {count}" for color, count in parts)


def everywhere() -> Tensor:
    """All of a picture."""
    return torch.ones(64, 64, dtype=torch.bool)


def band(rows: slice) -> Tensor:
    """Some rows of a picture."""
    place = torch.zeros(64, 64, dtype=torch.bool)
    place[rows] = True
    return place


UPPER, LOWER = band(slice(0, 20)), band(slice(44, 64))


def sketch(sky: str, ground: str) -> str:
    """A sketch of two bands of colour with nothing between."""
    image = Image.new("RGBA", (64, 64))
    draw = ImageDraw.Draw(image)
    for color, place in ((sky, (0, 0, 63, 19)), (ground, (0, 44, 63, 63))):
        draw.rectangle(place, fill=color)
    return held(image)


def blends(judge: torch.nn.Module, count: int = 40) -> list[tuple[str, list[Wish]]]:
    """The fixed set: a quarter each of colour, sketch or palette beside a prompt, and two prompts in two regions.

    Colours are those of paintings, drawn without regard to the prompts; beside them no prompt names a colour, a time of
    day or what only some have: the colour of a sky is its hour.
    """
    words, made = random.Random(2), []
    asked = [names for _, names in prompts(16 * count) if 1 <= len(names) <= 2 and not {*names} & {*TONES, *HOURS}]
    paintings = data(3 * count // 4, skip=300_000)

    def prompt(names: list[str], where: str = "everywhere") -> Wish:
        # A part of a landscape is where it is anywhere: the judge, which knows whole ones, looks at all of it.
        return Wish(Prompt(" and ".join(names), scale=0.2, where=where), lambda batch: shows(judge, batch, names))

    def color(painting: Tensor) -> Wish:
        value = mean(painting, everywhere())
        return Wish(Color(value, scale=0.4), lambda batch: apart(batch, value, everywhere()) < NEAR)

    def sketched(painting: Tensor) -> Wish:
        sky, ground = mean(painting, UPPER), mean(painting, LOWER)
        return Wish(Sketch(sketch(sky, ground), scale=0.4), lambda batch: (
            (apart(batch, sky, UPPER) < NEAR) & (apart(batch, ground, LOWER) < NEAR)))  # fmt: skip

    def palette(painting: Tensor) -> Wish:
        colors = main_colors(painting)
        return Wish(Palette(colors, scale=0.4), lambda batch: away(batch, colors) < NEAR)

    for k in range(count // 4):
        sky, land = SKY[k % len(SKY)], LANDS[words.randrange(len(LANDS))]
        for n, (kind, wish) in enumerate((("colour", color), ("sketch", sketched), ("palette", palette))):
            made.append((f"{kind} x prompt", [prompt(asked[k + n * count]), wish(paintings[3 * k + n])]))
        made.append(("two prompts in two regions", [prompt([sky], "sky"), prompt([land], "ground")]))
    return made


def together(out: Path, judge: torch.nn.Module, known: Tensor, count: int, seeds: int) -> None:
    """Print the table of the blends by kind, and save a sheet of their pictures."""
    table, rows, made, pool = metrics.Table(out / "blend.json"), {}, {}, data(512, skip=8192)
    for k, (kind, wishes) in enumerate(blends(judge, count)):
        guides = [wish.guide for wish in wishes]
        whole = Recipe(guides=guides, seed=seeds * k, tries=1)
        both = pictures(whole, seeds)
        plain = pictures(whole.replace(guides=Sum(guides=guides, scale=sum(g.scale for g in guides))), seeds)
        alone = [pictures(whole.replace(guides=guide), seeds) for guide in guides]
        single = [share(batch, wish) for wish, batch in zip(wishes, alone, strict=True)]
        rows.setdefault(kind, []).append((*single, *(share(both, wish) for wish in wishes), single[0] * single[1],
                                          share(both, *wishes), share(plain, *wishes)))  # fmt: skip
        found = {
            "blends": both, "plain sums": plain, "first wishes alone": alone[0], "second wishes alone": alone[1],
            "paintings that meet the wishes": pool[every(pool, wishes)][:seeds],
            "unguided": pictures(whole.unguided(), seeds),
        }  # fmt: skip
        for name, batch in found.items():
            made.setdefault(name, []).append(batch)
    rows["all"] = [row for found in list(rows.values()) for row in found]
    for kind, found in rows.items():
        *wishes, product, met, plain = (100 * sum(column) / len(found) for column in zip(*found, strict=True))
        names = ("first wish alone %", "second wish alone %", "first in the blend %", "second in the blend %")
        table.add({"blends": kind} | dict(zip(names, wishes, strict=True)) | {
            "product %": product, "all wishes %": met, "of the product": met / max(product, 1e-9),
            "plain sum %": plain})  # fmt: skip
    print("\n| pictures | how many | KID x 1000 |\n|---|---|---|")
    for name, batches in made.items():
        batch = torch.cat(batches)
        print(f"| {name} | {len(batch)} | {metrics.kid(metrics.features(judge, batch), known):.1f} |", flush=True)
    save(grid(torch.cat([batch[:2] for batch in made["blends"]]), 10), out / "blend.png")


def palettes(bare: Tensor) -> None:
    """Print how near palettes come, and what becomes of the contrast, over the strength."""
    print("\n| palette | distance / unguided | contrast / unguided |\n|---|---|---|")
    for scale in (0.2, Palette().scale, 0.5, 0.8):
        sets = {colors: pictures(Recipe(guides=Palette(colors, scale=scale)), len(bare)) for colors in PALETTES}
        far = torch.cat([away(batch, colors) for colors, batch in sets.items()]).mean()
        before = torch.cat([away(bare, colors) for colors in sets]).mean()
        contrast = metrics.contrast(torch.cat(list(sets.values()))) / metrics.contrast(bare)
        print(f"| scale {scale:g} | {far / before:.2f} | {contrast:.2f} |", flush=True)


def sketches(bare: Tensor) -> None:
    """Print how near sketches come where they are painted, and how much the pictures differ where they are not."""
    print("\n| sketch | distance inside / unguided | variety outside / unguided |\n|---|---|---|")
    free = ~(UPPER | LOWER)
    variety = bare[:, :, free].std(0).mean()
    for scale in (0.2, Sketch().scale, 0.5):
        far, before, kept = [], [], []
        for sky, ground in BANDS:
            batch = pictures(Recipe(guides=Sketch(sketch(sky, ground), scale=scale)), len(bare))
            for color, place in ((sky, UPPER), (ground, LOWER)):
                far.append(apart(batch, color, place))
                before.append(apart(bare, color, place))
            kept.append(batch[:, :, free].std(0).mean() / variety)
        near, kept = torch.cat(far).mean() / torch.cat(before).mean(), torch.stack(kept).mean()
        print(f"| scale {scale:g} | {near:.2f} | {kept:.2f} |", flush=True)


def holds(bare: Tensor) -> None:
    """Print whether held pixels are held, and how steep a picture is across the seam beside elsewhere in it."""
    inside = region("centre", 64, 64)[0, 0] >= FULL
    mask = held(Image.fromarray((inside * 255).byte().numpy()))
    exact, seams, others = [], [], []
    for k, picture in enumerate(bare):
        image = Image.fromarray(((picture + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())
        batch = pictures(Recipe(guides=Hold(held(image), mask), seed=100 + k), 1)
        exact.append(torch.equal(batch[0][:, inside], picture[:, inside]))
        steps, across = batch.diff(dim=3).abs().mean(1)[0], inside[:, 1:] != inside[:, :-1]
        seams.append(steps[across].mean())
        others.append(steps[~across & (inside[:, 1:] | inside[:, :-1]).any(1, keepdim=True)].quantile(0.95))
    seam, other = torch.stack(seams).mean(), torch.stack(others).mean()
    print(f"\nHeld to the last bit: {sum(exact)} of {len(exact)}; mean step across the seam {seam:.3f}, "
          f"19 of 20 steps elsewhere in the same rows are under {other:.3f}")  # fmt: skip


def evaluate(out: Path, count: int = 40, seeds: int = 4) -> None:
    """Print the tables of blends, palettes, sketches and held pixels, and save a sheet of blends."""
    judge = catalogue.judge()
    bare = pictures(Recipe(), 4 * seeds)
    holds(bare)
    palettes(bare)
    sketches(bare)
    together(out, judge, metrics.features(judge, data(2048, skip=2048)), count, seeds)
