"""Requests that schemathesis makes of the page's OpenAPI description: python -m tests.described [--examples 100].

Those that fit the description and those that do not, each followed to its end and judged as those of tests.battery.
"""

import argparse
import sys
from contextlib import suppress

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode

from tests.battery import Battery, battery


def send(made: Battery, examples: int) -> int:
    """Send at most so many requests of either kind to each endpoint; how many there were."""
    few = settings(max_examples=examples, deadline=None, derandomize=True, database=None,
                   suppress_health_check=list(HealthCheck))  # fmt: skip
    sent = []

    def request(case: Case) -> tuple[int, str]:
        sent.append(case)
        answer = case.call(base_url=made.url)
        status, text = answer.status_code, answer.content.decode(errors="replace")
        return made.followed(case.path.rpartition("/")[2], status, text) if "event_id" in text else (status, text)

    @few
    @given(data=st.data())
    def one(operation: APIOperation, mode: GenerationMode, data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(mode))
        made.judged(lambda: request(case))

    for found in schemathesis.openapi.from_url(f"{made.url}gradio_api/openapi.json").get_all_operations():
        for mode in GenerationMode:
            with suppress(Unsatisfiable):  # where nothing is against a description
                one(found.ok(), mode)
    return len(sent)


def main() -> int:
    """Send, and report; 0 without faults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=100, help="of either kind for each endpoint")
    options = parser.parse_args()
    with battery() as made:
        sent = send(made, options.examples)
    print(f"{sent} requests; {made.arrived.total()} arrived in our functions; {len(made.faults)} faults")
    print("\n".join(made.faults[:20]))
    return int(bool(made.faults))


if __name__ == "__main__":
    sys.exit(main())
