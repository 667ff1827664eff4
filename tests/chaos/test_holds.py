"""A hold is committed before the disk has it, and answered only when the disk has it."""

import pytest

from tests.chaos import faults
from tests.chaos.service import START_SECONDS, Client, Service

ROUNDS = 3


@pytest.mark.xdist_group("broken")
def test_a_hold_that_was_answered_is_there_after_a_crash(service: Service, demo: Client):
    wanted = {"model": "any", "estimate": "0.01"}
    for _ in range(ROUNDS):
        held = demo.post("holds", wanted)
        faults.kill_postgres(service)
        assert held.status == 201, held.body
        service.await_tended(service.answers, START_SECONDS, "the web server answers")

        found = demo.get(f"holds/{held.body['id']}")

        assert (found.status, found.body["state"]) == (200, "held")
