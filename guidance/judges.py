"""What independent networks see in finished pictures; they never guide."""

import torch
from PIL import Image

from guidance.frame import to_pixels
from guidance.models import catalogue


def read_digits(pictures: list[Image.Image]) -> list[tuple[int, float]]:
    """What an independent network reads in pictures of digits: (digit, confidence in [0, 1]) for each."""
    network = catalogue.digit_judge()
    x = to_pixels(pictures).to(next(network.parameters()).device) / 127.5 - 1
    with torch.no_grad():
        confidence, digits = torch.cat([network(part) for part in x.split(256)]).softmax(1).max(1)
    return list(zip(digits.tolist(), confidence.tolist(), strict=True))
