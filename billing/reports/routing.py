"""What a team's calls cost that were not as its routing policy says.

Each record is held against the policy of its moment. Models that may not be used are told
by the daily rollups, for any range, and by the charges of days within which a policy began;
tags and long outputs by the records, of the last 31 days of the range. What has no price
yet is held against nothing.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet, Sum

from billing.models import (
    Charge,
    DailySpend,
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
from billing.reports.record_window import UNCOUNTED, RecordWindow
from teams.models import Project, Team
from teams.reporting_days import ReportingDays

# So many records of each kind are named.
EXAMPLES = 10
_LATELY = timedelta(days=3)
_ONE_DAY = timedelta(days=1)


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


def history(team: Team) -> QuerySet[RoutingPolicy]:
    """All policies that a team ever had, the newest change first."""
    return RoutingPolicy.objects.filter(team=team).order_by("-pk")


def breaches(*, team: Team, since: date, until: date, now: datetime) -> RoutingBreaches:
    """What was in breach of the team's policies on the days [since, until)."""
    days = ReportingDays(team.organization)
    window = record_window.last_of(days, since, until, now)
    policies = routing.stretches(team, days.start(since), days.start(until))
    of_models = _of_models(team.pk, days, policies)
    held = _held(team, window, policies)
    found = [*of_models, *held.not_batch, *held.long_outputs]
    return RoutingBreaches(
        since=since,
        until=until,
        records_from=window.first,
        policies=policies,
        rows=_rows(found),
        examples=_examples(team.pk, window, policies, of_models, held),
    )


def not_in_batch(*, team: Team, since: date, until: date, now: datetime) -> list[Breach]:
    """Of these breaches those of tags that have to wait."""
    days = ReportingDays(team.organization)
    window = record_window.last_of(days, since, until, now)
    policies = routing.stretches(team, window.since, window.end)
    return _rows(_held(team, window, policies, outputs=False).not_batch)


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
    ]
    return sorted(rows, key=lambda one: (-(one.cost or 0), one.project.slug))


# What was taken back is taken off again.
_REQUESTS = """
count(*) FILTER (WHERE c.leg = 0) - count(*) FILTER (WHERE c.leg = -1)
"""

# --- Models -------------------------------------------------------------------------

# A project and a model.
_Place = tuple[int, int]


class _Sum(NamedTuple):
    requests: int = 0
    cost: Decimal = Decimal()

    def plus(self, requests: int, cost: Decimal) -> "_Sum":
        return _Sum(self.requests + requests, self.cost + cost)


def _of_models(
    team_id: int, days: ReportingDays, policies: Sequence[Stretch]
) -> list[_Found]:
    """A day is held against the policy that it begins under; what was called on it after
    another one had begun is put right."""
    sums: defaultdict[_Place, _Sum] = defaultdict(_Sum)
    for row in _by_day(team_id, days, policies):
        place = (row["project_id"], row["model_id"])
        sums[place] = sums[place].plus(row["sum_requests"], row["sum_cost"])
    for sign, project_id, model_id, requests, cost in _put_right(team_id, days, policies):
        place = (project_id, model_id)
        sums[place] = sums[place].plus(sign * requests, sign * cost)
    return [
        _Found(
            kind=BreachKind.MODEL,
            project_id=project_id,
            model_id=model_id,
            rule="",
            requests=its.requests,
            spent=its.cost,
            cost=its.cost,
        )
        for (project_id, model_id), its in sums.items()
        if its.requests or its.cost
    ]


def _by_day(
    team_id: int, days: ReportingDays, policies: Sequence[Stretch]
) -> Iterable[Mapping[str, Any]]:
    wrong = Q()
    for since, until, policy in policies:
        if policy.model_ids:
            its_days = Q(day__gte=_next_day(days, since), day__lt=_next_day(days, until))
            wrong |= its_days & ~Q(model_id__in=policy.model_ids)
    if not wrong:
        return ()
    first, last = policies[0].since, policies[-1].until
    rows = spend.rows([team_id], days.day(first), _next_day(days, last), None, None)
    grouped = rows.filter(wrong).values("project_id", "model_id").order_by()
    return grouped.annotate(sum_requests=Sum("requests"), sum_cost=Sum("cost"))


def _next_day(days: ReportingDays, at: datetime) -> date:
    """The first day that begins at this moment or after it."""
    day = days.day(at)
    return day if days.start(day) >= at else day + _ONE_DAY


