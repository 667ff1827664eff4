"""Periods of days follow each other without a gap or an overlap."""

from datetime import date, timedelta

import pytest

from billing.pricing.budget_periods import Period, PeriodKind, period

FIRST, LAST = date(2000, 1, 1), date(2037, 12, 31)
DAYS = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]


@pytest.mark.parametrize("kind", PeriodKind)
def test_every_day_lies_in_one_period_and_the_next_begins_where_it_ends(kind: PeriodKind):
    found = [period(kind, day) for day in DAYS]

    in_order = list(dict.fromkeys(found))
    assert all(day in of_day for day, of_day in zip(DAYS, found, strict=True))
    assert [one.until for one in in_order[:-1]] == [one.first for one in in_order[1:]]
    assert (
        sum(one.days for one in in_order) == (in_order[-1].until - in_order[0].first).days
    )


@pytest.mark.parametrize(
    ("kind", "day", "expected"),
    [
        (PeriodKind.MONTH, date(2024, 2, 29), Period(date(2024, 2, 1), date(2024, 3, 1))),
        (
            PeriodKind.QUARTER,
            date(2026, 12, 31),
            Period(date(2026, 10, 1), date(2027, 1, 1)),
        ),
        (PeriodKind.WEEK, date(2027, 1, 1), Period(date(2026, 12, 28), date(2027, 1, 4))),
        (PeriodKind.YEAR, date(2026, 1, 1), Period(date(2026, 1, 1), date(2027, 1, 1))),
    ],
)
def test_periods_that_a_calendar_shows(kind: PeriodKind, day: date, expected: Period):
    assert period(kind, day) == expected
