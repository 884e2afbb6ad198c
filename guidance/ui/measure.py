"""Colours as eyes see them: the mean of a picture, and how far two colours lie apart."""

from PIL import Image, ImageStat

# Linear sRGB to XYZ, each row over its D65 white (IEC 61966-2-1).
XYZ = ((0.4339, 0.3762, 0.1899), (0.2126, 0.7152, 0.0722), (0.0178, 0.1095, 0.8727))


def mean(image: Image.Image) -> str:
    """The mean colour of a picture as "#rrggbb"."""
    return "#" + "".join(f"{round(channel):02x}" for channel in ImageStat.Stat(image.convert("RGB")).mean)


def lab(color: str) -> tuple[float, float, float]:
    """The colour "#rrggbb" in CIELAB (CIE 15:2004)."""
    channels = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    shares = [sum(weight * c for weight, c in zip(row, linear, strict=True)) for row in XYZ]
    x, y, z = (s ** (1 / 3) if s > 216 / 24389 else (24389 / 27 * s + 16) / 116 for s in shares)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def delta_e(a: str, b: str) -> float:
    """The distance of two colours in CIELAB (CIE 1976): about 2 can just be seen, 100 is black to white."""
    return sum((p - q) ** 2 for p, q in zip(lab(a), lab(b), strict=True)) ** 0.5
