"""The five lands of the painted landscapes."""

import torch
from torch import Tensor

from guidance.training.scene import Scene, draw, mix, noise

# A land is a list of layers from far to near: (coverage, colour, height of the mist at its foot or None).
Layer = tuple[Tensor, Tensor, Tensor | None]


def mountains(scene: Scene) -> list[Layer]:
    """Peaks with a lit and a shaded face before a far range, behind foothills."""
    x, y, snow = scene.x, scene.y, scene.true["snow"]
    foot = mix(scene.draw(20, 0.72, 0.80), 0.70, scene.true["lake"])
    rock = mix(scene.colour(.34, .40, .54), scene.colour(.56, .42, .38), scene.draw(21))
    white = scene.colour(1.15, 1.3, 1.4)  # above one, so that snow stays pale in coloured light
    far = foot - 0.14 - 0.20 * scene.ridge(30, 4, 3, sharp=True)
    layers = [(scene.edge(y - far), scene.lit(mix(rock, white, 0.6 * snow), 0.62), foot - 0.14)]
    main = scene.draw(22, 0.30, 0.70)
    side = torch.where(scene.draw(23) < 0.5, -1.0, 1.0)
    for number, (middle, low, high, haze) in enumerate(
            ((main - 0.42 * side, .42, .50, .42), (main + 0.36 * side, .38, .46, .30), (main, .26, .33, .12))):
        channel = 40 + 10 * number
        peak = middle + scene.draw(channel, -0.05, 0.05)
        top = scene.draw(channel + 1, low, high)
        away = (x - peak).abs()
        jag = (scene.ridge(channel + 2, 11, 2, sharp=True) - 0.6) * 0.10 * (away * 8).clamp(max=1)
        fall = y - top
        crease = 0.14 * (noise(scene.seeds, channel + 6, y * 11) - 0.5) * (fall * 6).clamp(0, 1)
        spine = peak + fall * scene.draw(channel + 5, -0.25, 0.25) + crease
        light = scene.edge((spine - x) * torch.where(scene.body_x < peak, 1.0, -1.0))
        cap = scene.draw(channel + 7, 0.14, 0.20) + 0.16 * (noise(scene.seeds, channel + 8, x * 15) - 0.5)
        colour = mix(scene.lit(rock, haze, light), scene.lit(white, haze / 2, light), scene.edge(cap - fall) * snow)
        cover = scene.edge((fall - away * scene.draw(channel + 9, 0.85, 1.25) + jag) * 0.8)
        layers.append((cover, colour, foot - 0.04 if number == 2 else None))
    green = mix(scene.colour(.20, .44, .28), scene.colour(.42, .48, .22), scene.draw(24))
    for number, (drop, haze) in enumerate(((0.0, .22), (.13, .0))):
        line = foot + drop * (1 - 0.85 * scene.true["lake"]) - (0.09 - 0.03 * scene.true["lake"]) * scene.ridge(
            80 + 5 * number, 3, 3)
        base = mix(green * (1 - 0.25 * number), scene.colour(0.92, 1.05, 1.25), snow)
        # Snow shades off downward, so that drifts, and mist before them, stand out.
        light = mix(0.75, (0.95 - (y - line) * 7).clamp(-0.1, 1), snow)
        layers.append((scene.edge(y - line), scene.lit(base, haze, light), foot + 0.09 if number == 0 else None))
    return layers


def hills(scene: Scene) -> list[Layer]:
    """Rolling layers, each bright at its crest and darker at its foot."""
    layers, snow = [], scene.true["snow"]
    green = mix(scene.colour(.30, .62, .30), scene.colour(.66, .72, .26), scene.draw(20))
    deep = mix(scene.colour(.06, .32, .26), scene.colour(.20, .38, .14), scene.draw(21))
    white, pale = scene.colour(1.0, 1.08, 1.2), scene.colour(.74, .90, 1.14)
    start = scene.draw(22, 0.46, 0.54)
    step = mix(scene.draw(23, 0.11, 0.14), (0.72 - start) / 4, scene.true["lake"])
    for number, haze in enumerate((.50, .28, .12, .0)):
        swell = (0.17 - 0.015 * number) * mix(1.0, 0.8, scene.true["lake"])
        line = start + step * number + swell * (scene.ridge(30 + 5 * number, 2.2, 2) - 0.5)
        base = mix(mix(green, deep, number / 3), mix(white, pale, number / 3), snow)
        light = (1.05 - (scene.y - line) * mix(5.5, 10.0, snow)).clamp(-0.1, 1)
        layers.append((scene.edge(scene.y - line), scene.lit(base, haze, light),
                       line + step * 0.95 if number < 3 else None))
    return layers


