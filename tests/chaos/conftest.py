"""One real service that can be broken in every way, for all directed tests of this kind."""

from collections.abc import Iterator

import pytest

from tests.chaos import clock
from tests.chaos.service import Client, Service


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
