"""Which tests run in one process, one after the other."""

from xdist.scheduler import LoadGroupScheduling

# By the beginning of a test's id. The marks of pytest-xdist are suffixes that it adds to
# ids, which pytest 9.2 does not let it do any more.
GROUPS = {
    "tests/chaos/test_kill.py": "kill",
    "tests/chaos/test_delivery.py": "delivery",
    "tests/journeys/test_rerate.py": "rerate",
    "tests/journeys/": "journeys",
    "tests/chaos/": "chaos",
    "tests/door/": "door",
}


class Groups(LoadGroupScheduling):
    """One group is one unit of work; every other test is a unit of its own."""

    def _split_scope(self, nodeid: str) -> str:
        starts = (group for start, group in GROUPS.items() if nodeid.startswith(start))
        return next(starts, nodeid)
