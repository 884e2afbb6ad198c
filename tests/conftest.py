"""Fixtures for every test."""

import pytest


@pytest.fixture(autouse=True)
def fresh_accelerator():
    """Accelerate keeps the precision of a process's first training for all later ones; tests have several."""
    yield
    import sys

    if state := sys.modules.get("accelerate.state"):
        state.AcceleratorState._reset_state()
