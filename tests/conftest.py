"""Fixtures for every test."""

import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has its share of the cores, and so have the processes it starts
    share = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ["OMP_NUM_THREADS"] = str(max(1, share))  # read by torch, which is not imported yet


@pytest.fixture(autouse=True)
def fresh_accelerator():
    """Accelerate keeps the precision of a process's first training for all later ones; tests have several."""
    yield
    import sys

    if state := sys.modules.get("accelerate.state"):
        state.AcceleratorState._reset_state()
