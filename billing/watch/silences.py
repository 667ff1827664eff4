"""Projects that have gone silent: nothing is heard of them when it was to be expected.

The habit is that of the four weeks before the last busy hour, by the hour of the week on
the clock of the reporting zone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Max

from billing.actions.alerts import Occasion
from billing.models import HourlySpend
from billing.pricing import unusual
from billing.pricing.unusual import WEEKS, hour_of_week
from teams.models import Organization, Project
from teams.reporting_days import ReportingDays

_HOUR = timedelta(hours=1)
_WEEK = timedelta(days=7)
# Sooner nobody is told; and after so long nobody waits any more.
_SHORTEST = timedelta(hours=6)
_LONGEST = timedelta(days=30)


def holding(organization: Organization, now: datetime) -> list[Occasion]:
    team_ids = list(organization.teams.values_list("pk", flat=True))
    last = _last_hours(team_ids, now)
    if not last:
        return []
    days = ReportingDays(organization)
    busy = _busy_hours(team_ids, last, since=min(last.values()) - WEEKS * _WEEK)
    projects = Project.objects.filter(pk__in=last, archived_at=None)
    return [
        _occasion(project, last[project.pk], days)
        for project in projects.order_by("pk")
        if _is_silent(busy[project.pk], last[project.pk], days, now)
    ]


def _last_hours(team_ids: Sequence[int], now: datetime) -> dict[int, datetime]:
    """By project, the last busy hour of those that may have gone silent."""
    heard = HourlySpend.objects.filter(team_id__in=team_ids, hour__gte=now - _LONGEST)
    last = heard.filter(requests__gt=0).values_list("project_id").order_by()
    return {
        project_id: hour
        for project_id, hour in last.annotate(Max("hour"))
        if now - (hour + _HOUR) >= _SHORTEST
    }


def _busy_hours(
    team_ids: Sequence[int], last: dict[int, datetime], since: datetime
) -> defaultdict[int, list[datetime]]:
    heard = HourlySpend.objects.filter(
        team_id__in=team_ids, project_id__in=last, hour__gte=since, requests__gt=0
    )
    busy: defaultdict[int, list[datetime]] = defaultdict(list)
    for project_id, hour in heard.values_list("project_id", "hour").order_by().distinct():
        busy[project_id].append(hour)
    return busy


def _is_silent(
    hours: Sequence[datetime], last: datetime, days: ReportingDays, now: datetime
) -> bool:
    weeks = [0] * WEEKS
    habit: Counter[int] = Counter()
    for hour in hours:
        ago = (last - hour) // _WEEK
        if ago < WEEKS:
            weeks[WEEKS - 1 - ago] += 1
            habit[_on_the_clock(hour, days)] += 1
    passed = [_on_the_clock(hour, days) for hour in _hours_between(last + _HOUR, now)]
    return unusual.is_silence(weeks, unusual.missed(habit, passed))


def _on_the_clock(hour: datetime, days: ReportingDays) -> int:
    return hour_of_week(hour.astimezone(days.zone(hour)))


def _hours_between(first: datetime, now: datetime) -> Iterator[datetime]:
    """Those that are over."""
    while first + _HOUR <= now:
        yield first
        first += _HOUR


def _occasion(project: Project, last: datetime, days: ReportingDays) -> Occasion:
    until = (last + _HOUR).astimezone(days.zone(last))
    return Occasion(
        subject=f"project {project.pk}",
        occurrence=last.isoformat(),
        project=project,
        details={"name": project.name, "last": until.isoformat()},
    )
