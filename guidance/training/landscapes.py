"""Poster landscapes painted from integer seeds, with the boolean attributes that describe each one.

Only additions, products, quotients, roots and comparisons touch a pixel, never exp or sin: those round alike in
every batch, so a picture is the same bit for bit alone or beside others.
"""

import torch
from torch import Tensor

from guidance.training.brushes import Scene, draw, mix, noise

TIMES = ("dawn", "noon", "sunset", "night")
LANDS = ("mountains", "hills", "desert", "sea", "forest")
FEATURES = ("snow", "sun", "moon", "stars", "clouds", "lake", "boat", "aurora", "mist")
TONES = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink")
ATTRIBUTES: tuple[str, ...] = TIMES + LANDS + FEATURES + TONES

# Each colour of a time of day has two variants; a picture takes its own mixture of them.
PALETTE = {
    "dawn": {"top": ((.38, .60, .84), (.52, .58, .86)), "middle": ((.88, .78, .84), (.96, .70, .76)),
             "low": ((.99, .72, .56), (1., .80, .60)), "light": ((1., .90, .84), (1., .86, .82)),
             "shade": ((.58, .56, .72), (.60, .54, .70)), "cloud": ((1., .97, .95), (1., .95, .92))},
    "noon": {"top": ((.10, .40, .80), (.06, .48, .78)), "middle": ((.36, .67, .92), (.40, .75, .90)),
             "low": ((.80, .92, .96), (.93, .96, .88)), "light": ((1., 1., .96), (1., .98, .90)),
             "shade": ((.58, .66, .78), (.60, .66, .72)), "cloud": ((1., 1., 1.), (1., .99, .96))},
    "sunset": {"top": ((.22, .11, .38), (.34, .12, .36)), "middle": ((.78, .25, .36), (.90, .34, .26)),
               "low": ((1., .62, .22), (1., .76, .36)), "light": ((.92, .52, .42), (.90, .46, .36)),
               "shade": ((.36, .22, .38), (.38, .20, .32)), "cloud": ((1., .66, .52), (1., .58, .48))},
    "night": {"top": ((.015, .03, .10), (.03, .02, .11)), "middle": ((.04, .08, .21), (.08, .06, .23)),
              "low": ((.13, .24, .42), (.25, .20, .45)), "light": ((.42, .50, .74), (.46, .48, .72)),
              "shade": ((.15, .20, .38), (.17, .18, .38)), "cloud": ((.45, .51, .68), (.49, .48, .68))},
}
TONE_COLOURS = ((.86, .10, .12), (.95, .46, .06), (.95, .80, .10), (.16, .62, .22),
                (.04, .58, .56), (.10, .32, .90), (.48, .18, .78), (.97, .40, .66))


def attributes(seeds: Tensor) -> Tensor:
    """What each picture holds: seeds (B,) int64 to (B, len(ATTRIBUTES)) bool, columns in the order of ATTRIBUTES."""
    def chance(channel: int, probability: float) -> Tensor:
        return draw(seeds, channel) < probability

    time, land = (draw(seeds, 0) * 4).long(), (draw(seeds, 1) * 5).long()
    mountains, hills, _, sea, forest = (land == number for number in range(5))
    night, wooded = time == 3, mountains | hills | forest
    features = (wooded & chance(2, 0.4), ~night & chance(3, 0.6), night & chance(4, 0.6), night & chance(5, 0.6),
                chance(6, 0.45), wooded & chance(7, 0.4), sea & chance(8, 0.55), night & chance(9, 0.42),
                (wooded | sea) & chance(10, 0.3))
    # Tones are the first eight of twenty equal slots: five pictures in a hundred each.
    tone = (draw(seeds, 11) * 20).long()
    columns = [time == number for number in range(4)] + [land == number for number in range(5)]
    return torch.stack([*columns, *features, *(tone == number for number in range(8))], dim=1)


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


