"""Which tests run in one process, one after the other, and which of them begin first."""

from collections import Counter

import pytest
from xdist.scheduler import LoadGroupScheduling

# By the beginning of a test's id. The marks of pytest-xdist are suffixes that it adds to
# ids, which pytest 9.2 does not let it do any more. What waits for processes of its own
# takes longest, and begins first.
GROUPS = {
    "tests/door/": "door",
    "tests/chaos/test_kill.py": "kill",
    "tests/chaos/test_delivery.py": "delivery",
    "tests/chaos/": "chaos",
    "tests/journeys/test_rerate.py": "rerate",
    "tests/journeys/": "journeys",
    "tests/billing/test_alert_machine.py": "alert machine",
    "tests/config/test_pool.py": "flushing",
    "tests/teams/test_trips.py": "flushing",
}
# They empty every table behind them, the list prices too: what is in it comes last.
FLUSHING = "flushing"
# Each test of these takes seconds, and shares nothing: they may go to several processes.
DIVIDED = ("tests/launch/", "tests/guards/test_settings.py", "tests/guards/test_imports.py")


class Groups(LoadGroupScheduling):
    """A group is one unit of work, and so is a file: what its tests share is made once."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


def unit(nodeid: str) -> str:
    starts = (group for start, group in GROUPS.items() if nodeid.startswith(start))
    file = nodeid.partition("::")[0]
    return next(starts, nodeid if nodeid.startswith(DIVIDED) else file)


def order(items: list[pytest.Item]) -> None:
    """Groups, tests that take seconds, and files from the largest to the smallest: so all
    processes end at about the same time. Raises UsageError."""
    sizes = Counter(unit(item.nodeid) for item in items)
    groups = list(GROUPS.values())

    def place(item: pytest.Item) -> tuple[int, int]:
        its = unit(item.nodeid)
        if its == FLUSHING:
            return len(groups) + 2, 0
        if its in groups:
            return groups.index(its), 0
        return len(groups) + (its != item.nodeid), -sizes[its]

    items.sort(key=place)
    for item in items:
        flushes = any("transaction" in one.kwargs for one in item.iter_markers("django_db"))
        if flushes and unit(item.nodeid) != FLUSHING:
            raise pytest.UsageError(f"{item.nodeid} flushes: name its file in GROUPS.")
