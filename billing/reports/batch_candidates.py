"""Spend that could be processed in batches: what waits by its tags, or by its hours.

Batches cost half, and their answers may take a day. Who waits for an answer cannot be
seen; what is named here is regular, and somebody has to know whether it may wait. One
record may be in several candidates, so that they do not add up.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Q, QuerySet, Sum

from billing.models import HourlySpend, LanguageModel, UsageRecord, rate_book
from billing.models.rate_book import Book
from billing.pricing import batch_hours, engine, money
from billing.pricing.batch_hours import Habit, HourOfDay, Hours
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Processing, Speed
from billing.reports import record_window, routing
from billing.reports.record_window import UNCOUNTED, RecordWindow
from teams.models import Project, Team
from teams.reporting_days import ReportingDays

# So many are listed, those that would save most.
LISTED = 20


class Reason(StrEnum):
    POLICY = "policy"  # the team's routing policy says that this tag waits
    TAG = "tag"  # a tag whose records come in the same hours, day by day
    HOURS = "hours"  # the same of all that a project spends on a model


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a project spent on a model that could have waited.

    `tag` is that of its records ("job=nightly"), or empty; `hours` those of the day that
    it was named by. `saving` is what batches would have cost less.
    """

    reason: Reason
    project: Project
    model: LanguageModel
    tag: str
    hours: Hours | None
    requests: int
    spent: Decimal
    saving: Decimal

    @property
    def why(self) -> str:
        """In a sentence, why it was named."""
        if self.hours is None:
            return f"The routing policy says that {self.tag} waits."
        clock = batch_hours.clock(self.hours.hours)
        what = f"What is tagged {self.tag}" if self.tag else "What is spent here"
        when = "at night, " if self.hours.habit is Habit.NIGHT else ""
        return f"{what} is spent mostly {when}{clock}, on {self.hours.days} days or more."


@dataclass(frozen=True, slots=True)
class BatchCandidates:
    """Of the days from `records_from` on to `until`, 31 at most.

    `left_off` says in sentences what was not looked at or is not listed.
    """

    records_from: date
    until: date
    rows: list[Candidate]
    left_off: list[str]


def of(
    *, team: Team, since: date, until: date, now: datetime, project: Project | None = None
) -> BatchCandidates:
    """What a team, or one project of it, spent at the standard price that could have
    waited, in the last 31 days of [since, until)."""
    days = ReportingDays(team.organization)
    window = record_window.last_of(days, since, until, now)
    book = rate_book.current(team.organization_id)
    its = _Its(team, project, window, days.zone(now), book, now)
    habits = _habits(its)
    by_tag = _by_tag(its, habits.tags)
    found = [one for one in (*by_tag, *_by_hour(its)) if one.saving > 0]
    projects = Project.objects.in_bulk({one.project_id for one in found})
    models = LanguageModel.objects.in_bulk({one.model_id for one in found})
    rows = [
        *_by_policy(its),
        *(
            Candidate(
                reason=Reason.TAG if one.tag else Reason.HOURS,
                project=projects[one.project_id],
                model=models[one.model_id],
                tag=one.tag,
                hours=one.hours,
                requests=one.requests,
                spent=one.spent,
                saving=one.saving,
            )
            for one in found
        ),
    ]
    rows.sort(key=lambda one: (-one.saving, one.project.slug, one.tag))
    asked = [one for one in rows if project is None or one.project == project]
    return BatchCandidates(
        records_from=window.first,
        until=window.until,
        rows=asked[:LISTED],
        left_off=list(_left_off(habits, more=len(asked) - LISTED)),
    )


def _left_off(habits: "_Habits", *, more: int) -> Iterator[str]:
    if more > 0:
        yield (
            f"Of what was found the {LISTED} that would save most are listed, {more:,} "
            "more not."
        )
    if habits.more_tags:
        yield (
            f"Of tags that come in the same hours the {LISTED} with most requests were "
            f"looked at, {habits.more_tags:,} more not."
        )
    if habits.more_hours:
        yield f"Of the hours that tags come in the {_MOST:,} busiest were looked at."


class _Its(NamedTuple):
    """Whose spend is looked at (of all projects, or one), which, and by which prices and
    clock."""

    team: Team
    project: Project | None
    window: RecordWindow
    zone: ZoneInfo
    book: Book
    now: datetime

    def cost(
        self,
        quantities: Sequence[int],
        processing: Processing,
        model: str,
        geo: str,
        endpoint: str,
        tier: int,
        at: datetime,
    ) -> Decimal | None:
        """What so much costs; None without a price for all of it."""
        rate = self.book.rates.rate(
            model, processing, Speed.STANDARD, geo, endpoint, tier + 1, at
        )
        priced = engine.at_rate(rate, Quantities(*quantities)) if rate else None
        return money.exact(priced.cost) if isinstance(priced, engine.Charge) else None


class _Found(NamedTuple):
    """A candidate, by ids."""

    project_id: int
    model_id: int
    tag: str
    hours: Hours
    requests: int
    spent: Decimal
    saving: Decimal


