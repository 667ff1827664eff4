"""What a team's calls cost that were not as its routing policy says.

Each record is held against the policy of its day. Models that may not be used are told by
the daily rollups, for any range; tags and long outputs by the records, of the last 31
days of the range. What has no price yet is held against nothing.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Q, Sum

from billing.models import (
    Charge,
    LanguageModel,
    RoutingPolicy,
    UsageRecord,
    rate_book,
    routing,
)
from billing.models.rate_book import Book
from billing.models.routing import Stretch, Tag
from billing.pricing import engine, money
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Processing
from billing.reports import record_window, records, spend
from billing.reports.record_window import RecordWindow
from teams.models import Project, Team
from teams.reporting_days import ReportingDays

# So many records of each kind are named.
EXAMPLES = 10
_LATELY = timedelta(days=3)


class BreachKind(StrEnum):
    MODEL = "model"  # one that may not be used
    NOT_BATCH = "not_batch"  # a tag that has to wait was not processed in a batch
    LONG_OUTPUT = "long_output"  # more tokens than a call may give out


@dataclass(frozen=True, slots=True)
class Breach:
    """Of one project on one model against one rule: of a tag, or of so many tokens.

    `spent` is all that these requests cost; `cost` what the breach did: all of it for a
    model, what a batch would have cost less for a tag, the tokens above the maximum for
    an output. None where that is not known, for there is no batch price.
    """

    kind: BreachKind
    project: Project
    model: LanguageModel
    rule: str
    requests: int
    spent: Decimal
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Example:
    """A record in breach; the latest of them, of outputs the longest."""

    kind: BreachKind
    project: Project
    model_name: str  # as the provider named it
    record_id: str
    month: date
    occurred_at: datetime
    output: int
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class RoutingBreaches:
    """The days [since, until); records were read from `records_from` on.

    `policies` are those in force on some of these days; without any nothing can be in
    breach. The dearest breaches come first.
    """

    since: date
    until: date
    records_from: date
    policies: list[Stretch]
    rows: list[Breach]
    examples: list[Example]

    @property
    def requests(self) -> dict[BreachKind, int]:
        found: defaultdict[BreachKind, int] = defaultdict(int)
        for row in self.rows:
            found[row.kind] += row.requests
        return dict(found)

    @property
    def costs(self) -> dict[BreachKind, Decimal]:
        """What the breaches of each kind did cost, as far as that is known."""
        found: defaultdict[BreachKind, Decimal] = defaultdict(Decimal)
        for row in self.rows:
            found[row.kind] += row.cost or Decimal()
        return dict(found)


def history(team: Team) -> list[RoutingPolicy]:
    """All policies that a team ever had, the newest change first."""
    return list(RoutingPolicy.objects.filter(team=team).order_by("-pk"))


def breaches(*, team: Team, since: date, until: date, now: datetime) -> RoutingBreaches:
    """What was in breach of the team's policies on the days [since, until)."""
    window = record_window.last_of(ReportingDays(team.organization), since, until, now)
    policies = routing.stretches(team, since, until)
    held = _Held(team, window, policies)
    found = [*_of_models(team.pk, policies), *_not_batch(held), *_long_outputs(held)]
    return RoutingBreaches(
        since=since,
        until=until,
        records_from=window.first,
        policies=policies,
        rows=_rows(found),
        examples=_examples(team, held, policies, found),
    )


def not_in_batch(*, team: Team, since: date, until: date, now: datetime) -> list[Breach]:
    """Of these breaches those of tags that have to wait."""
    window = record_window.last_of(ReportingDays(team.organization), since, until, now)
    return _rows(_not_batch(_Held(team, window, routing.stretches(team, since, until))))


class _Found(NamedTuple):
    """A breach, by ids."""

    kind: BreachKind
    project_id: int
    model_id: int
    rule: str
    requests: int
    spent: Decimal
    cost: Decimal | None


def _rows(found: Sequence[_Found]) -> list[Breach]:
    """With their projects and models, the dearest first."""
    projects = Project.objects.in_bulk({one.project_id for one in found})
    models = LanguageModel.objects.in_bulk({one.model_id for one in found})
    rows = [
        Breach(
            kind=one.kind,
            project=projects[one.project_id],
            model=models[one.model_id],
            rule=one.rule,
            requests=one.requests,
            spent=one.spent,
            cost=one.cost,
        )
        for one in found
        # What was taken back leaves nothing.
        if one.requests or one.spent
    ]
    return sorted(rows, key=lambda one: (-(one.cost or 0), one.project.slug))


