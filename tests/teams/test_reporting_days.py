"""Each moment has one day and one month of its zone; the first moment belongs to it.

The zones' own midnights are found here by asking what the clock on the wall shows, and
not by the way that the code takes.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise, product
from types import SimpleNamespace
from typing import cast
from zoneinfo import ZoneInfo, available_timezones

import pytest

from billing.pricing.budget_periods import Period, PeriodKind, Window
from teams.models import Organization
from teams.models.organizations import ReportingZone
from teams.reporting_days import ReportingDays

TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
# Zones that are other names of the same rules behave alike; two thirds are such.
ZONES = sorted(available_timezones() - {"localtime"})
MONTHS = [date(year, month, 1) for year in range(2000, 2038) for month in range(1, 13)]
NEXT_MONTHS = dict(pairwise(MONTHS))
# Where the days around a change of clocks are looked at one by one.
CHANGING = [
    "America/Chicago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Apia",
    "Pacific/Kiritimati",
]


@cache
def days_of(zone: str) -> ReportingDays:
    """Of an organization that has always reported in this zone; nothing is stored."""
    history = [
        ReportingZone(time_zone=zone, effective_from=datetime(1990, 1, 1, tzinfo=UTC))
    ]
    zones = SimpleNamespace(order_by=lambda column: history)
    return ReportingDays(cast(Organization, SimpleNamespace(reporting_zones=zones)))


def hours(zone: str, first: date, until: date) -> float:
    days = days_of(zone)
    return (days.start(until) - days.start(first)) / HOUR


def day_after(day: date) -> date:
    return day + timedelta(days=1)


@pytest.mark.parametrize("zone", ZONES)
def test_months_tile(zone: str):
    """A month owns its first moment, and the moment before it belongs to the last one."""
    days = days_of(zone)
    for month, following in NEXT_MONTHS.items():
        start, end = days.start(month), days.start(following)

        assert start < end
        assert days.month(start) == (month, following)
        assert days.day(end - TICK) < following <= days.day(end)


@pytest.mark.parametrize("zone", CHANGING)
def test_days_tile(zone: str):
    """Each day of 38 years begins where the one before it ends, if it exists."""
    days = days_of(zone)
    day = date(2000, 1, 1)
    while day < date(2038, 1, 1):
        start, end = days.start(day), days.start(day_after(day))
        assert start <= end
        if start < end:
            assert days.day(start) == days.day(end - TICK) == day
        day = day_after(day)


EVERY_OTHER_DAY = [
    datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=number)
    for number in range(0, 38 * 366, 2)
]


@cache
def clock_changes(zone: str) -> list[datetime]:
    """When the clocks of a zone were or will be changed, found by asking what they show.

    No zone changes twice within two days.
    """
    offsets = [offset(zone, at) for at in EVERY_OTHER_DAY]
    return [
        _first_changed(zone, EVERY_OTHER_DAY[place], EVERY_OTHER_DAY[place + 1])
        for place, (before, after) in enumerate(pairwise(offsets))
        if before != after
    ]


def _first_changed(zone: str, before: datetime, after: datetime) -> datetime:
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if offset(zone, middle) == offset(zone, before):
            before = middle
        else:
            after = middle
    return after


def offset(zone: str, at: datetime) -> timedelta | None:
    return at.astimezone(ZoneInfo(zone)).utcoffset()


def test_clock_changes_are_found():
    assert clock_changes("Europe/Berlin")[-2:] == [
        datetime(2037, 3, 29, 1, tzinfo=UTC),
        datetime(2037, 10, 25, 1, tzinfo=UTC),
    ]
    assert clock_changes("Asia/Kathmandu") == []


def assert_in_its_day(days: ReportingDays, at: datetime) -> None:
    day = days.day(at)
    assert days.start(day) <= at < days.start(day_after(day)), at


AROUND = [
    sign * timedelta(minutes=minutes)
    for minutes in (1, 29, 31, 59, 61, 119, 12 * 60, 23 * 60, 25 * 60)
    for sign in (-1, 1)
]


@pytest.mark.parametrize("zone", ZONES)
def test_each_moment_around_a_change_of_clocks_lies_in_one_day(zone: str):
    """Between two changes every day is 24 hours: there is nothing else to look at."""
    days = days_of(zone)
    for change in clock_changes(zone):
        for at in (change - TICK, change, *(change + distance for distance in AROUND)):
            assert_in_its_day(days, at)
        day = days.day(change) - timedelta(days=2)
        for _ in range(5):
            start, end = days.start(day), days.start(day_after(day))
            shown = {
                (start + hour * HOUR).astimezone(ZoneInfo(zone)).date()
                for hour in range(int((end - start) / HOUR))
            }
            assert start < end or day not in shown
            assert start <= end
            day = day_after(day)


WINDOWS = [
    *(Window(PeriodKind.WEEK, week_starts_on=weekday) for weekday in range(7)),
    *(Window(PeriodKind.QUARTER, fiscal_starts_in=month) for month in (1, 2, 3)),
    *(Window(PeriodKind.YEAR, fiscal_starts_in=month) for month in range(1, 13)),
]


@pytest.mark.parametrize("zone", ZONES)
def test_weeks_and_fiscal_years_are_as_long_as_their_days_and_clocks_make_them(zone: str):
    """Around each change of clocks: 24 hours a day, and what the clocks went back."""
    days = days_of(zone)
    changed = {days.day(change) for change in clock_changes(zone)}
    periods = {window.period(day) for window in WINDOWS for day in changed}
    for its in periods:
        start, end = days.start(its.first), days.start(its.until)
        gone_back = offset(zone, start) - offset(zone, end)

        assert end - start == timedelta(days=its.days) + gone_back + _missed(
            days, its, zone
        )


def _missed(days: ReportingDays, its: Period, zone: str) -> timedelta:
    """Where its ends have no midnight, the clock shows later when they begin."""
    first, until = (
        days.start(day).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        - datetime.combine(day, time())
        for day in its
    )
    return until - first


@pytest.mark.parametrize("zone", ZONES)
def test_months_are_as_long_as_their_hours(zone: str):
    """The hours of all months are the hours of the 38 years."""
    of_months = sum(hours(zone, *both) for both in NEXT_MONTHS.items())

    assert of_months == hours(zone, MONTHS[0], MONTHS[-1])


# --- Another reporting zone from a moment on ----------------------------------------

FAR_APART = ["Pacific/Kiritimati", "Asia/Kathmandu", "Europe/Berlin", "Pacific/Honolulu"]
MOVES = [both for both in product(FAR_APART, repeat=2) if both[0] != both[1]]


def moving(before: str, after: str) -> ReportingDays:
    """Of one that reports in another zone from December on, by that zone's midnight."""
    effective = datetime(2026, 12, 1, tzinfo=ZoneInfo(after)).astimezone(UTC)
    history = [
        ReportingZone(time_zone=before, effective_from=datetime(1990, 1, 1, tzinfo=UTC)),
        ReportingZone(time_zone=after, effective_from=effective),
    ]
    zones = SimpleNamespace(order_by=lambda column: history)
    return ReportingDays(cast(Organization, SimpleNamespace(reporting_zones=zones)))


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_each_moment_around_a_change_of_zone_lies_in_one_day(before: str, after: str):
    days = moving(before, after)
    at = datetime(2026, 11, 29, tzinfo=UTC)
    while at < datetime(2026, 12, 4, tzinfo=UTC):
        assert_in_its_day(days, at)
        at += timedelta(minutes=15)


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_a_quarter_with_a_change_of_zone_in_it_is_one_stretch(before: str, after: str):
    days = moving(before, after)
    quarter = Window(PeriodKind.QUARTER).period(date(2026, 11, 30))
    starts = [
        days.start(quarter.first + timedelta(days=number))
        for number in range(quarter.days + 1)
    ]

    assert starts == sorted(starts)
    assert starts[0] == days_of(before).start(quarter.first)
    assert starts[-1] == days_of(after).start(quarter.until)


