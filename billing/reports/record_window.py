"""The days whose records are read one by one, for what no sums tell."""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from billing.models import QuarantinedRecord, UnpricedRecord, Void
from billing.pricing.budget_periods import calendar_month
from teams.reporting_days import ReportingDays

LONGEST = timedelta(days=31)
_ONE_DAY = timedelta(days=1)
_BEFORE_THE_END = timedelta(microseconds=1)

# The uids of what no sum holds of a team and these months: what was taken back, or has
# another record in its place, and what has no price.
UNCOUNTED = " UNION ALL ".join(
    f"SELECT record_uid FROM {apart._meta.db_table} "
    "WHERE team_id = %(team)s AND month = ANY (%(months)s::date[])"
    for apart in (Void, UnpricedRecord, QuarantinedRecord)
)


class RecordWindow(NamedTuple):
    """The days [first, until), their moments [since, end), and the UTC months of those."""

    first: date
    until: date
    since: datetime
    end: datetime
    months: list[date]


def last_of(
    days: ReportingDays,
    since: date,
    until: date,
    now: datetime,
    *,
    ahead: timedelta = timedelta(),
) -> RecordWindow:
    """The last 31 days of [since, until), or all of them if they are fewer.

    Days to come have no records: of a range that reaches beyond today the days up to
    today are taken. `ahead` says how much earlier than their first moment records are
    read, too.
    """
    until = min(until, max(days.day(now), since) + _ONE_DAY)
    first = max(since, until - LONGEST)
    start, end = days.start(first), days.start(until)
    return RecordWindow(first, until, start, end, _months(start - ahead, end))


def _months(since: datetime, end: datetime) -> list[date]:
    """The first days of the UTC months that moments of [since, end) lie in."""
    last = (end - _BEFORE_THE_END).astimezone(UTC).date()
    found = [since.astimezone(UTC).date().replace(day=1)]
    while (following := calendar_month(found[-1]).until) <= last:
        found.append(following)
    return found