# --- Models -------------------------------------------------------------------------


def _of_models(team_id: int, policies: Sequence[Stretch]) -> list[_Found]:
    wrong = Q()
    for since, until, policy in policies:
        if policy.model_ids:
            its_days = Q(day__gte=since, day__lt=until)
            wrong |= its_days & ~Q(model_id__in=policy.model_ids)
    if not wrong:
        return []
    rows = spend.rows([team_id], policies[0].since, policies[-1].until, None, None)
    grouped = rows.filter(wrong).values("project_id", "model_id").order_by()
    sums = grouped.annotate(sum_requests=Sum("requests"), sum_cost=Sum("cost"))
    return [
        _Found(
            kind=BreachKind.MODEL,
            project_id=row["project_id"],
            model_id=row["model_id"],
            rule="",
            requests=row["sum_requests"],
            spent=row["sum_cost"],
            cost=row["sum_cost"],
        )
        for row in sums
        if row["sum_requests"] or row["sum_cost"]
    ]


# --- Records ------------------------------------------------------------------------


class _Rule(NamedTuple):
    """The policy that holds for the moments [since, end)."""

    policy: RoutingPolicy
    since: datetime
    end: datetime


class _Held:
    """The records of a team in a window, and what they are held against."""

    def __init__(self, team: Team, window: RecordWindow, policies: Sequence[Stretch]):
        days = ReportingDays(team.organization)
        self.book: Book = rate_book.current(team.organization_id)
        self._rules = [
            _Rule(policy, days.start(max(since, window.first)), days.start(until))
            for since, until, policy in policies
            if until > window.first
        ]
        self.since, self.end = window.since, window.end
        self._window: dict[str, Any] = {
            "team": team.pk,
            "months": window.months,
            "since": window.since,
            "end": window.end,
        }

    def read(self, statement: str, **more: Any) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement, {**self._window, **more})
            return list(cursor.fetchall())

    @property
    def waiting(self) -> list[tuple[Tag, datetime, datetime]]:
        """Each tag that has to wait, with the moments [since, end) that it does."""
        spans: dict[Tag, list[tuple[datetime, datetime]]] = {}
        for policy, since, end in self._rules:
            for tag in policy.tags:
                its = spans.setdefault(tag, [])
                # One that stays from policy to policy is looked for once.
                begun = its.pop()[0] if its and its[-1][1] == since else since
                its.append((begun, end))
        return [(tag, *span) for tag in sorted(spans) for span in spans[tag]]

    @property
    def maxima(self) -> dict[str, Any]:
        """The most that may be given out, from each start on; before the first any."""
        maxima = [rule.policy.max_output for rule in self._rules]
        return {
            "maxima": maxima,
            "starts": [rule.since for rule in self._rules],
            "least": min((one for one in maxima if one is not None), default=None),
        }


_OF_WINDOW = """
    u.team_id = %(team)s AND u.month = ANY (%(months)s::date[])
    AND u.occurred_at >= %(since)s AND u.occurred_at < %(end)s AND u.unbilled = ''
"""
_EVERY_CHARGE = f"""
JOIN {Charge._meta.db_table} c
ON c.team_id = %(team)s AND c.month = ANY (%(months)s::date[])
    AND c.month = held.month AND c.record_uid = held.uid
"""
# What was taken back is taken off again.
_REQUESTS = """
count(*) FILTER (WHERE c.leg = 0) - count(*) FILTER (WHERE c.leg = -1)
"""

# --- Tags that have to wait ---------------------------------------------------------

_QUANTITIES = ", ".join(f"sum(c.{one})::bigint" for one in TokenClass)