@pytest.mark.parametrize(
    ("zone", "first", "until", "expected"),
    [
        ("America/Chicago", date(2026, 3, 1), date(2026, 4, 1), 743),
        ("America/Chicago", date(2026, 11, 1), date(2026, 12, 1), 721),
        ("Europe/Berlin", date(2026, 10, 25), date(2026, 10, 26), 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), date(2026, 10, 5), 23.5),
        ("America/Sao_Paulo", date(2018, 11, 4), date(2018, 11, 5), 23),
        ("America/Sao_Paulo", date(2018, 2, 17), date(2018, 2, 18), 25),
        ("Asia/Kathmandu", date(2026, 11, 1), date(2026, 12, 1), 720),
        ("Pacific/Apia", date(2011, 12, 30), date(2011, 12, 31), 0),
    ],
)
def test_hours_of_a_stretch(zone: str, first: date, until: date, expected: float):
    assert hours(zone, first, until) == expected


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("Asia/Kathmandu", date(2026, 11, 22), "2026-11-21T18:15:00+00:00"),
        # Clocks went from 23:59:59 to 01:00: the day has no midnight.
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T03:00:00+00:00"),
        ("Asia/Beirut", date(2022, 3, 27), "2022-03-26T22:00:00+00:00"),
        # Clocks went from 00:00 back to 23:00: the day before has that hour twice.
        ("America/Sao_Paulo", date(2018, 2, 18), "2018-02-18T03:00:00+00:00"),
        # Clocks go from 01:00 back to 00:00: midnight comes twice, the first one counts.
        ("Atlantic/Azores", date(2026, 10, 25), "2026-10-25T00:00:00+00:00"),
    ],
)
def test_when_a_day_begins(zone: str, day: date, start: str):
    days, moment = days_of(zone), datetime.fromisoformat(start)

    assert days.start(day) == moment
    assert (days.day(moment), days.day(moment - TICK)) == (day, day - timedelta(days=1))


@pytest.mark.django_db
def test_what_is_built_here_is_what_an_organization_has():
    organization = Organization.objects.create(name="Acme", slug="acme")
    ReportingZone.objects.create(organization=organization, time_zone="Asia/Kathmandu")

    day = date(2026, 11, 22)
    assert ReportingDays(organization).start(day) == days_of("Asia/Kathmandu").start(day)