def desert(scene: Scene) -> list[Layer]:
    """Sharp-crested dunes with a lit and a shaded slope, often mesas behind, often a cactus in front."""
    x, y = scene.x, scene.y
    sand = mix(scene.colour(.98, .80, .50), scene.colour(.94, .60, .36), scene.draw(20))
    start = scene.draw(21, 0.56, 0.62)
    plateau = ((noise(scene.seeds, 22, x * 4.5) - 0.52) * 14).clamp(0, 1)
    mesa = start + 0.04 - 0.20 * plateau - 0.02 * scene.ridge(23, 5, 2)
    mesa = torch.where(scene.draw(24) < 0.5, mesa, start - 0.05 * scene.ridge(25, 2, 2))
    layers = [(scene.edge(y - mesa), scene.lit(scene.colour(.80, .42, .32), 0.45), None),
              (scene.edge(y - start), scene.lit(sand, 0.35), None)]
    first = torch.where(scene.draw(26) < 0.5, 0.22, 0.78)
    for number, haze in enumerate((.22, .10, .0)):
        channel = 40 + 10 * number
        peak = (first if number != 1 else 1 - first) + scene.draw(channel, -0.12, 0.12)
        top = start + (-0.03, 0.08, 0.22)[number] + scene.draw(channel + 1, -0.02, 0.02)
        across = (x - peak) / torch.where(x < peak, scene.draw(channel + 2, .5, .9), scene.draw(channel + 3, .5, .9))
        reach = (1 - across.abs()).clamp(min=0)
        line = top + 0.20 * (1 - reach * reach)
        fall = (y - top).clamp(min=0)
        spine = peak + fall * (scene.draw(channel + 4, -1.0, 1.0) + fall * scene.draw(channel + 5, -3.0, 3.0))
        light = scene.edge((spine - x) * torch.where(scene.body_x < peak, 1.0, -1.0) * 0.6)
        layers.append((scene.edge(y - line), scene.lit(sand, haze, mix(0.12, 1.0, light)), None))
    stem, foot, tall = scene.draw(27, 0.15, 0.85), scene.draw(28, 0.84, 0.92), scene.draw(29, 0.10, 0.14)
    cactus = scene.capsule(stem, foot - tall, 0, tall, 0.020)
    for arm, rise in ((-1, 0.9), (1, 1.2)):
        joint = foot - tall * rise
        cactus = torch.maximum(cactus, scene.capsule(stem + arm * 0.028, joint, 0.028, 0, 0.013))
        cactus = torch.maximum(cactus, scene.capsule(stem + arm * 0.056, joint - 0.035, 0, 0.035, 0.013))
    colour = scene.lit(scene.colour(.14, .40, .26), 0.0, 0.5)
    return [*layers, (cactus * (scene.draw(30) < 0.65), colour, None)]


