"""One real service for all journeys; what its processes said goes with a failure."""

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.chaos.service import Client, Service
from tests.receivers import Receiver, answers, receiving


@pytest.fixture(scope="session")
def hook() -> Iterator[Receiver]:
    """Takes every webhook."""
    with receiving(answers(204)) as receiver:
        yield receiver


@pytest.fixture(scope="session")
def running(hook: Receiver) -> Iterator[Service]:
    with Service(outgoing_allow=hook.place) as service:
        yield service


@pytest.fixture
def service(running: Service) -> Service:
    """Everything runs, whatever the test before this one did."""
    running.start_all()
    return running


@pytest.fixture
def demo(service: Service) -> Client:
    """What a first user has: the key of the demo project."""
    return service.client(service.demo_key)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    arguments: dict[str, Any] = getattr(item, "funcargs", {})
    if report.failed and "running" in arguments:
        report.sections.append(("service", arguments["running"].logs()))
    return report
