"""Every call of the last days once more, priced with a draft; nothing is written.

Spend is read from the daily sums wherever they say enough: on a day in which no price
starts, as long as the draft keeps the context tiers. Around a start, and where tiers
move, the calls themselves are looked at, each by its moment and size. So the figures
are those of a re-rate to the last digit.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db import connection

from billing.models import Charge, DailySpend, UnpricedRecord, UsageRecord, recorded
from billing.models.rates import PRICE_FIELDS
from billing.models.recorded import Recorded
from billing.pricing import engine, money
from billing.pricing.engine import Charges
from billing.pricing.rates import Key
from billing.pricing.rates import Rate as PricedRate
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Usage
from billing.reports.draft_books import ONE_DAY, Comparison, midnight
from teams.reporting_days import ReportingDays

T = TypeVar("T")

_READ_AT_ONCE = 5_000


class Moving(NamedTuple):
    """Where a draft moves something, as far as budgets tell such apart."""

    team_id: int
    project_id: int
    model: str  # as the engine names it
    processing: str
    day: date


class Moved:
    """What a draft moves: the difference in each place, and counts."""

    def __init__(self) -> None:
        self.differences: defaultdict[Moving, Decimal] = defaultdict(Decimal)
        self.requests = 0
        self.without_price = 0
        self.newly_priced = 0
        self.newly_priced_cost = Decimal()

    def add(self, of: "Used | _Record", difference: Decimal) -> None:
        model, processing = of.key[:2]
        moving = Moving(of.team_id, of.project_id, model, processing, of.day)
        self.differences[moving] += difference


def moved(team_ids: list[int], comparison: Comparison, days: ReportingDays) -> Moved:
    """What the draft of a comparison moves for teams that are visible now."""
    found = Moved()
    sums = _daily_sums(team_ids, comparison)
    for used in (*sums.enough, *_calls(team_ids, comparison, sums.apart)):
        _reprice(used, comparison, found)
    _one_by_one(team_ids, comparison, sums.apart, found)
    _price_unpriced(team_ids, comparison, days, found)
    return found


class Used(NamedTuple):
    """Calls that one rate prices: of one size as far as tiers go, at one time."""

    team_id: int
    project_id: int
    key: Key
    day: date
    at: datetime
    size: int
    requests: int
    quantities: Quantities
    cost: Decimal


_KEY_COLUMNS = ("processing", "speed", "geo", "endpoint")


class _Sums(NamedTuple):
    """The daily sums that suffice, and the days of keys on which they do not."""

    enough: list[Used]
    apart: set[tuple[Key, date]]


def _daily_sums(team_ids: list[int], comparison: Comparison) -> _Sums:
    sums: list[Used] = []
    apart: set[tuple[Key, date]] = set()
    for row in _daily(team_ids, comparison):
        used = _of_sum(row, comparison)
        if used.key not in comparison.keys or not any(used.quantities):
            continue
        sums.append(used)
        starts = comparison.starts_near(used.key, used.day)
        kept = comparison.keeps_tier(used.key, row["context_tier"], used.at)
        if starts or not kept or used.quantities.session:
            apart.add((used.key, used.day))
    return _Sums([one for one in sums if (one.key, one.day) not in apart], apart)


def _daily(team_ids: list[int], comparison: Comparison) -> list[dict[str, Any]]:
    columns = ("team_id", "project_id", "model_id", *_KEY_COLUMNS, "context_tier", "day")
    days = DailySpend.objects.filter(
        team_id__in=team_ids,
        day__gte=comparison.since,
        day__lt=comparison.until,
        model_id__in=comparison.model_ids,
    )
    return list(days.values(*columns, "requests", *PRICE_FIELDS, "cost"))


def _of_sum(row: dict[str, Any], comparison: Comparison) -> Used:
    model = comparison.model_keys[row["model_id"]]
    return Used(
        team_id=row["team_id"],
        project_id=row["project_id"],
        key=(model, *(row[name] for name in _KEY_COLUMNS)),
        day=row["day"],
        at=midnight(row["day"]) + ONE_DAY / 2,
        # The smallest call above the tier's bound stands for all of them.
        size=row["context_tier"] + 1,
        requests=row["requests"],
        quantities=Quantities(*(row[name] for name in PRICE_FIELDS)),
        cost=row["cost"],
    )


# A context tier is measured by the classes that `total_input` adds up.
_MEASURED = [
    f"u.{name}"
    for at, name in enumerate(PRICE_FIELDS)
    if Quantities(*(int(at == other) for other in range(len(PRICE_FIELDS)))).total_input
]
_SUMS = ", ".join(f"sum(c.{name})::bigint" for name in PRICE_FIELDS)
_OF_CALLS = f"""
FROM {Charge._meta.db_table} c
JOIN {UsageRecord._meta.db_table} u
ON u.team_id = c.team_id AND u.month = c.month AND u.uid = c.record_uid
WHERE c.team_id = ANY(%(teams)s) AND c.month = ANY(%(months)s)
AND c.model_id = ANY(%(models)s) AND c.day = ANY(%(days)s) AND u.unbilled = ''
"""
# Several calls, each of a size of its own; or time, of which each call is rounded.
_ONE_BY_ONE = "(u.verbatim IS NOT NULL OR u.session > 0)"
# A bound is exceeded by what is strictly larger, a start is inclusive.
_CALLS = f"""
SELECT c.team_id, c.project_id, c.model_id, c.processing, c.speed, c.geo, c.endpoint,
    c.day, width_bucket(c.occurred_at, %(starts)s::timestamptz[]) AS started,
    width_bucket({" + ".join(_MEASURED)} - 1, %(bounds)s::bigint[]) AS exceeded,
    count(*) FILTER (WHERE c.leg = 0 AND c.revision = 0), {_SUMS}, sum(c.cost)
{_OF_CALLS} AND NOT {_ONE_BY_ONE}
GROUP BY c.team_id, c.project_id, c.model_id, c.processing, c.speed, c.geo, c.endpoint,
    c.day, started, exceeded