def _which(rules: Sequence[tuple[Tag, datetime, datetime]]) -> tuple[str, dict[str, Any]]:
    """The records that have to wait, each with the place of the first rule that says so;
    and the parameters of that statement."""
    cases: list[str] = []
    said: dict[str, Any] = {}
    for place, (tag, since, end) in enumerate(rules):
        cases.append(
            f"WHEN u.tags @> %(tag_{place})s::jsonb AND u.occurred_at >= %(since_{place})s"
            f" AND u.occurred_at < %(end_{place})s THEN {place}"
        )
        said |= {
            f"tag_{place}": json.dumps({tag.key: tag.value}),
            f"since_{place}": since,
            f"end_{place}": end,
        }
    statement = f"""
SELECT u.month, u.uid, u.occurred_at, CASE {" ".join(cases)} END AS rule
FROM {UsageRecord._meta.db_table} u
WHERE {_OF_WINDOW} AND u.processing <> '{Processing.BATCH}'
"""
    return statement, said


_NOT_BATCH = f"""
WITH held AS ({{}})
SELECT held.rule, c.project_id, c.model_id, c.speed, c.geo, c.endpoint, c.context_tier,
    c.day, {_REQUESTS}, sum(c.cost), {_QUANTITIES}
FROM held {_EVERY_CHARGE}
WHERE held.rule IS NOT NULL
GROUP BY held.rule, c.project_id, c.model_id, c.speed, c.geo, c.endpoint,
    c.context_tier, c.day
"""


def _not_batch(held: _Held) -> list[_Found]:
    rules = held.waiting
    if not rules:
        return []
    waiting, said = _which(rules)
    models = {model_id: key for key, model_id in held.book.model_ids.items()}
    found: dict[_Key, _Found] = {}
    for row in held.read(_NOT_BATCH.format(waiting), **said):
        place, project_id, model_id, speed, geo, endpoint, tier, day, *rest = row
        requests, spent, *quantities = rest
        noon = datetime.combine(day, time(12), UTC)
        rate = held.book.rates.rate(
            models[model_id], Processing.BATCH, speed, geo, endpoint, tier + 1, noon
        )
        in_batch = engine.at_rate(rate, Quantities(*quantities)) if rate else None
        its = _Found(
            kind=BreachKind.NOT_BATCH,
            project_id=project_id,
            model_id=model_id,
            rule=str(rules[place][0]),
            requests=requests,
            spent=spent,
            cost=spent - money.exact(in_batch.cost)
            if isinstance(in_batch, engine.Charge)
            else None,
        )
        _add(found, its)
    return list(found.values())


# --- Long outputs -------------------------------------------------------------------

# `width_bucket` says how many starts are not after a moment: 0 for none.
_ABOVE = f"""
SELECT u.month, u.uid, u.occurred_at, u.output,
    (%(maxima)s::bigint[])[width_bucket(u.occurred_at, %(starts)s::timestamptz[])] AS most
FROM {UsageRecord._meta.db_table} u
WHERE {_OF_WINDOW} AND u.output > %(least)s
"""
# Of a record of several steps each gave out its part of what was too much.
_LONG_OUTPUTS = f"""
WITH held AS ({_ABOVE})
SELECT held.most, c.project_id, c.model_id, c.rate_id, {_REQUESTS}, sum(c.cost),
    sum(c.output::numeric * (held.output - held.most) / held.output)
FROM held {_EVERY_CHARGE}
WHERE held.output > held.most
GROUP BY held.most, c.project_id, c.model_id, c.rate_id
"""


def _long_outputs(held: _Held) -> list[_Found]:
    rules = held.maxima
    if rules["least"] is None:
        return []
    rows = held.read(_LONG_OUTPUTS, **rules)
    prices = rate_book.unit_prices({row[3] for row in rows if row[3] is not None})
    found: dict[_Key, _Found] = {}
    for most, project_id, model_id, rate_id, requests, spent, above in rows:
        price = prices[rate_id][_OUTPUT] if rate_id is not None else 0
        its = _Found(
            kind=BreachKind.LONG_OUTPUT,
            project_id=project_id,
            model_id=model_id,
            rule=f"{most:,} tokens",
            requests=requests,
            spent=spent,
            cost=money.exact(money.nearest(Fraction(above) * (price or 0))),
        )
        _add(found, its)
    return list(found.values())


_OUTPUT = tuple(TokenClass).index(TokenClass.OUTPUT)


# A rule, a project and a model.
_Key = tuple[str, int, int]


