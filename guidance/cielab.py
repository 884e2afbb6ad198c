"""Colours as eyes see them: CIELAB."""

import numpy
from PIL import Image, ImageStat

# Linear sRGB to XYZ, and the white D65 there (IEC 61966-2-1).
XYZ = numpy.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = numpy.array([0.95047, 1.0, 1.08883])


def lab(rgb: numpy.ndarray) -> numpy.ndarray:
    """sRGB colours (..., 3) in [0, 1] to CIELAB under D65 (CIE 15:2004)."""
    rgb = numpy.asarray(rgb, dtype=float)
    linear = numpy.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clip(0) + 0.055) / 1.055) ** 2.4)
    xyz = linear @ XYZ.T / WHITE
    f = numpy.where(xyz > (6 / 29) ** 3, numpy.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = numpy.moveaxis(f, -1, 0)
    return numpy.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def mean(image: Image.Image) -> str:
    """The mean colour of a picture as "#rrggbb"."""
    return "#" + "".join(f"{round(channel):02x}" for channel in ImageStat.Stat(image.convert("RGB")).mean)


def delta_e(a: str, b: str) -> float:
    """The distance of two colours "#rrggbb" (CIE 1976): about 2 can just be seen, 100 is black to white."""
    first, second = (lab([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]) for color in (a, b))
    return float(numpy.linalg.norm(first - second))