"""


def _calls(
    team_ids: list[int], comparison: Comparison, apart: set[tuple[Key, date]]
) -> Iterator[Used]:
    """The calls of these days, grouped by what decides on their rate."""
    for row in _rows(_CALLS, team_ids, comparison, apart):
        team_id, project_id, model_id, *conditions = row[:7]
        day, started, exceeded, requests, *quantities, cost = row[7:]
        key = (comparison.model_keys[model_id], *conditions)
        if (key, day) in apart:
            starts, bounds = comparison.every_start, comparison.every_bound
            yield Used(
                team_id=team_id,
                project_id=project_id,
                key=key,
                day=day,
                at=starts[started - 1] if started else comparison.earliest,
                size=bounds[exceeded - 1] + 1 if exceeded else 0,
                requests=requests,
                quantities=Quantities(*quantities),
                cost=cost,
            )


def _rows(
    statement: str,
    team_ids: list[int],
    comparison: Comparison,
    apart: set[tuple[Key, date]],
) -> list[tuple[Any, ...]]:
    days = sorted({day for _, day in apart})
    if not days:
        return []
    # A reporting day may begin in the UTC month before, or end in the next.
    around = {day + offset for day in days for offset in (-ONE_DAY, ONE_DAY * 0, ONE_DAY)}
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {
                "teams": team_ids,
                "months": sorted({day.replace(day=1) for day in around}),
                "models": comparison.model_ids,
                "days": days,
                "starts": comparison.every_start,
                "bounds": comparison.every_bound,
            },
        )
        return list(cursor.fetchall())


def _reprice(used: Used, comparison: Comparison, found: Moved) -> None:
    before = comparison.before.rate(*used.key, used.size, used.at)
    after = comparison.after.rate(*used.key, used.size, used.at)
    if _is_same(before, after):
        return
    cost = _cost(used.quantities, after)
    if cost is None:
        found.without_price += used.requests
        return
    found.requests += used.requests
    found.add(used, money.exact(cost) - used.cost)


def _is_same(one: PricedRate | None, other: PricedRate | None) -> bool:
    return (one and one.id) == (other and other.id)


def _cost(quantities: Quantities, rate: PricedRate | None) -> int | None:
    """In 10⁻¹⁵ of the currency unit; None where a class that was used has no price."""
    if rate is None:
        return None
    cost: int | Fraction = 0
    for quantity, unit_price in zip(quantities, rate.prices, strict=True):
        if quantity:
            if unit_price is None:
                return None
            cost += quantity * unit_price
    return money.nearest(cost)


# --- Records that are priced one by one ---------------------------------------------

_RECORDS = f"""
SELECT c.team_id, c.project_id, c.record_uid, c.month, c.day, c.model_id,
    c.processing, c.speed, c.geo, c.endpoint, sum(c.cost)
{_OF_CALLS} AND {_ONE_BY_ONE}
GROUP BY c.team_id, c.project_id, c.record_uid, c.month, c.day, c.model_id,
    c.processing, c.speed, c.geo, c.endpoint