# --- By what the policy says --------------------------------------------------------


def _by_policy(its: _Its) -> Iterator[Candidate]:
    window = its.window
    for one in routing.not_in_batch(
        team=its.team, since=window.first, until=window.until, now=its.now
    ):
        if one.cost:
            yield Candidate(
                reason=Reason.POLICY,
                project=one.project,
                model=one.model,
                tag=one.rule,
                hours=None,
                requests=one.requests,
                spent=one.spent,
                saving=one.cost,
            )


# --- By tags that recur -------------------------------------------------------------

# Habits are seen in so many records, chosen by their ids; what is named by them is then
# added up over all.
_SAMPLE = 50_000
# So many hours of the day of tags are looked at, those that most comes in.
_MOST = 500
_OF_STANDARD = f"""
    u.team_id = %(team)s AND u.month = ANY (%(months)s::date[])
    AND u.occurred_at >= %(since)s AND u.occurred_at < %(end)s
    AND u.unbilled = '' AND u.uid NOT IN ({UNCOUNTED})
    AND u.processing = '{Processing.STANDARD}' AND u.speed = '{Speed.STANDARD}'
    AND (%(project)s::bigint IS NULL OR u.project_id = %(project)s)
"""
_OF_DAY = "extract(hour FROM u.occurred_at AT TIME ZONE %(zone)s)::int"
# A tag of each request, such as the name of its user, comes on few days.
_HABITS = f"""
WITH of_day AS (
    SELECT tag.key, tag.value, u.project_id, u.provider, u.model_name,
        {_OF_DAY} AS of_day, count(*) AS requests,
        count(DISTINCT (u.occurred_at AT TIME ZONE %(zone)s)::date) AS days
    FROM {UsageRecord._meta.db_table} u, jsonb_each_text(u.tags) AS tag (key, value)
    WHERE {_OF_STANDARD} AND hashtext(u.record_id) %% %(every)s = 0
    GROUP BY 1, 2, 3, 4, 5, 6
)
SELECT key, value, project_id, provider, model_name, of_day, days, requests,
    sum(requests) OVER (PARTITION BY key, value, project_id, provider, model_name)::bigint
FROM of_day ORDER BY days < {batch_hours.ENOUGH_DAYS}, requests DESC
LIMIT {_MOST} + 1
"""
_SUMS = ", ".join(f"sum(u.{name})::bigint" for name in TokenClass)
_TAGGED = f"""
SELECT chosen.place, u.geo, u.endpoint, count(*), {_SUMS}
FROM {UsageRecord._meta.db_table} u
JOIN unnest(%(places)s::int[], %(tags)s::jsonb[], %(projects)s::bigint[],
    %(providers)s::text[], %(names)s::text[], %(hours)s::int[])
    AS chosen (place, tag, project_id, provider, model_name, of_day)
ON chosen.project_id = u.project_id AND chosen.provider = u.provider
    AND chosen.model_name = u.model_name AND chosen.of_day = {_OF_DAY}
    AND u.tags @> chosen.tag
WHERE {_OF_STANDARD}
GROUP BY chosen.place, u.geo, u.endpoint
"""


class _Tagged(NamedTuple):
    """Records of one tag, of a project on a model as it is named there."""

    key: str
    value: str
    project_id: int
    provider: str
    model_name: str


def _by_tag(its: _Its, tags: Mapping[_Tagged, Hours]) -> Iterator[_Found]:
    named = list(tags.items())
    models = {model_id: key for key, model_id in its.book.model_ids.items()}
    found: dict[_Tagged, _Found | None] = {}
    for place, geo, endpoint, requests, *quantities in _sums(its, named):
        tagged, hours = named[place]
        model_id = its.book.model_id(tagged.provider, tagged.model_name)
        if model_id is None:
            continue
        asked = (models[model_id], geo, endpoint, 0, min(its.now, its.window.end))
        at_once = its.cost(quantities, Processing.STANDARD, *asked)
        in_batch = its.cost(quantities, Processing.BATCH, *asked)
        empty = _Found(
            project_id=tagged.project_id,
            model_id=model_id,
            tag=f"{tagged.key}={tagged.value}",
            hours=hours,
            requests=0,
            spent=Decimal(),
            saving=Decimal(),
        )
        before = found.get(tagged, empty)
        if before is None or at_once is None or in_batch is None:
            found[tagged] = None
            continue
        found[tagged] = before._replace(
            requests=before.requests + requests,
            spent=before.spent + at_once,
            saving=before.saving + at_once - in_batch,
        )
    yield from (one for one in found.values() if one is not None)


class _Habits(NamedTuple):
    """Tags whose records come in the same hours, those with most requests, with their
    hours; how many more such tags there are, and whether hours were left off."""

    tags: dict[_Tagged, Hours]
    more_tags: int
    more_hours: bool


