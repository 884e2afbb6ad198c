"""Fixtures for every test."""

import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has its share of the cores, and so have the processes it starts
    share = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ["OMP_NUM_THREADS"] = str(max(1, share))  # read by torch, which is not imported yet


SLOW = tuple((Path(__file__).parent / "slow.txt").read_text().split())  # what their names begin with


def pytest_addoption(parser):
    """Tests that take long are left out unless they are asked for."""
    parser.addoption("--slow", action="store_true", help="run the tests that take long, and no others")


def pytest_collection_modifyitems(config, items):
    """Those that take long, or all others; a test that is named is run whatever it is."""
    if any("::" in argument for argument in config.args):
        return
    parts = {True: [], False: []}
    for item in items:
        parts[item.nodeid.removeprefix("tests/").startswith(SLOW)].append(item)
    config.hook.pytest_deselected(items=parts[not config.getoption("--slow")])
    items[:] = parts[config.getoption("--slow")]


@pytest.fixture(autouse=True)
def fresh_accelerator():
    """Accelerate keeps the precision of a process's first training for all later ones; tests have several."""
    yield
    import sys

    if state := sys.modules.get("accelerate.state"):
        state.AcceleratorState._reset_state()
