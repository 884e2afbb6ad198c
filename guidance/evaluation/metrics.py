"""Measures of pictures: distance to the data, the judge's confidence, colour distance and contrast; tables of them."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from guidance.atomic import written
from guidance.cielab import lab
from guidance.models.attributes import ATTRIBUTES, LANDS, TIMES


def features(network: nn.Module, pictures: Tensor) -> Tensor:
    """The judge's features of pictures (N, 3, H, W) in [-1, 1]: (N, 256)."""
    with torch.no_grad():
        return torch.cat([network.features(part) for part in pictures.split(256)])


def kid(first: Tensor, second: Tensor) -> float:
    """The kernel distance between two sets of features (N, D) and (M, D): 0 for the same distribution.

    The unbiased squared MMD with the cubic kernel of Binkowski et al. 2018 (arXiv:1801.01401), times 1,000, on features
    scaled so that a coordinate of `second`, the data, has a mean square of 1.
    """
    scale = second.square().mean().sqrt()
    x, y = first.double() / scale, second.double() / scale
    within = [(a @ a.T / a.shape[1] + 1) ** 3 for a in (x, y)]
    same = [(k.sum() - k.diagonal().sum()) / (len(k) * (len(k) - 1)) for k in within]
    return 1000 * (same[0] + same[1] - 2 * ((x @ y.T / x.shape[1] + 1) ** 3).mean()).item()


def confidence(network: nn.Module, pictures: Tensor) -> float:
    """How sure the judge is that a picture shows some land at some time of day, in [0, 1]: the mean over pictures."""
    with torch.no_grad():
        chances = torch.cat([network(part) for part in pictures.split(256)]).sigmoid()
    groups = [chances[:, [ATTRIBUTES.index(name) for name in group]].amax(1) for group in (LANDS, TIMES)]
    return (groups[0] * groups[1]).mean().item()


def contrast(pictures: Tensor) -> float:
    """The standard deviation over the pixels of each channel of each picture, in units of [0, 1]: the mean."""
    return (pictures.std((2, 3), correction=0) / 2).mean().item()


def color_distance(pictures: Tensor, target: Tensor) -> Tensor:
    """CIE 1976 distance of each picture's mean colour, pictures (N, 3, H, W), from target (1, 3, 1, 1): (N,)."""
    mean = (pictures.clamp(-1, 1).mean((2, 3)) + 1) / 2
    return (lab(mean.double()) - lab(target.view(1, 3).double() / 2 + 0.5)).norm(dim=1)


def frechet(first: Tensor, second: Tensor) -> float:
    """The Frechet distance of two Gaussians fitted to features (N, D) and (M, D) (Heusel et al., arXiv:1706.08500)."""
    x, y = first.double(), second.double()
    a, b = x.T.cov(), y.T.cov()
    # The trace of a matrix's square root is the sum of the roots of its eigenvalues, which a b has real.
    root = torch.linalg.eigvals(a @ b).real.clamp_min(0).sqrt().sum()
    return ((x.mean(0) - y.mean(0)).square().sum() + a.trace() + b.trace() - 2 * root).item()


def coverage(made: Tensor, known: Tensor, neighbours: int = 5) -> float:
    """The share of `known` (N, D) with one of `made` (M, D) nearer than their fifth neighbour (arXiv:2002.09797)."""
    parts = known.split(1000)
    radii = [torch.cdist(part, known).kthvalue(neighbours + 1, dim=1).values for part in parts]  # the first is itself
    near = [torch.cdist(part, made).amin(1) <= radius for part, radius in zip(parts, radii, strict=True)]
    return torch.cat(near).float().mean().item()


class Table:
    """Rows of the same keys; each is printed as Markdown at once, with `digits` digits, and all are kept as JSON."""

    def __init__(self, path: Path, digits: int = 3):
        self.path, self.digits, self.rows = path, digits, list[dict]()
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, row: dict) -> None:
        """Print and keep one more row."""
        self.rows.append(row)
        if len(self.rows) == 1:
            print("| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|")
        cells = [f"{value:.{self.digits}g}" if isinstance(value, float) else str(value) for value in row.values()]
        print("| " + " | ".join(cells) + " |", flush=True)
        with written(self.path) as part:
            part.write_text(json.dumps(self.rows, indent=1))