def sea(scene: Scene) -> list[Layer]:
    """A level horizon, streaks of waves, a glitter path below sun or moon, and perhaps a sailboat."""
    x, y, true = scene.x, scene.y, scene.true
    horizon = scene.draw(20, 0.52, 0.62)
    depth = ((y - horizon) / (1 - horizon)).clamp(0, 1)
    water = scene.lit(mix(scene.colour(.10, .56, .62), scene.colour(.06, .40, .62), scene.draw(21)), 0.0)
    water = mix(water, scene.colours["middle"], 0.22)
    colour = mix(mix(water, scene.colours["low"], 0.45), water * 0.62, depth.sqrt())
    rows = depth.sqrt() * 11
    row = rows.floor()
    cell, within = row.long(), rows - row
    streak = (1.6 - (within - 0.5).abs() * 5).clamp(0, 1)  # a bar in the middle of each row
    for channel in (22, 24):
        middle, half = draw(scene.seeds, channel, cell=cell), draw(scene.seeds, channel + 1, .06, .20, cell)
        colour = mix(colour, scene.colours["low"], streak * scene.edge((half - (x - middle).abs()) * 0.5) * 0.38)
    half = 0.015 + 0.05 * depth + draw(scene.seeds, 26, 0.0, 0.07, cell)
    glitter = streak * scene.edge((half - (x - scene.body_x - draw(scene.seeds, 27, -.03, .03, cell)).abs()) * 0.6)
    shine = mix(scene.colours["low"], scene.colour(1., .97, .84), 0.75)
    colour = mix(colour, shine, glitter * (true["sun"] + true["moon"]) * 0.9)
    water = scene.edge(y - horizon)
    layers = [(water, colour, horizon + 0.05), (water * 0, colour, horizon + 0.26)]  # the second carries mist only
    # The boat keeps clear of the glitter, at the other half of the picture.
    middle = torch.where(scene.body_x > 0.5, scene.draw(28, .18, .34), scene.draw(28, .66, .82))
    line, tall = horizon + scene.draw(29, 0.14, 0.26), scene.draw(30, 0.17, 0.21)
    side, right, rise = torch.where(scene.draw(31) < 0.5, -1.0, 1.0), x - middle, line - y
    right = right * side
    above = scene.edge(rise - 0.028)
    main = scene.edge(right - 0.006) * scene.edge((tall - rise) * 0.50 - right) * above
    jib = scene.edge(-right - 0.008) * scene.edge((tall * 0.85 - rise) * 0.42 + right) * above
    hull = scene.edge(rise + 0.015) * scene.edge(0.018 - rise) * scene.edge(0.075 + rise * 0.9 - right.abs())
    sail = mix(scene.colours["cloud"], scene.colour(1., .97, .9), 0.6)
    return [*layers, ((main + jib).clamp(max=1) * true["boat"], sail, None),
            (hull * true["boat"], scene.lit(scene.colour(.50, .14, .12), 0.0, 0.3), None)]


def forest(scene: Scene) -> list[Layer]:
    """Rows of conifers, larger and darker toward the front, on sloping ground."""
    x, y, snow = scene.x, scene.y, scene.true["snow"]
    pine = mix(scene.colour(.12, .42, .34), scene.colour(.22, .44, .20), scene.draw(20))
    white = scene.colour(1.0, 1.12, 1.25)
    start = scene.draw(21, 0.56, 0.62)
    back = start - 0.04 - 0.16 * scene.ridge(30, 2.5, 3)
    windward = torch.where(scene.draw(23) < 0.5, -1.0, 1.0)  # the side of every tree that snow clings to
    layers = [(scene.edge(y - back), scene.lit(mix(pine, white, 0.7 * snow), 0.66), start)]
    step = mix(scene.draw(22, 0.12, 0.15), (0.70 - start) / 2, scene.true["lake"])
    for number, (haze, tall, count) in enumerate(((.46, .15, 15), (.24, .24, 10), (.0, .36, 7))):
        ground = start + step * number + 0.10 * (scene.ridge(40 + 20 * number, 1.5, 1) - 0.5) * (
            1 - 0.6 * scene.true["lake"])
        earth = mix(pine * mix(1.25, 0.7, number / 2), white, snow)
        cover, colour = scene.edge(y - ground), scene.lit(earth, haze, 0.9 - 0.2 * number)
        for shift in (0.0, 0.5):
            channel = 42 + 20 * number + int(shift * 16)
            place = x * count + shift + scene.draw(channel)
            cell = place.floor().long() + 64
            aside = (place - place.floor() - 0.5 - draw(scene.seeds, channel + 1, -.2, .2, cell)) / count
            height = tall * draw(scene.seeds, channel + 2, 0.55, 1.0, cell) * mix(1.0, 0.8, scene.true["lake"])
            # The front row leaves a clearing, so that the rows behind can be seen.
            if number == 2:
                height = height * (draw(scene.seeds, channel + 3, cell=cell) < 0.6)
            down = (y - ground + height - 0.02) / height.clamp(min=0.01)
            tier = down * 4 - (down * 4).floor()
            half = height * 0.25 * (0.55 * down + 0.45 * down.clamp(0, 1).sqrt() * tier)
            tree = scene.edge(half - aside.abs()) * scene.edge(down * height) * (down < 1.05) * (height > 0)
            needles = scene.lit(pine * mix(1.0, 0.55, number / 2), haze, 0.85 - 0.5 * shift)
            frosted = mix(needles, scene.lit(white, haze * 0.5), 0.36)
            colour = mix(colour, mix(needles, frosted, snow * scene.edge(-aside * windward)), tree)
            cover = torch.maximum(cover, tree)
        layers.append((cover, colour, ground - 0.01 if number < 2 else None))
    return layers


PAINTERS = {"mountains": mountains, "hills": hills, "desert": desert, "sea": sea, "forest": forest}
