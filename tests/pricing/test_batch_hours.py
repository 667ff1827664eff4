"""Which hours of the day look like work that nobody waits for."""

from decimal import Decimal

import pytest

from billing.pricing import batch_hours
from billing.pricing.batch_hours import Habit, HourOfDay, Hours, that_wait


def hours(**used: tuple[int, int]) -> list[HourOfDay]:
    """`at_2=(20, 90)`: at two o'clock on 20 days, 90 in all."""
    return [
        HourOfDay(int(name.removeprefix("at_")), days, Decimal(amount))
        for name, (days, amount) in used.items()
    ]


def test_most_of_it_in_the_same_hours_is_a_job():
    used = hours(at_13=(20, 50), at_14=(18, 40), at_9=(3, 10))

    assert that_wait(used, Decimal(100)) == Hours(Habit.BURST, (13, 14), 18)


def test_a_fifth_elsewhere_is_allowed_and_no_more():
    used = hours(at_13=(20, 80), at_9=(4, 20))

    assert that_wait(used, Decimal(100)) is not None
    assert that_wait(used, Decimal(101)) is None


def test_half_of_it_at_night_is_no_chat():
    spread = {f"at_{hour}": (20, 10) for hour in range(6)}
    used = hours(**spread, at_9=(20, 20), at_10=(20, 20), at_11=(20, 20))

    assert that_wait(used, Decimal(120)) == Hours(Habit.NIGHT, (0, 1, 2, 3, 4, 5), 20)
    assert that_wait(used, Decimal(121)) is None


def test_a_few_days_are_no_habit():
    assert that_wait(hours(at_2=(4, 100)), Decimal(100)) is None
    assert that_wait(hours(at_2=(5, 100)), Decimal(100)) is not None


def test_an_hour_that_is_used_now_and_then_is_not_regular():
    used = hours(at_2=(9, 90), at_12=(20, 10))

    assert that_wait(used, Decimal(100)) is None


def test_nothing_spent_does_not_wait():
    assert that_wait([], Decimal()) is None
    assert that_wait(hours(at_2=(20, 0)), Decimal()) is None


@pytest.mark.parametrize(
    ("its_hours", "words"),
    [
        ((2,), "02:00–03:00"),
        ((2, 3, 23), "02:00–04:00 and 23:00–24:00"),
    ],
)
def test_clock_joins_hours(its_hours: tuple[int, ...], words: str):
    assert batch_hours.clock(its_hours) == words
