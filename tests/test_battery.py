"""Some of the requests that tests.battery sends by the thousand."""

import random

from tests.battery import battery


def test_generated_requests_reach_our_functions_and_are_answered_by_sentences_or_pictures():
    chance = random.Random(7)
    with battery() as made:
        for _ in range(120):
            made.send(chance)
        assert not made.faults
        assert set(made.parameters) <= set(made.arrived)  # every endpoint's function
        assert made.arrived.total() >= 80