class _Begun(NamedTuple):
    """The moments [since, until) of a day, under a policy that began on it; and the one
    that the day began under."""

    day: date
    since: datetime
    until: datetime
    policy: RoutingPolicy
    before: RoutingPolicy | None

    def changed(self, models: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Of these the models that may not be used any more (1), or may again (−1)."""
        for model_id in models:
            now, then = _forbids(self.policy, model_id), _forbids(self.before, model_id)
            if now != then:
                yield model_id, now - then


def _forbids(policy: RoutingPolicy | None, model_id: int) -> bool:
    return policy is not None and policy.forbids(model_id)


def _begun(days: ReportingDays, policies: Sequence[Stretch]) -> Iterator[_Begun]:
    """Of each policy that began within a day the rest of that day."""
    before: dict[date, RoutingPolicy | None] = {}
    previous: Stretch | None = None
    for one in policies:
        day = days.day(one.since)
        if days.start(day) < one.since:
            begun_under = previous.policy if previous else None
            before.setdefault(day, begun_under)
            until = min(one.until, days.start(day + _ONE_DAY))
            yield _Begun(day, one.since, until, one.policy, before[day])
        previous = one


_OF_BEGUN = f"""
SELECT begun.sign, c.project_id, c.model_id, {_REQUESTS}, sum(c.cost)
FROM {Charge._meta.db_table} c
JOIN unnest(%(signs)s::int[], %(models)s::bigint[], %(days)s::date[],
    %(sinces)s::timestamptz[], %(untils)s::timestamptz[])
    AS begun (sign, model_id, day, since, until)
ON begun.model_id = c.model_id AND begun.day = c.day
    AND c.occurred_at >= begun.since AND c.occurred_at < begun.until
WHERE c.team_id = %(team)s AND c.month = ANY (%(months)s::date[])
GROUP BY begun.sign, c.project_id, c.model_id
"""


def _put_right(
    team_id: int, days: ReportingDays, policies: Sequence[Stretch]
) -> list[tuple[Any, ...]]:
    """What the policy of a day's beginning did not forbid (1), or did (−1), but the one of
    the moment does: sign, project, model, requests, cost."""
    begun = list(_begun(days, policies))
    used = DailySpend.objects.filter(team_id=team_id, day__in={one.day for one in begun})
    models: defaultdict[date, set[int]] = defaultdict(set)
    for day, model_id in used.order_by().values_list("day", "model_id").distinct():
        models[day].add(model_id)
    changed = [
        (sign, model_id, one)
        for one in begun
        for model_id, sign in one.changed(sorted(models[one.day]))
    ]
    if not changed:
        return []
    months = {
        at.astimezone(UTC).date().replace(day=1)
        for _, _, one in changed
        for at in (one.since, one.until)
    }
    asked = {
        "team": team_id,
        "months": sorted(months),
        "signs": [sign for sign, _, _ in changed],
        "models": [model_id for _, model_id, _ in changed],
        "days": [one.day for _, _, one in changed],
        "sinces": [one.since for _, _, one in changed],
        "untils": [one.until for _, _, one in changed],
    }
    return _read(_OF_BEGUN, asked)


# --- Tags that have to wait, and long outputs ---------------------------------------


class _Held(NamedTuple):
    """Records of a window that were in breach; of each kind the uids of some of them."""

    not_batch: list[_Found]
    long_outputs: list[_Found]
    waiting: list[UUID]
    longest: list[UUID]


_NONE_HELD = _Held([], [], [], [])


def _held(
    team: Team,
    window: RecordWindow,
    policies: Sequence[Stretch],
    *,
    outputs: bool = True,
) -> _Held:
    """Hold the records of a window against these policies: all are read once, for both
    rules; `outputs` says whether for that of outputs, too."""
    rules = _waiting(policies)
    maxima = [one.policy.max_output for one in policies if outputs]
    least = min((one for one in maxima if one is not None), default=None)
    if not rules and least is None:
        return _NONE_HELD
    waits, said = _which(rules)
    asked = {
        **_of(team.pk, window),
        **said,
        "maxima": maxima,
        "starts": [one.since for one in policies if outputs],
        "least": least,
    }
    book = rate_book.current(team.organization_id)
    (waiting, longest, *_), *rows = _read(_HELD.format(waits=waits), asked)
    parts = list(_parts(rows))
    return _Held(
        not_batch=_not_batch(parts, [str(tag) for tag, _, _ in rules], book),
        long_outputs=_long_outputs(parts),
        waiting=waiting,
        longest=longest,
    )


def _waiting(policies: Sequence[Stretch]) -> list[tuple[Tag, datetime, datetime]]:
    """Each tag that has to wait, with the moments [since, end) that it does."""
    spans: dict[Tag, list[tuple[datetime, datetime]]] = {}
    for since, end, policy in policies:
        for tag in policy.tags:
            its = spans.setdefault(tag, [])
            # One that stays from policy to policy is looked for once.
            begun = its.pop()[0] if its and its[-1][1] == since else since
            its.append((begun, end))
    return [(tag, *span) for tag in sorted(spans) for span in spans[tag]]


def _which(rules: Sequence[tuple[Tag, datetime, datetime]]) -> tuple[str, dict[str, Any]]:
    """The place of the first rule that says that a record has to wait, as an expression;
    and its parameters."""
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
    if not cases:
        return "NULL::int", {}
    batch = f"WHEN u.processing = '{Processing.BATCH}' THEN NULL"
    return f"CASE {batch} {' '.join(cases)} END", said


_QUANTITIES = ", ".join(f"sum(c.{one})::bigint" for one in TokenClass)
_GROUP = """
held.rule, held.most, c.project_id, c.model_id, c.rate_id, c.speed, c.geo, c.endpoint,
    c.context_tier, c.day
"""
# `width_bucket` says how many starts are not after a moment: 0 for none. Of a record of
# several steps each gave out its part of what was too much. The first row has the uids
# alone, all others the sums.
_HELD = f"""
WITH held AS MATERIALIZED (
    SELECT uid, occurred_at, output, rule, CASE WHEN output > most THEN most END AS most
    FROM (
        SELECT u.uid, u.occurred_at, u.output, {{waits}} AS rule,
            CASE WHEN u.output > %(least)s THEN (%(maxima)s::bigint[])[
                width_bucket(u.occurred_at, %(starts)s::timestamptz[])] END AS most
        FROM {UsageRecord._meta.db_table} u
        WHERE u.team_id = %(team)s AND u.month = ANY (%(months)s::date[])
            AND u.occurred_at >= %(since)s AND u.occurred_at < %(end)s AND u.unbilled = ''
            AND u.uid NOT IN ({UNCOUNTED})
    ) its
    WHERE rule IS NOT NULL OR output > most
),
examples AS (
    SELECT ARRAY(SELECT uid FROM held WHERE rule IS NOT NULL
            ORDER BY occurred_at DESC, uid LIMIT {EXAMPLES}) AS waiting,
        ARRAY(SELECT uid FROM held WHERE most IS NOT NULL
            ORDER BY output DESC, uid LIMIT {EXAMPLES}) AS longest
),
sums AS (
    SELECT {_GROUP}, {_REQUESTS}, sum(c.cost),
        sum(c.output::numeric * (held.output - held.most) / held.output), {_QUANTITIES}
    FROM held JOIN {Charge._meta.db_table} c
    ON c.team_id = %(team)s AND c.month = ANY (%(months)s::date[])
        AND c.record_uid = held.uid
    GROUP BY {_GROUP}
)
SELECT * FROM examples FULL JOIN sums ON false ORDER BY examples.waiting IS NULL
"""


class _Part(NamedTuple):
    """What records that broke a rule add up to at one rate on one day. `rule` is the place
    of the tag that has to wait, `most` the maximum that they are above, by `above` tokens
    in all; None where they do not break that rule."""

    rule: int | None
    most: int | None
    project_id: int
    model_id: int
    rate_id: int | None
    speed: str
    geo: str
    endpoint: str
    context_tier: int
    day: date
    requests: int
    spent: Decimal
    above: Decimal | None
    quantities: Quantities


def _parts(rows: Iterable[tuple[Any, ...]]) -> Iterator[_Part]:
    size = len(_Part._fields) - 1
    for _, _, *row in rows:
        yield _Part._make((*row[:size], Quantities(*row[size:])))


def _not_batch(parts: Sequence[_Part], rules: Sequence[str], book: Book) -> list[_Found]:
    models = {model_id: key for key, model_id in book.model_ids.items()}
    found: dict[_Key, _Found] = {}
    for one in parts:
        if one.rule is None:
            continue
        conditions = (one.speed, one.geo, one.endpoint, one.context_tier + 1)
        noon = datetime.combine(one.day, time(12), UTC)
        rate = book.rates.rate(models[one.model_id], Processing.BATCH, *conditions, noon)
        in_batch = engine.at_rate(rate, one.quantities) if rate else None
        cost = None
        if isinstance(in_batch, engine.Charge):
            cost = one.spent - money.exact(in_batch.cost)
        _add(found, _of_part(BreachKind.NOT_BATCH, rules[one.rule], one, cost))
    return list(found.values())


def _long_outputs(parts: Sequence[_Part]) -> list[_Found]:
    prices = rate_book.unit_prices({one.rate_id for one in parts if one.rate_id})
    found: dict[_Key, _Found] = {}
    for one in parts:
        if one.most is None or one.above is None:
            continue
        price = prices[one.rate_id][_OUTPUT] if one.rate_id else 0
        cost = money.exact(money.nearest(Fraction(one.above) * (price or 0)))
        rule = f"{one.most:,} tokens"
        _add(found, _of_part(BreachKind.LONG_OUTPUT, rule, one, cost))
    return list(found.values())


_OUTPUT = tuple(TokenClass).index(TokenClass.OUTPUT)


def _of_part(kind: BreachKind, rule: str, part: _Part, cost: Decimal | None) -> _Found:
    return _Found(
        kind=kind,
        project_id=part.project_id,
        model_id=part.model_id,
        rule=rule,
        requests=part.requests,
        spent=part.spent,
        cost=cost,
    )


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
SELECT c.record_uid FROM {Charge._meta.db_table} c
JOIN unnest(%(models)s::bigint[], %(sinces)s::timestamptz[], %(untils)s::timestamptz[])
    AS forbidden (model_id, since, until)
ON forbidden.model_id = c.model_id
    AND c.occurred_at >= forbidden.since AND c.occurred_at < forbidden.until
WHERE c.team_id = %(team)s AND c.month = ANY (%(months)s::date[])
    AND c.occurred_at >= %(since)s AND c.occurred_at < %(end)s
    AND c.revision = 0 AND c.leg >= 0 AND c.record_uid NOT IN ({UNCOUNTED})
ORDER BY c.occurred_at DESC, c.record_uid LIMIT {EXAMPLES}
"""


def _examples(
    team_id: int,
    window: RecordWindow,
    policies: Sequence[Stretch],
    of_models: Sequence[_Found],
    held: _Held,
) -> list[Example]:
    """Of each kind that was found."""
    named = [(BreachKind.LONG_OUTPUT, uid) for uid in held.longest]
    named += [(BreachKind.NOT_BATCH, uid) for uid in held.waiting]
    if of_models:
        forbidden = _forbidden({one.model_id for one in of_models}, policies)
        asked = {**_of(team_id, window), **forbidden}
        named += [(BreachKind.MODEL, uid) for uid in _latest(asked)]
    return _shown(team_id, window.months, named) if named else []


def _forbidden(models: set[int], policies: Sequence[Stretch]) -> dict[str, Any]:
    """At which moments each of these models may not be used."""
    every = [
        (model_id, one)
        for one in policies
        for model_id in sorted(models)
        if one.policy.forbids(model_id)
    ]
    return {
        "models": [model_id for model_id, _ in every],
        "sinces": [one.since for _, one in every],
        "untils": [one.until for _, one in every],
    }


def _latest(asked: dict[str, Any]) -> list[UUID]:
    """The last days mostly have enough of them, and are read in a fraction of the time."""
    lately = max(asked["since"], asked["end"] - _LATELY)
    rows = _read(_LATEST_OF_MODELS, asked | {"since": lately})
    if len(rows) < EXAMPLES:
        rows = _read(_LATEST_OF_MODELS, asked)
    # A record of several steps may be there more than once.
    return list(dict.fromkeys(uid for (uid,) in rows))


def _shown(
    team_id: int, months: Sequence[date], named: Sequence[tuple[BreachKind, UUID]]
) -> list[Example]:
    uids = {uid for _, uid in named}
    its = UsageRecord.objects.filter(team_id=team_id, month__in=months, uid__in=uids)
    read = {record.uid: record for record in its.select_related("project")}
    states = records.states(team_id=team_id, uids=list(uids), months=set(months))
    return [
        Example(
            kind=kind,
            project=record.project,
            model_name=record.model_name,
            record_id=record.record_id,
            month=record.month,
            occurred_at=record.occurred_at,
            output=record.output,
            cost=states[uid].cost,
        )
        for kind, uid in named
        for record in [read[uid]]
    ]


# --- Statements ---------------------------------------------------------------------


def _of(team_id: int, window: RecordWindow) -> dict[str, Any]:
    return {
        "team": team_id,
        "months": window.months,
        "since": window.since,
        "end": window.end,
    }


def _read(statement: str, asked: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
        return list(cursor.fetchall())