def sky(scene: Scene, land: Tensor) -> Tensor:
    """The sky alone (B, 3, size, size), its sun or moon lifted clear of the land (B, 1, size, size coverage)."""
    x, y, true, colours = scene.x, scene.y, scene.true, scene.colours
    split = scene.draw(101, 0.26, 0.36)
    upper, lower = (y / split).clamp(0, 1), ((y - split) / (0.62 - split)).clamp(0, 1)
    image = mix(mix(colours["top"], colours["middle"], upper), colours["low"], lower)
    image = image.expand(-1, -1, -1, scene.size)
    # Stars: one in each cell of a 7 by 5 grid over the upper sky, as small tents of light.
    number = torch.arange(35, device=x.device).view(1, -1, 1, 1)
    star_x = (number % 7 + draw(scene.seeds, 102, 0.1, 0.9, number)) / 7
    star_y = (number // 7 + draw(scene.seeds, 103, 0.1, 0.9, number)) * 0.1 + 0.01
    reach = draw(scene.seeds, 104, 0.9, 1.6, number) / 64
    tents = (1 - (x - star_x).abs() / reach).clamp(min=0) * (1 - (y - star_y).abs() / reach).clamp(min=0)
    image = mix(image, 1.0, (tents.amax(1, keepdim=True) * 1.5).clamp(max=1) * true["stars"])
    for curtain in (0, 1):
        base = scene.draw(105 + curtain, 0.26, 0.34) + 0.12 * curtain
        base = base + 0.24 * (noise(scene.seeds, 107 + curtain, x * 3 + scene.draw(109)) - 0.5)
        height = (base - y) / scene.draw(110 + curtain, 0.22, 0.32)
        rays = 0.55 + 0.45 * noise(scene.seeds, 112 + curtain, x * 13)
        glow = (height * 9).clamp(0, 1) * (1 - height).clamp(0, 1) * rays
        hue = mix(scene.colour(.15, .95, .55), scene.colour(.60, .25, .90), height.clamp(0, 1))
        image = image + hue * glow * true["aurora"] * (0.85 - 0.2 * curtain)
    # Sun and moon: low at dawn and sunset, half sunk at most a little; high otherwise, clear of every peak.
    low = true["dawn"] + true["sunset"]
    radius = scene.draw(114, 0.060, 0.075) + 0.012 * true["sunset"]
    column = (x - scene.body_x).abs() < radius * 1.1
    skyline = torch.where((land > 0.4) & column, y, 1.0).amin((2, 3), keepdim=True)
    wanted = mix(scene.draw(115, 0.12, 0.20), 0.60, low)
    body_y = torch.minimum(wanted, skyline - radius * mix(1.3, 0.45, low)).clamp(min=0.09)
    distance = ((x - scene.body_x) ** 2 + (y - body_y) ** 2) / (radius * radius)
    bright = true["sun"] + true["moon"]
    shine = mix(colours["low"], scene.colour(1., .97, .82), mix(0.8, 0.55, low))
    halo = 1 / (1 + distance * mix(0.16, 0.10, low))
    image = mix(image, shine, halo * bright * (0.45 + 0.10 * true["dawn"] + 0.35 * true["sunset"]))
    image = clouds(scene, image)
    disc = scene.capsule(scene.body_x, body_y, 0, 0, radius)
    bite = scene.capsule(scene.body_x + 0.65 * radius, body_y - 0.25 * radius, 0, 0, radius * 0.95)
    disc = disc * (1 - bite * true["moon"] * (scene.draw(116) < 0.5))
    return mix(image, mix(shine, scene.colour(1., .99, .90), 0.85), disc * bright).clamp(0, 1)


def clouds(scene: Scene, image: Tensor) -> Tensor:
    """Three clouds per picture, flat-based puffs or stacked streaks, spread to the sides of sun or moon."""
    puffy = scene.draw(120) < 0.6
    for number, apart in enumerate((0.30, 0.52, 0.74)):
        channel = 121 + 12 * number
        middle = scene.body_x + apart + scene.draw(channel, -0.06, 0.06)
        middle = middle - middle.floor()
        base = scene.draw(channel + 1, 0.15, 0.20) + (0.0, 0.10, 0.03)[number]
        scale = scene.draw(channel + 2, 0.85, 1.3)
        puffs = scene.capsule(middle, base - 0.015 * scale, 0.12 * scale, 0, 0.03 * scale)
        for part, (offset, width) in enumerate(((-.09, .05), (-.02, .075), (.07, .06))):
            width = width * scale * scene.draw(channel + 3 + part, 0.8, 1.15)
            puffs = torch.maximum(puffs, scene.capsule(middle + offset * scale, base - 0.02, 0, 0, width))
        puffs = puffs * scene.edge(base - scene.y)
        streaks = torch.zeros_like(puffs)
        for part, rise in enumerate((0.0, 0.045, 0.09)):
            slide, half = scene.draw(channel + 6 + part, -.12, .12), scene.draw(channel + 9 + part, .08, .17)
            streaks = torch.maximum(streaks, scene.capsule(middle + slide, base - rise, half * scale, 0, 0.017))
        under = mix(scene.colours["cloud"], scene.colours["middle"], 0.45)
        colour = mix(scene.colours["cloud"], under, ((scene.y - base) / 0.05 + 1).clamp(0, 1))
        image = mix(image, colour, torch.where(puffy, puffs, streaks) * scene.true["clouds"] * 0.95)
    return image


def mirrored(scene: Scene, image: Tensor) -> Tensor:
    """The picture with a lake in its foreground where it has one: the flipped scene, darker, with ripples."""
    shore = (scene.draw(160, 0.70, 0.74) * scene.size).floor()
    row = torch.arange(scene.size, device=image.device).view(1, 1, -1, 1)
    # Rows below the shore look up more than one row each, so that the high peaks show too.
    source = (shore - 1 - ((row - shore) * 1.5).floor()).clamp(0, scene.size - 1).long()
    flipped = image.gather(2, source.expand(image.shape))
    depth = ((row - shore) / (scene.size - shore)).clamp(0, 1)
    flipped = mix(flipped * 0.72, scene.lit(scene.colour(.16, .36, .48), 0.0), 0.18 + 0.14 * depth)
    for number in range(5):
        channel, place = 161 + 3 * number, shore / scene.size + 0.025 + 0.052 * number
        half = scene.draw(channel, 0.08, 0.2)
        place = place + scene.draw(channel + 2, 0, 0.02)
        ripple = scene.capsule(scene.draw(channel + 1, 0.1, 0.9), place, half, 0, 0.007)
        flipped = mix(flipped, scene.colours["low"], ripple * 0.5)
    rim = (row == shore).float() * 0.5  # one pale row where water meets land
    flipped = mix(flipped, scene.colours["low"], rim)
    return torch.where((row >= shore) & (scene.true["lake"] > 0), flipped, image)


def graded(scene: Scene, image: Tensor) -> Tensor:
    """The picture printed in its tone, a ramp of luminance from a dark shade over the hue to a light tint."""
    image = image.clamp(0, 1)
    # A little more contrast by day.
    image = mix(image, image * image * (3 - 2 * image), 0.4 - 0.4 * scene.true["night"])
    hue = torch.zeros_like(scene.colours["low"])
    for name, rgb in zip(TONES, TONE_COLOURS, strict=True):
        hue = hue + scene.colour(*rgb) * scene.true[name]
    luminance = 0.30 * image[:, 0:1] + 0.55 * image[:, 1:2] + 0.15 * image[:, 2:3]
    pivot = 0.62  # the luminance that prints as the pure hue
    ramp = mix(mix(hue * 0.10, hue, (luminance / pivot).clamp(max=1)), mix(hue, 1.0, 0.80),
               ((luminance - pivot) / (1 - pivot)).clamp(min=0))
    toned = sum(scene.true[name] for name in TONES)
    return mix(image, ramp, toned * scene.draw(180, 0.80, 0.90))


def compose(seeds: Tensor, land: str, size: int) -> Tensor:
    """Pictures of one land: seeds (B,) to (B, 3, size, size) in [0, 1]."""
    truths = attributes(seeds).float().view(len(seeds), -1, 1, 1)
    true = {name: truths[:, column : column + 1] for column, name in enumerate(ATTRIBUTES)}
    seeds = seeds.view(-1, 1, 1, 1)
    centres = (torch.arange(size, device=seeds.device) + 0.5) / size
    variants = {role: torch.tensor([PALETTE[time][role] for time in TIMES], device=seeds.device) for role in
                PALETTE["dawn"]}
    colours = {}
    for role, table in variants.items():  # table: (time, variant, colour channel)
        chosen = sum(true[time] * table[number].view(1, 2, 3, 1) for number, time in enumerate(TIMES))
        colours[role] = mix(chosen[:, 0:1], chosen[:, 1:2], draw(seeds, 100)).transpose(1, 2)
    scene = Scene(seeds, size, centres.view(1, 1, 1, -1), centres.view(1, 1, -1, 1), true, colours,
                  draw(seeds, 99, 0.18, 0.82))
    layers = PAINTERS[land](scene)
    covered = layers[0][0]
    for cover, _, _ in layers:
        covered = torch.maximum(covered, cover)
    image = sky(scene, covered)
    pale = mix(colours["cloud"], colours["low"], 0.3)
    for number, (cover, colour, foot) in enumerate(layers):
        image = mix(image, colour, cover)
        if foot is not None:
            waver = 0.05 * (noise(seeds, 190 + number, scene.x * 3) - 0.5)
            band = (1.3 - (scene.y - foot - waver).abs() / 0.06).clamp(0, 1)
            image = mix(image, pale, band * band * (3 - 2 * band) * true["mist"] * 0.9)
    return graded(scene, mirrored(scene, image)).clamp(0, 1)


def paint(seeds: Tensor, size: int = 64) -> Tensor:
    """Landscapes: seeds (B,) int64 to (B, 3, size, size) float32 in [-1, 1], each a function of its seed alone."""
    images = torch.empty(len(seeds), 3, size, size, device=seeds.device)
    truths = attributes(seeds)
    for land in LANDS:
        chosen = truths[:, ATTRIBUTES.index(land)].nonzero()[:, 0]
        if len(chosen):
            images[chosen] = compose(seeds[chosen], land, size) * 2 - 1
    return images
