"""The window of a record's time, when the clock of one machine is wrong."""

from datetime import timedelta

import pytest

from billing.actions import receive
from billing.formats.body import split
from tests.builders import body, record
from tests.conftest import NOW, Cast, issue

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("second", "status"),
    [(NOW + HOUR, "accepted"), (NOW, "rejected"), (NOW - HOUR, "rejected")],
)
def test_a_record_is_refused_only_by_two_clocks(cast: Cast, second, status: str):
    key, _ = issue(cast.acme)
    early = record(project="answers", occurred_at=(NOW + HOUR).isoformat())
    raws = split(body(early), "application/json", 1000)

    (outcome,) = receive.receive(key=key, raws=raws, now=NOW, second_clock=lambda: second)

    assert outcome.status == status


def test_the_second_clock_is_not_asked_about_what_the_first_allows(cast: Cast):
    key, _ = issue(cast.acme)
    raws = split(body(record(project="answers")), "application/json", 1000)

    (outcome,) = receive.receive(key=key, raws=raws, now=NOW, second_clock=lambda: 1 / 0)

    assert outcome.status == "accepted"
