"""Poster landscapes painted from integer seeds, with the boolean attributes that describe each one.

Only additions, products, quotients, roots and comparisons touch a pixel, never exp or sin: those round alike in
every batch, so a picture is the same bit for bit alone or beside others.
"""

from functools import reduce

import torch
from torch import Tensor

from guidance.models.attributes import ATTRIBUTES, LANDS, TIMES, TONES
from guidance.training.lands import PAINTERS
from guidance.training.scene import Scene, draw, mix, noise

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
    colours = {}
    for role in PALETTE["dawn"]:
        table = torch.tensor([PALETTE[time][role] for time in TIMES], device=seeds.device)  # time, variant, channel
        chosen = sum(true[time] * table[number].view(1, 2, 3, 1) for number, time in enumerate(TIMES))
        colours[role] = mix(chosen[:, 0:1], chosen[:, 1:2], draw(seeds, 100)).transpose(1, 2)
    scene = Scene(seeds, size, centres.view(1, 1, 1, -1), centres.view(1, 1, -1, 1), true, colours,
                  draw(seeds, 99, 0.18, 0.82))
    layers = PAINTERS[land](scene)
    image = sky(scene, reduce(torch.maximum, [cover for cover, _, _ in layers]))
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
