"""The measures against known values."""

import pytest
import torch

from guidance.evaluation import metrics


def test_lab_of_known_colours():
    known = {(1, 1, 1): (100, 0, 0), (1, 0, 0): (53.24, 80.09, 67.20), (0, 0, 1): (32.30, 79.19, -107.86),
             (0, 0, 0): (0, 0, 0), (0.5, 0.5, 0.5): (53.39, 0, 0)}  # fmt: skip
    for rgb, expected in known.items():
        measured = metrics.lab(torch.tensor(rgb, dtype=torch.float64))
        assert torch.allclose(measured, torch.tensor(expected).double(), atol=0.05)


def test_kid_is_nothing_between_halves_and_grows_with_a_shift():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 800, 16, generator=generator)
    assert abs(metrics.kid(first, second)) < 5
    assert metrics.kid(first + 0.5, second) > metrics.kid(first + 0.2, second) > 10


def test_color_distance_and_contrast():
    flat = torch.full((2, 3, 4, 4), 1.0)
    assert metrics.color_distance(flat, torch.full((1, 3, 1, 1), 1.0)).tolist() == pytest.approx([0, 0], abs=1e-3)
    assert metrics.contrast(flat) == 0
    flat[:, :, :2] = -1
    assert metrics.contrast(flat) == pytest.approx(0.5)
