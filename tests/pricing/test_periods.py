"""Periods of days follow each other without a gap or an overlap."""

from datetime import date, timedelta

import pytest

from billing.pricing.budget_periods import Period, PeriodKind, Window

FIRST, LAST = date(2000, 1, 1), date(2037, 12, 31)
DAYS = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]

WINDOWS = [
    Window(PeriodKind.DAY),
    Window(PeriodKind.MONTH),
    *(Window(PeriodKind.WEEK, week_starts_on=weekday) for weekday in range(7)),
    *(
        Window(kind, fiscal_starts_in=month)
        for kind in (PeriodKind.QUARTER, PeriodKind.YEAR)
        for month in range(1, 13)
    ),
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_every_day_lies_in_one_period_and_the_next_begins_where_it_ends(window: Window):
    found = [window.period(day) for day in DAYS]

    in_order = list(dict.fromkeys(found))
    assert all(day in of_day for day, of_day in zip(DAYS, found, strict=True))
    assert [one.until for one in in_order[:-1]] == [one.first for one in in_order[1:]]
    assert (
        sum(one.days for one in in_order) == (in_order[-1].until - in_order[0].first).days
    )


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_period_begins_where_it_is_said_to(window: Window):
    firsts = {window.period(day).first for day in DAYS}

    if window.kind is PeriodKind.WEEK:
        assert {first.weekday() for first in firsts} == {window.week_starts_on}
    elif window.kind is PeriodKind.YEAR:
        assert {(first.month, first.day) for first in firsts} == {
            (window.fiscal_starts_in, 1)
        }
    elif window.kind is PeriodKind.QUARTER:
        months = {
            (window.fiscal_starts_in - 1 + 3 * number) % 12 + 1 for number in range(4)
        }
        assert {first.month for first in firsts} == months
        assert {first.day for first in firsts} == {1}


@pytest.mark.parametrize(
    ("window", "day", "first", "until"),
    [
        (Window(PeriodKind.MONTH), "2024-02-29", "2024-02-01", "2024-03-01"),
        (Window(PeriodKind.QUARTER), "2026-12-31", "2026-10-01", "2027-01-01"),
        (Window(PeriodKind.WEEK), "2027-01-01", "2026-12-28", "2027-01-04"),
        (Window(PeriodKind.WEEK, 6), "2026-11-22", "2026-11-22", "2026-11-29"),
        (Window(PeriodKind.WEEK, 6), "2026-11-21", "2026-11-15", "2026-11-22"),
        (Window(PeriodKind.YEAR), "2026-01-01", "2026-01-01", "2027-01-01"),
        # The fiscal year of the United Kingdom's government, and Australia's.
        (Window(PeriodKind.YEAR, 0, 4), "2026-03-31", "2025-04-01", "2026-04-01"),
        (Window(PeriodKind.YEAR, 0, 7), "2026-07-01", "2026-07-01", "2027-07-01"),
        (Window(PeriodKind.QUARTER, 0, 2), "2026-01-31", "2025-11-01", "2026-02-01"),
        # A month is a month in every fiscal year.
        (Window(PeriodKind.MONTH, 0, 4), "2026-03-31", "2026-03-01", "2026-04-01"),
    ],
)
def test_periods_that_a_calendar_shows(window: Window, day: str, first: str, until: str):
    expected = Period(date.fromisoformat(first), date.fromisoformat(until))

    assert window.period(date.fromisoformat(day)) == expected


def test_a_custom_period_runs_once():
    its = Period(date(2026, 11, 3), date(2026, 11, 17))
    window = Window(PeriodKind.CUSTOM, custom=its)

    running = [day for day in DAYS if window.period(day) is not None]

    assert (running[0], running[-1], len(running)) == (its.first, its.last, 14)
    assert {window.shown_on(day) for day in DAYS} == {its}
