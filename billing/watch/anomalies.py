"""Spend that is unusual for such a day or hour, of a team and of a project.

A day is held against the same weekday of the eight weeks before, an hour against the same
hour of it. What was said of an hour is not said again by its day.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Sum

from billing.actions.alerts import Occasion
from billing.models import Alert, DailySpend, HourlySpend, LanguageModel
from billing.pricing import money, unusual
from billing.pricing.unusual import ZERO, Usual
from teams.models import Organization, Project, Team
from teams.reporting_days import ReportingDays

_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_WEEKS = 8
# A day is told while it or the next one lasts, an hour for three hours.
_DAYS_TOLD = 2
_HOURS_TOLD = 4
# A level that stays is told once: until it has more than doubled within a week, the
# weekday's median has time to follow.
_STAYS = 7
_MORE = 2


class Place(NamedTuple):
    """A team, or a project."""

    kind: str
    id: int


class _Unusual(NamedTuple):
    place: Place
    spent: Decimal
    its: Usual

    @property
    def above(self) -> Decimal:
        return self.spent - self.its.amount


Sums = Mapping[Any, Decimal]  # by day, or by the beginning of an hour


def holding(organization: Organization, now: datetime) -> list[Occasion]:
    days = ReportingDays(organization)
    today = days.day(now)
    teams = {team.pk: team for team in organization.teams.all()}
    projects = Project.objects.in_bulk(
        Project.objects.filter(organization=organization).values_list("pk", flat=True)
    )
    places = _Places(teams, projects, organization.currency)
    spent = _daily(teams, today)
    of_hours = list(_hours(teams, spent, days, now))
    told = _told_by_hours(organization, teams, of_hours, today)
    of_days = [
        (day, found)
        for day in (today - gone * _DAY for gone in range(_DAYS_TOLD))
        for found in _days(spent, day, told)
    ]
    return [
        *(places.occasion_of_day(day, found) for day, found in of_days),
        *(places.occasion_of_hour(hour, days, found) for hour, found in of_hours),
    ]


# --- Days ---------------------------------------------------------------------------


# What is charged for closed months is no spend of the day.
_OF_DAY = Sum("cost") - Sum("adjustment")


def _daily(team_ids: Iterable[int], today: date) -> dict[Place, Sums]:
    since = today - _WEEKS * _WEEK - (_STAYS + _DAYS_TOLD) * _DAY
    rows = (
        DailySpend.objects.filter(team_id__in=list(team_ids), day__gte=since)
        .values_list("team_id", "project_id", "day")
        .order_by()
        .annotate(cost=_OF_DAY)
    )
    return _by_place(rows)


def _by_place(rows: Iterable[tuple[int, int, Any, Decimal]]) -> dict[Place, Sums]:
    sums: dict[Place, dict[Any, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for team_id, project_id, when, cost in rows:
        sums[Place("team", team_id)][when] += cost
        sums[Place("project", project_id)][when] += cost
    return {place: dict(its) for place, its in sums.items()}


def _days(
    spent: Mapping[Place, Sums], day: date, told: Mapping[tuple[Place, date], Decimal]
) -> Iterator[_Unusual]:
    for place, sums in spent.items():
        found = _judged(place, sums, day, told)
        if found is None:
            continue
        before = [_judged(place, sums, day - gone * _DAY, {}) for gone in range(1, _STAYS)]
        if all(one is None or found.above > _MORE * one.above for one in before):
            yield found


def _judged(
    place: Place, sums: Sums, day: date, told: Mapping[tuple[Place, date], Decimal]
) -> _Unusual | None:
    its = _usual_of_day(sums, day)
    spent = sums.get(day, ZERO) - told.get((place, day), ZERO)
    if its is None or not unusual.is_unusual(spent, its):
        return None
    return _Unusual(place, sums.get(day, ZERO), its)


def _usual_of_day(sums: Sums, day: date) -> Usual | None:
    first = min(sums)
    same = [day - week * _WEEK for week in range(1, _WEEKS + 1)]
    return unusual.usual([sums.get(one, ZERO) for one in same if one >= first])


# --- Hours --------------------------------------------------------------------------


def _hours(
    teams: Iterable[int], daily: Mapping[Place, Sums], days: ReportingDays, now: datetime
) -> Iterator[tuple[datetime, _Unusual]]:
    last = now.replace(minute=0, second=0, microsecond=0)
    told = [last - gone * _HOUR for gone in range(_HOURS_TOLD)]
    # Of the same hour on the clock of the reporting zone.
    same = {hour: [_weeks_before(hour, week, days) for week in _PAST] for hour in told}
    wanted = {*told, *(one for hours in same.values() for one in hours)}
    for place, sums in _hourly(teams, wanted).items():
        for hour in told:
            found = _judged_hour(place, sums, hour, same[hour], daily.get(place, {}), days)
            if found is not None:
                yield hour, found


_PAST = range(1, _WEEKS + 1)


def _hourly(team_ids: Iterable[int], hours: Iterable[datetime]) -> dict[Place, Sums]:
    rows = (
        HourlySpend.objects.filter(team_id__in=list(team_ids), hour__in=set(hours))
        .values_list("team_id", "project_id", "hour")
        .order_by()
        .annotate(cost=Sum("cost"))
    )
    return _by_place(rows)


def _weeks_before(hour: datetime, weeks: int, days: ReportingDays) -> datetime:
    local = hour.astimezone(days.zone(hour))
    return (local - weeks * _WEEK).astimezone(UTC)


def _judged_hour(
    place: Place,
    sums: Sums,
    hour: datetime,
    same: list[datetime],
    daily: Sums,
    days: ReportingDays,
) -> _Unusual | None:
    if not daily:
        return None
    begun = days.start(min(daily))
    its = unusual.usual([sums.get(one, ZERO) for one in same if one >= begun])
    of_day = _usual_of_day(daily, days.day(hour))
    spent = sums.get(hour, ZERO)
    if its is None or of_day is None or not unusual.is_unusual(spent, its):
        return None
    # Work that comes at any hour is unusual in none: a day's part of it is.
    if spent - its.amount < unusual.LEAST_SHARE * of_day.amount:
        return None
    return _Unusual(place, spent, its)


def _told_by_hours(
    organization: Organization,
    teams: Iterable[int],
    of_hours: Iterable[tuple[datetime, _Unusual]],
    today: date,
) -> dict[tuple[Place, date], Decimal]:
    """What hours of these days that were told are above, by place and day.

    As they are now: an hour is told while it lasts, and goes on.
    """
    known = Alert.objects.filter(
        organization=organization,
        kind=Alert.Kind.ANOMALY,
        details__day__in=[(today - gone * _DAY).isoformat() for gone in range(_DAYS_TOLD)],
        details__has_key="hour",
    )
    hours = {alert.pk: datetime.fromisoformat(alert.occurrence) for alert in known}
    spent = _hourly(teams, hours.values())
    told: dict[tuple[Place, date], Decimal] = defaultdict(Decimal)
    for alert in known:
        kind, _, number = alert.subject.partition(" ")
        place = Place(kind, int(number))
        its = spent.get(place, {}).get(hours[alert.pk], ZERO)
        day = date.fromisoformat(alert.details["day"])
        told[place, day] += max(its - Decimal(alert.details["usual"]), ZERO)
    said = {(alert.subject, alert.occurrence) for alert in known}
    days = ReportingDays(organization)
    for hour, found in of_hours:
        if (_subject(found.place), hour.isoformat()) not in said:
            told[found.place, days.day(hour)] += found.above
    return told


# --- What is said -------------------------------------------------------------------


def _subject(place: Place) -> str:
    return f"{place.kind} {place.id}"


class _Places:
    """Teams and projects by their numbers."""

    def __init__(
        self, teams: Mapping[int, Team], projects: Mapping[int, Project], currency: str
    ) -> None:
        self._teams = teams
        self._projects = projects
        self._currency = currency

    def occasion_of_day(self, day: date, found: _Unusual) -> Occasion:
        charged = DailySpend.objects.filter(day=day)
        return self._occasion(
            found,
            day.isoformat(),
            self._most(charged, _OF_DAY, found),
            {"day": day.isoformat()},
        )

    def occasion_of_hour(
        self, hour: datetime, days: ReportingDays, found: _Unusual
    ) -> Occasion:
        local = hour.astimezone(days.zone(hour))
        charged = HourlySpend.objects.filter(hour=hour)
        when = {"day": local.date().isoformat(), "hour": f"{local:%H:%M}"}
        most = self._most(charged, Sum("cost"), found)
        return self._occasion(found, hour.isoformat(), most, when)

    def _most(self, charged: Any, cost: Any, found: _Unusual) -> dict[str, str]:
        """The model and project that cost most of it."""
        if found.place.kind == "project":
            its = charged.filter(team_id__in=self._teams, project_id=found.place.id)
        else:
            its = charged.filter(team_id=found.place.id)
        rows = its.values_list("model_id", "project_id").order_by()
        largest = max(rows.annotate(cost=cost), key=lambda row: row[2])
        model = LanguageModel.objects.get(pk=largest[0])
        return {
            "model": model.name,
            "project": self._projects[largest[1]].name,
            "most": money.plain(largest[2]),
        }

    def _occasion(
        self, found: _Unusual, when: str, most: dict[str, str], said: dict[str, str]
    ) -> Occasion:
        place = found.place
        is_team = place.kind == "team"
        named: Team | Project = (self._teams if is_team else self._projects)[place.id]
        return Occasion(
            subject=_subject(place),
            occurrence=when,
            team=self._teams[place.id] if is_team else None,
            project=None if is_team else self._projects[place.id],
            details={
                "of": place.kind,
                "name": named.name,
                "spent": money.plain(found.spent),
                "usual": money.plain(found.its.amount),
                "above": money.plain(found.above),
                "currency": self._currency,
                **said,
                **most,
            },
        )
