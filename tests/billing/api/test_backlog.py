"""When a process asks how much waits, and what it believes meanwhile."""

from collections.abc import Callable
from threading import Event, Thread

import pytest
from django.db import OperationalError

from billing.api.backlog import Backlog

SECOND = 1_000_000_000


class Database:
    """Answers after so long, by a clock that only it moves."""

    def __init__(self, takes: int = 0) -> None:
        self.now = 0
        self.asked = 0
        self.takes = takes
        self.answer: Callable[[], int] = lambda: 7

    def clock(self) -> int:
        return self.now

    def ask(self) -> int:
        self.asked += 1
        self.now += self.takes
        return self.answer()


def backlog(database: Database) -> Backlog:
    return Backlog(ask=database.ask, clock=database.clock)


def test_nothing_is_known_to_wait_before_it_was_asked():
    assert backlog(Database()).records == 0


def test_it_is_asked_at_once_and_then_once_a_second():
    database = Database()
    known = backlog(database)

    known.look()
    database.now = SECOND - 1
    known.look()
    assert (database.asked, known.records) == (1, 7)

    database.now = SECOND
    known.look()
    assert database.asked == 2


@pytest.mark.parametrize(
    ("takes", "pause"),
    [(SECOND // 1_000, SECOND), (SECOND // 20, 5 * SECOND), (2 * SECOND, 30 * SECOND)],
)
def test_asking_has_a_hundredth_of_the_time_within_bounds(takes: int, pause: int):
    database = Database(takes)
    known = backlog(database)
    known.look()

    database.now += pause - 1
    known.look()
    assert database.asked == 1

    database.now += 1
    known.look()
    assert database.asked == 2


def test_the_last_figure_stands_when_nobody_can_say():
    database = Database()
    known = backlog(database)
    known.look()

    def fails() -> int:
        raise OperationalError

    database.answer = fails
    database.now += SECOND
    known.look()

    assert (database.asked, known.records) == (2, 7)


def test_one_thread_asks_and_no_other_waits_for_it():
    database, asking, go_on = Database(), Event(), Event()
    known = backlog(database)

    def slowly() -> int:
        asking.set()
        assert go_on.wait(10)
        return 9

    database.answer = slowly
    thread = Thread(target=known.look)
    thread.start()
    assert asking.wait(10)

    known.look()

    assert (database.asked, known.records) == (1, 0)
    go_on.set()
    thread.join(10)
    assert known.records == 9