def _add(found: dict[_Key, _Found], its: _Found) -> None:
    """Add a part to what is found of its rule, project and model."""
    key = (its.rule, its.project_id, its.model_id)
    before = found.get(key)
    if before is None:
        found[key] = its
        return
    cost = None
    if before.cost is not None and its.cost is not None:
        cost = before.cost + its.cost
    found[key] = its._replace(
        requests=before.requests + its.requests, spent=before.spent + its.spent, cost=cost
    )


# --- Examples -----------------------------------------------------------------------

_LATEST_OF_MODELS = f"""
SELECT c.month, c.record_uid
FROM {Charge._meta.db_table} c
JOIN unnest(%(models)s::bigint[], %(firsts)s::date[], %(untils)s::date[])
    AS wrong (model_id, since, until)
ON wrong.model_id = c.model_id AND c.day >= wrong.since AND c.day < wrong.until
WHERE c.team_id = %(team)s AND c.month = ANY (%(months)s::date[])
    AND c.occurred_at >= %(since)s AND c.occurred_at < %(end)s
    AND c.revision = 0 AND c.leg >= 0
ORDER BY c.occurred_at DESC, c.record_uid LIMIT {EXAMPLES}
"""
_LATEST_WAITING = f"""
WITH held AS ({{}})
SELECT month, uid FROM held WHERE rule IS NOT NULL
ORDER BY occurred_at DESC, uid LIMIT {EXAMPLES}
"""
_LONGEST = f"""
WITH held AS ({_ABOVE})
SELECT month, uid FROM held WHERE output > most ORDER BY output DESC, uid LIMIT {EXAMPLES}
"""


def _examples(
    team: Team, held: _Held, policies: Sequence[Stretch], found: Sequence[_Found]
) -> list[Example]:
    """Of each kind that was found; what was taken back is none."""
    kinds = {one.kind for one in found}
    named: list[_Named] = []
    if BreachKind.LONG_OUTPUT in kinds:
        rows = held.read(_LONGEST, **held.maxima)
        named += [_Named(BreachKind.LONG_OUTPUT, *row) for row in rows]
    if BreachKind.NOT_BATCH in kinds:
        waiting, said = _which(held.waiting)
        rows = _latest(held, _LATEST_WAITING.format(waiting), said)
        named += [_Named(BreachKind.NOT_BATCH, *row) for row in rows]
    if BreachKind.MODEL in kinds:
        wrong = {one.model_id for one in found if one.kind is BreachKind.MODEL}
        rows = _latest(held, _LATEST_OF_MODELS, _days_of(wrong, policies))
        named += [_Named(BreachKind.MODEL, *row) for row in rows]
    return _shown(team.pk, named) if named else []


def _latest(held: _Held, statement: str, said: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The last days mostly have enough of them, and are read in a fraction of the time."""
    lately = max(held.since, held.end - _LATELY)
    rows = held.read(statement, **said | {"since": lately})
    return rows if len(rows) == EXAMPLES else held.read(statement, **said)


class _Named(NamedTuple):
    kind: BreachKind
    month: date
    uid: UUID


def _days_of(models: set[int], policies: Sequence[Stretch]) -> dict[str, Any]:
    """On which days each of these models may not be used."""
    every = [
        (model_id, one.since, one.until)
        for one in policies
        for model_id in sorted(models)
        if one.policy.model_ids and model_id not in one.policy.model_ids
    ]
    return {
        "models": [model_id for model_id, _, _ in every],
        "firsts": [since for _, since, _ in every],
        "untils": [until for _, _, until in every],
    }


def _shown(team_id: int, named: Sequence[_Named]) -> list[Example]:
    months, uids = {one.month for one in named}, {one.uid for one in named}
    its = UsageRecord.objects.filter(team_id=team_id, month__in=months, uid__in=uids)
    read = {record.uid: record for record in its.select_related("project")}
    states = records.states(team_id=team_id, uids=list(uids), months=months)
    return [
        Example(
            kind=one.kind,
            project=record.project,
            model_name=record.model_name,
            record_id=record.record_id,
            month=record.month,
            occurred_at=record.occurred_at,
            output=record.output,
            cost=states[one.uid].cost,
        )
        for one in named
        if states[one.uid].state != "void"
        for record in [read[one.uid]]
    ]
