"""The clock of the machine that web, workers and beat are on jumps by an hour."""

import itertools

import pytest

from tests.chaos import clock
from tests.chaos.service import Client, Service, await_that
from tests.journeys.test_prices import call

pytestmark = pytest.mark.xdist_group("broken")

COUNTED_SECONDS = 20


def hours_ahead(service: Service, demo: Client, number: int) -> int:
    """Of the web server, as it stamps what it stores."""
    long_ago = call(f"stamped-{number}", occurred_at="2026-01-15T12:00:00+00:00")
    assert demo.post("usage", long_ago).status == 202
    ((ahead,),) = service.query(
        "SELECT extract(epoch FROM received_at - clock_timestamp()) "
        "FROM billing_usage_record WHERE record_id = %s",
        long_ago["id"],
    )
    return round(float(ahead) / clock.HOUR)


@pytest.mark.parametrize("hours", [-1, 1], ids=["behind", "ahead"])
def test_what_is_used_now_is_taken_and_counted(
    service: Service, demo: Client, hours: int
) -> None:
    clock.jump(service.home.path, hours * clock.HOUR)
    probes = itertools.count(hours * 1_000)
    await_that(
        lambda: hours_ahead(service, demo, next(probes)) == hours, 10, "the clock jumps"
    )
    record = call(f"clock-{hours}")

    reply = demo.post("usage?verbose=1", record)

    assert (reply.status, reply.body["accepted"]) == (202, 1), reply.body
    await_that(
        lambda: demo.get(f"usage/{record['id']}").body["state"] == "priced",
        COUNTED_SECONDS,
        "it is counted",
    )