"""


class _Record(NamedTuple):
    """A record whose steps are priced one by one, and what its key has cost."""

    team_id: int
    project_id: int
    uid: UUID
    month: date
    day: date
    key: Key
    cost: Decimal


def _one_by_one(
    team_ids: list[int],
    comparison: Comparison,
    apart: set[tuple[Key, date]],
    found: Moved,
) -> None:
    by_team: defaultdict[int, list[_Record]] = defaultdict(list)
    for row in _rows(_RECORDS, team_ids, comparison, apart):
        team_id, project_id, uid, month, day, model_id, *conditions, cost = row
        key = (comparison.model_keys[model_id], *conditions)
        if (key, day) in apart:
            by_team[team_id].append(
                _Record(team_id, project_id, uid, month, day, key, cost)
            )
    for team_id, its in by_team.items():
        for records in _parts(its):
            months = sorted({one.month for one in records})
            read = recorded.read(team_id, [one.uid for one in records], months)
            usages = {UUID(one.uid): recorded.usage_of(one) for one in read}
            for record in records:
                _reprice_steps(record, usages[record.uid], comparison, found)


def _parts(records: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(records), _READ_AT_ONCE):
        yield records[start : start + _READ_AT_ONCE]


def _reprice_steps(
    record: _Record, usage: Usage, comparison: Comparison, found: Moved
) -> None:
    total, same = 0, True
    for step in usage.steps:
        if comparison.before.model(usage.provider, step.model) != record.key[0]:
            continue
        asked = (*record.key, step.quantities.total_input, usage.occurred_at)
        after = comparison.after.rate(*asked)
        same = same and _is_same(comparison.before.rate(*asked), after)
        cost = _cost(step.quantities, after)
        if cost is None:
            found.without_price += 1
            return
        total += cost
    if not same:
        found.requests += 1
        found.add(record, money.exact(total) - record.cost)


# --- Records without a price --------------------------------------------------------


def _price_unpriced(
    team_ids: list[int], comparison: Comparison, days: ReportingDays, found: Moved
) -> None:
    """What the draft gives a price to that has none: it is counted after publication."""
    waiting = UnpricedRecord.objects.filter(
        team_id__in=team_ids,
        model_name__in=comparison.model_keys.values(),
        month__gte=(comparison.since - ONE_DAY).replace(day=1),
    ).values_list("team_id", "record_uid", "month")
    by_team: defaultdict[int, list[tuple[UUID, date]]] = defaultdict(list)
    for team_id, uid, month in waiting:
        by_team[team_id].append((uid, month))
    for team_id, its in by_team.items():
        for part in _parts(its):
            uids = [uid for uid, _ in part]
            for record in recorded.read(team_id, uids, sorted({one for _, one in part})):
                _price_one(team_id, record, comparison, days, found)


def _price_one(
    team_id: int,
    record: Recorded,
    comparison: Comparison,
    days: ReportingDays,
    found: Moved,
) -> None:
    day = days.day(record.occurred_at)
    priced = engine.price(recorded.usage_of(record), comparison.after)
    if isinstance(priced, Charges) and comparison.since <= day < comparison.until:
        found.newly_priced += 1
        found.newly_priced_cost += money.exact(priced.cost)
        for charge in priced.charges:
            moving = Moving(
                team_id, record.project_id, charge.model, record.processing, day
            )
            found.differences[moving] += money.exact(charge.cost)
