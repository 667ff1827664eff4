"""One web server for all tests of the door; what it said goes with a failure."""

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.door.installation import Door


@pytest.fixture(scope="session")
def running_door() -> Iterator[Door]:
    with Door() as door:
        yield door


@pytest.fixture
def door(running_door: Door) -> Door:
    """Its ledger is empty."""
    running_door.forget()
    return running_door


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    arguments: dict[str, Any] = getattr(item, "funcargs", {})
    if report.failed and "running_door" in arguments:
        report.sections.append(("door", arguments["running_door"].logs()))
    return report
