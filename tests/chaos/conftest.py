"""One real service that can be broken in every way, for all directed tests of this kind."""

from collections.abc import Iterator

import pytest

from tests.chaos import clock
from tests.chaos.service import Client, Service

COUNTED_SECONDS = 30


@pytest.fixture(scope="session")
def running() -> Iterator[Service]:
    with Service(proxied=True, jumping=True) as service:
        yield service


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    """Everything runs and nothing is broken, whatever the test before this one did."""
    if not all(process.alive() for process in running.all):
        running.start_all()
    yield running
    clock.jump(running.home.path, 0)
    for proxy in running.proxies.values():
        proxy.arm(None)
        proxy.swallow(False)


@pytest.fixture
def demo(service: Service) -> Client:
    """What a first user has: the key of the demo project."""
    return service.client(service.demo_key)


def recorded(service: Service, record_id: str) -> int:
    ((count,),) = service.query(
        "SELECT count(*) FROM billing_usage_record WHERE record_id = %s", record_id
    )
    return int(count)


def await_priced(service: Service, demo: Client, record_id: str) -> None:
    service.await_tended(
        lambda: demo.get(f"usage/{record_id}").body["state"] == "priced",
        COUNTED_SECONDS,
        f"{record_id} is priced",
    )
    assert recorded(service, record_id) == 1
