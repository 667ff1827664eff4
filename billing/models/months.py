"""Which months of a team are closed, and what that means for the day of a charge."""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from billing.pricing.budget_periods import calendar_month
from billing.pricing.months import GRACE, first_open_month
from teams.models import Team
from teams.reporting_days import ReportingDays

_ONE_DAY = timedelta(days=1)

# Of a row of charges. A month closes three days after its end: what is charged for it
# then lies at least three days after the record, in whatever zone both are cut.
IS_ADJUSTMENT = "day > (occurred_at AT TIME ZONE 'UTC')::date + 1"


def is_adjustment(day: date, occurred_at: datetime) -> bool:
    """The same of one charge."""
    return day > occurred_at.astimezone(UTC).date() + _ONE_DAY


class ClosedMonths(NamedTuple):
    """The figures of [since, until) stand: what is charged for them is charged today."""

    since: datetime
    until: datetime
    today: date

    def has(self, occurred_at: datetime) -> bool:
        return self.since <= occurred_at < self.until


def closed(team: Team, days: ReportingDays, now: datetime) -> ClosedMonths:
    """The months of a team that are closed at this moment.

    They begin with the one that the team was set up in. Nobody was given a figure of an
    earlier one: what is imported of it goes to its own days, whenever that is.
    """
    return ClosedMonths(
        since=days.start(days.day(team.created_at).replace(day=1)),
        until=days.start(first_open_month(now, days.zone(now))),
        today=days.day(now),
    )


class OpenMonths(NamedTuple):
    """The oldest month that is open; it closes when the day `until` begins."""

    first: date
    until: date


def open_months(days: ReportingDays, now: datetime) -> OpenMonths:
    first = first_open_month(now, days.zone(now))
    return OpenMonths(first, calendar_month(first).until + GRACE)