def _habits(its: _Its) -> _Habits:
    requests = _standard(its).aggregate(Sum("requests"))["requests__sum"] or 0
    used: defaultdict[_Tagged, list[HourOfDay]] = defaultdict(list)
    totals: dict[_Tagged, int] = {}
    rows = _read(_HABITS, its, every=requests // _SAMPLE + 1)
    for *columns, hour, days, count, of_all in rows[:_MOST]:
        tagged = _Tagged._make(columns)
        used[tagged].append(HourOfDay(hour, days, Decimal(count)))
        totals[tagged] = of_all
    found = {
        tagged: batch_hours.that_wait(hours, Decimal(totals[tagged]))
        for tagged, hours in used.items()
    }
    waiting = {tagged: hours for tagged, hours in found.items() if hours is not None}
    most = sorted(waiting, key=lambda tagged: -totals[tagged])
    # Hours that are used on few days are no habit, and last in the order.
    days_of_next = [days for *_, days, _, _ in rows[_MOST:]]
    return _Habits(
        {tagged: waiting[tagged] for tagged in most[:LISTED]},
        more_tags=len(most[LISTED:]),
        more_hours=any(days >= batch_hours.ENOUGH_DAYS for days in days_of_next),
    )


def _sums(its: _Its, named: Sequence[tuple[_Tagged, Hours]]) -> list[tuple[Any, ...]]:
    """What all records of these tags, in these hours, add up to."""
    every = [
        (place, tagged, hour)
        for place, (tagged, hours) in enumerate(named)
        for hour in hours.hours
    ]
    if not every:
        return []
    return _read(
        _TAGGED,
        its,
        places=[place for place, _, _ in every],
        tags=[json.dumps({tagged.key: tagged.value}) for _, tagged, _ in every],
        projects=[tagged.project_id for _, tagged, _ in every],
        providers=[tagged.provider for _, tagged, _ in every],
        names=[tagged.model_name for _, tagged, _ in every],
        hours=[hour for _, _, hour in every],
    )


def _read(statement: str, its: _Its, **more: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {
                "team": its.team.pk,
                "project": its.project.pk if its.project else None,
                "months": its.window.months,
                "since": its.window.since,
                "end": its.window.end,
                "zone": its.zone.key,
                **more,
            },
        )
        return list(cursor.fetchall())


# --- By hours -----------------------------------------------------------------------

# A project on a model.
_Place = tuple[int, int]


def _by_hour(its: _Its) -> Iterator[_Found]:
    waiting = _hours_that_wait(its)
    if not waiting:
        return
    names = {model_id: key for key, model_id in its.book.model_ids.items()}
    places = Q()
    for project_id, model_id in waiting:
        places |= Q(project_id=project_id, model_id=model_id)
    columns = ("project_id", "model_id", "geo", "endpoint", "context_tier", "hour")
    rows = (
        _standard(its).filter(places).values_list(*columns, "requests", "cost", *TokenClass)
    )
    found: dict[_Place, _Found | None] = {}
    for project_id, model_id, geo, endpoint, tier, hour, requests, cost, *used in rows:
        place = (project_id, model_id)
        hours = waiting[place]
        if hour.astimezone(its.zone).hour not in hours.hours:
            continue
        asked = (names[model_id], geo, endpoint, tier, hour)
        in_batch = its.cost(used, Processing.BATCH, *asked)
        before = found.get(place, _Found(*place, "", hours, 0, Decimal(), Decimal()))
        if before is None or in_batch is None:
            found[place] = None
            continue
        found[place] = before._replace(
            requests=before.requests + requests,
            spent=before.spent + cost,
            saving=before.saving + cost - in_batch,
        )
    yield from (one for one in found.values() if one is not None)


def _standard(its: _Its) -> QuerySet[HourlySpend]:
    narrowed = {"project_id": its.project.pk} if its.project else {}
    return HourlySpend.objects.filter(
        **narrowed,
        team_id=its.team.pk,
        hour__gte=its.window.since,
        hour__lt=its.window.end,
        processing=Processing.STANDARD,
        speed=Speed.STANDARD,
    )


def _hours_that_wait(its: _Its) -> dict[_Place, Hours]:
    """Of each project on a model the hours of the day that could wait."""
    amounts: defaultdict[_Place, defaultdict[int, Decimal]]
    amounts = defaultdict(lambda: defaultdict(Decimal))
    days: defaultdict[tuple[_Place, int], set[date]] = defaultdict(set)
    hourly = _standard(its).values_list("project_id", "model_id", "hour").order_by()
    for project_id, model_id, hour, cost in hourly.annotate(Sum("cost")):
        place, at = (project_id, model_id), hour.astimezone(its.zone)
        amounts[place][at.hour] += cost
        days[place, at.hour].add(at.date())
    found = {
        place: batch_hours.that_wait(
            [HourOfDay(hour, len(days[place, hour]), of) for hour, of in its_hours.items()],
            sum(its_hours.values(), Decimal()),
        )
        for place, its_hours in amounts.items()
    }
    return {place: hours for place, hours in found.items() if hours is not None}
