"""The price of charged records once more: what differs, and the charges that mend it.

A chunk is a run of one team's records of one UTC month, in the order of their uids.
Nothing here is edited: a record whose price differs gets another revision, which takes
back the one in force, leg by leg, and charges anew. What both come to is added to the
rollups and the budgets in the same transaction.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from operator import add
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from billing.actions import budget_totals, charges
from billing.actions.batch import Batch
from billing.actions.budget_totals import Spent
from billing.models import (
    Charge,
    DailySpend,
    HourlySpend,
    Rate,
    UsageRecord,
    rate_book,
    recorded,
)
from billing.models.rollups import SPEND_KEY
from billing.pricing import engine, money
from billing.pricing.engine import Charge as PricedCharge
from billing.pricing.engine import Charges, Unpriced
from billing.pricing.months import first_open_month
from billing.pricing.rates import NO_PRICES, Prices
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Usage

logger = logging.getLogger(__name__)

_CHARGE = Charge._meta.db_table
_RECORD = UsageRecord._meta.db_table


class Extent(NamedTuple):
    """Which records of a chunk: of what is charged on these models in this time."""

    month: date
    above: str  # a uid, or the smallest one there is
    upto: str
    since: datetime
    until: datetime
    model_ids: frozenset[int]  # none: all

    def has(self, legs: Sequence["_InForce"]) -> bool:
        return not self.model_ids or any(leg.model_id in self.model_ids for leg in legs)


class NewLeg(NamedTuple):
    """One charge of a new revision, in the order of its columns below."""

    record_uid: str
    revision: int  # the one in force, which it replaces
    leg: int
    model_id: int
    rate_id: int | None
    context_tier: int
    cost: str
    quantities: Quantities


@dataclass(slots=True)
class Findings:
    """What a look at some records came to. `uids` are those whose price differs."""

    records: int = 0
    kept: int = 0
    cost: Decimal = Decimal()
    difference: Decimal = Decimal()
    uids: list[str] = field(default_factory=list)
    revisions: list[int] = field(default_factory=list)
    # Of a re-rate, by record: the rate of the one call and its cost, or neither and `legs`.
    rate_ids: list[int | None] = field(default_factory=list)
    costs: list[str | None] = field(default_factory=list)
    legs: list[NewLeg] = field(default_factory=list)
    # Of a reversal, by record: the revision to go back to.
    targets: list[int] = field(default_factory=list)


# --- Which records ------------------------------------------------------------------

LOWEST_UID = "00000000-0000-0000-0000-000000000000"
HIGHEST_UID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

# Every record has this one charge, whatever others it has.
_BOUND = f"""
SELECT record_uid::text FROM {_CHARGE}
WHERE team_id = %s AND month = %s AND record_uid > %s AND revision = 0 AND leg = 0
ORDER BY record_uid OFFSET %s LIMIT 1
"""


def bound(team_id: int, month: date, above: str, records: int) -> str:
    """The uid of the last of the next so many records; HIGHEST_UID when fewer are left."""
    with connection.cursor() as cursor:
        cursor.execute(_BOUND, [team_id, month, above, records - 1])
        row = cursor.fetchone()
    return str(row[0]) if row else HIGHEST_UID


# --- At today's prices --------------------------------------------------------------


class _InForce(NamedTuple):
    """One charge of a record, and what the price of most records depends on."""

    record_uid: str
    revision: int
    leg: int
    model_id: int
    rate_id: int | None
    cost: Decimal
    occurred: int  # in microseconds since 1970: a date of its own for each is dear
    processing: str
    speed: str
    geo: str
    endpoint: str
    provider: str
    model_name: str
    in_columns: bool  # the record's price follows from its columns
    quantities: Quantities

    @property
    def occurred_at(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.occurred)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEFORE_QUANTITIES = _InForce._fields.index("quantities")

_IN_FORCE = f"""
SELECT c.record_uid::text, c.revision, c.leg, c.model_id, c.rate_id, c.cost,
    (extract(epoch FROM c.occurred_at) * 1000000)::bigint,
    c.processing, c.speed, c.geo, c.endpoint, u.provider, u.model_name,
    u.verbatim IS NULL AND u.unbilled = '', {", ".join(f"c.{name}" for name in TokenClass)}
FROM {_CHARGE} c
JOIN {_RECORD} u ON u.team_id = c.team_id AND u.month = c.month AND u.uid = c.record_uid
WHERE c.team_id = %(team)s AND c.month = %(month)s
    AND c.record_uid > %(above)s AND c.record_uid <= %(upto)s AND c.leg >= 0
    AND c.occurred_at >= %(since)s AND c.occurred_at < %(until)s
    AND u.team_id = %(team)s AND u.month = %(month)s
    AND u.uid > %(above)s AND u.uid <= %(upto)s
ORDER BY c.record_uid, c.revision, c.leg
"""


def at_current_prices(batch: Batch, extent: Extent) -> Findings:
    """Price the records of a chunk with the batch's book; writes nothing.

    A record that has no price now keeps its charges.
    """
    found = Findings()
    rows = _in_force(batch.team_id, extent)
    former = _Former(row.rate_id for row in rows)
    in_steps: list[list[_InForce]] = []
    for legs in _last_pricings(rows):
        if not extent.has(legs):
            continue
        found.records += 1
        if len(legs) > 1 or not legs[0].in_columns:
            in_steps.append(legs)
        else:
            _look_at_step(batch, legs[0], former, found)
    read = _read(batch, extent, in_steps)
    for legs in in_steps:
        _look_at_steps(batch, legs, read.get(legs[0].record_uid), former, found)
    return found


def _in_force(team_id: int, extent: Extent) -> list[_InForce]:
    with connection.cursor() as cursor:
        cursor.execute(_IN_FORCE, {"team": team_id, **_named(extent)})
        return [
            _InForce(
                *row[:_BEFORE_QUANTITIES],
                Quantities(*row[_BEFORE_QUANTITIES:]),  # type: ignore[call-arg]
            )
            for row in cursor.fetchall()
        ]


def _named(extent: Extent) -> dict[str, Any]:
    return {**extent._asdict(), "model_ids": list(extent.model_ids)}


def _last_pricings(rows: Iterable[_InForce]) -> Iterator[list[_InForce]]:
    """Of each record the charges of its last revision: those in force."""
    legs: list[_InForce] = []
    for row in rows:
        if legs and row.record_uid != legs[0].record_uid:
            yield legs
            legs = []
        elif legs and row.revision != legs[0].revision:
            legs = []
        legs.append(row)
    if legs:
        yield legs


class _Former:
    """The unit prices that charges were made at."""

    def __init__(self, rate_ids: Iterable[int | None]) -> None:
        self._prices = rate_book.unit_prices({one for one in rate_ids if one})
        self._differ: dict[tuple[int | None, int | None], list[int]] = {}

    def differs(self, leg: _InForce, charge: PricedCharge) -> bool:
        """Whether a class that was used had another price."""
        key = (leg.rate_id, charge.rate.id if charge.rate else None)
        if key not in self._differ:
            old = self._prices[leg.rate_id] if leg.rate_id else NO_PRICES
            new = charge.rate.prices if charge.rate else NO_PRICES
            pairs = enumerate(zip(old, new, strict=True))
            self._differ[key] = [n for n, (before, now) in pairs if before != now]
        return any(leg.quantities[position] for position in self._differ[key])


def _look_at_step(batch: Batch, leg: _InForce, former: _Former, found: Findings) -> None:
    """A record of one call, whose one charge has all that its price depends on."""
    found.cost += leg.cost
    model = batch.book.rates.model(leg.provider, leg.model_name)
    rate = None
    if model is not None:
        rate = batch.book.rates.rate(
            model,
            leg.processing,
            leg.speed,
            leg.geo,
            leg.endpoint,
            leg.quantities.total_input,
            leg.occurred_at,
        )
    if rate is None:
        found.kept += 1
        return
    if rate.id == leg.rate_id:
        return
    charge = engine.at_rate(rate, leg.quantities)
    if isinstance(charge, Unpriced):
        found.kept += 1
        return
    if batch.book.model_ids[rate.model] == leg.model_id and not former.differs(leg, charge):
        return
    _note_difference(leg, charge.cost, leg.cost, found)
    found.rate_ids.append(rate.id)
    found.costs.append(f"{charge.cost}E-{money.PLACES}")


def _note_difference(first: _InForce, cost: int, before: Decimal, found: Findings) -> None:
    difference = money.exact(cost) - before
    found.cost += difference
    found.difference += difference
    found.uids.append(first.record_uid)
    found.revisions.append(first.revision)


def _read(
    batch: Batch, extent: Extent, in_steps: Sequence[Sequence[_InForce]]
) -> dict[str, Usage]:
    """The usage of other records, read again; one that breaks is left out."""
    uids = [UUID(legs[0].record_uid) for legs in in_steps]
    found = {}
    for record in recorded.read(batch.team_id, uids, [extent.month]) if uids else ():
        try:
            found[str(record.uid)] = recorded.usage_of(record)
        except Exception:  # whatever it broke, the others go on
            logger.exception("record %s cannot be read again", record.uid)
    return found


def _look_at_steps(
    batch: Batch,
    legs: Sequence[_InForce],
    usage: Usage | None,
    former: _Former,
    found: Findings,
) -> None:
    """Any record: one of several calls, or one that the provider does not bill."""
    before = sum((leg.cost for leg in legs), Decimal())
    found.cost += before
    result = engine.price(usage, batch.book.rates) if usage else None
    if not isinstance(result, Charges):
        found.kept += 1
        return
    if _same_price(batch, legs, result, former):
        return
    _note_difference(legs[0], result.cost, before, found)
    found.rate_ids.append(None)
    found.costs.append(None)
    found.legs += _new_legs(batch, legs[0], result)


def _same_price(
    batch: Batch, legs: Sequence[_InForce], result: Charges, former: _Former
) -> bool:
    """Whether each leg has its model, its quantities and the unit prices it used."""
    return len(legs) == len(result.charges) and all(
        leg.model_id == batch.book.model_ids[charge.model]
        and leg.quantities == charge.quantities
        and not former.differs(leg, charge)
        for leg, charge in zip(legs, result.charges, strict=True)
    )


def _new_legs(batch: Batch, first: _InForce, result: Charges) -> Iterator[NewLeg]:
    for leg, charge in enumerate(result.charges):
        rate = charge.rate
        yield NewLeg(
            first.record_uid,
            first.revision,
            leg,
            batch.book.model_ids[charge.model],
            rate.id if rate else None,
            rate.above if rate else 0,
            f"{charge.cost}E-{money.PLACES}",
            charge.quantities,
        )


# --- At the prices from before a re-rate --------------------------------------------

_PRICINGS = f"""
SELECT c.record_uid::text, c.revision,
    max(c.rerate_id) AS rerate_id, sum(c.cost), array_agg(c.model_id)
FROM {_CHARGE} c
WHERE c.team_id = %(team)s AND c.month = %(month)s
    AND c.record_uid > %(above)s AND c.record_uid <= %(upto)s AND c.leg >= 0
    AND c.occurred_at >= %(since)s AND c.occurred_at < %(until)s
GROUP BY c.record_uid, c.revision
ORDER BY c.record_uid, c.revision
"""


class _Pricing(NamedTuple):
    record_uid: str
    revision: int
    rerate_id: int | None
    cost: Decimal
    model_ids: list[int]


def at_former_prices(team_id: int, extent: Extent, rerate_id: int) -> Findings:
    """What takes back a re-rate; a record that was re-rated since keeps its charges."""
    found = Findings()
    with connection.cursor() as cursor:
        cursor.execute(_PRICINGS, {"team": team_id, **_named(extent)})
        rows = [_Pricing(*row) for row in cursor.fetchall()]
    by_record: dict[str, list[_Pricing]] = defaultdict(list)
    for row in rows:
        by_record[row.record_uid].append(row)
    for pricings in by_record.values():
        _take_back(pricings, rerate_id, found)
    return found


def _take_back(pricings: list[_Pricing], rerate_id: int, found: Findings) -> None:
    others = [one for one in pricings if one.rerate_id != rerate_id]
    if len(others) == len(pricings):
        return  # not one of its records
    last = pricings[-1]
    found.records += 1
    found.cost += last.cost
    if last.rerate_id != rerate_id:
        found.kept += 1
        return
    target = others[-1]
    found.cost += target.cost - last.cost
    found.difference += target.cost - last.cost
    found.uids.append(last.record_uid)
    found.revisions.append(last.revision)
    found.targets.append(target.revision)


# --- Writing ------------------------------------------------------------------------

_CONDITIONS = ("processing", "speed", "geo", "endpoint")
_COLUMNS = (
    *("team_id", "record_uid", "month", "revision", "leg", "posted_at", "project_id"),
    *("model_id", "rate_id", *_CONDITIONS, "context_tier", "occurred_at", "day"),
    *(*TokenClass, "cost", "reason", "rerate_id"),
)


def _selected(charge: str, **given: str) -> str:
    """The values of a new charge: as given, and all others those of an old one."""
    standing = {
        "team_id": "%(team)s::bigint",
        "posted_at": "%(now)s::timestamptz",
        # A closed month has its figures: what changes them is an adjustment of today.
        "day": f"CASE WHEN {charge}.occurred_at < %(open_from)s THEN %(today)s::date "
        f"ELSE {charge}.day END",
        "rerate_id": "%(rerate)s::bigint",
    }
    values = {name: f"{charge}.{name}" for name in _COLUMNS} | standing | given
    return "SELECT " + ", ".join(values[name] for name in _COLUMNS)


_OF_TEAM_AND_MONTH = "team_id = %(team)s AND old.month = %(month)s"

_OPPOSITE = f"""
{
    _selected(
        "old",
        revision="old.revision + 1",
        leg="-1 - old.leg",
        **{name: f"-old.{name}" for name in (*TokenClass, "cost")},
    )
}
FROM {_CHARGE} old
JOIN unnest(%(uids)s::uuid[], %(revisions)s::smallint[]) AS top (record_uid, revision)
ON old.record_uid = top.record_uid AND old.revision = top.revision
WHERE old.{_OF_TEAM_AND_MONTH} AND old.leg >= 0
"""

_NEW_COLUMNS = {
    "record_uid": "uuid",
    "revision": "smallint",
    "leg": "smallint",
    "model_id": "bigint",
    "rate_id": "bigint",
    "context_tier": "integer",
    "cost": "numeric",
    **{token_class.value: "bigint" for token_class in TokenClass},
}
_ARRAYS = ", ".join(f"%(new_{name})s::{kind}[]" for name, kind in _NEW_COLUMNS.items())

# The same quantities at another rate, which says its model and context tier.
_CHARGED_AT_RATE = f"""
{
    _selected(
        "old",
        revision="top.revision + 1",
        leg="0",
        model_id="rate.model_id",
        rate_id="rate.id",
        context_tier="rate.context_tier",
        cost="top.cost",
    )
}
FROM unnest(
    %(uids)s::uuid[], %(revisions)s::smallint[],
    %(rate_ids)s::bigint[], %(costs)s::numeric[]
) AS top (record_uid, revision, rate_id, cost)
JOIN {Rate._meta.db_table} rate ON rate.id = top.rate_id
JOIN {_CHARGE} old ON old.record_uid = top.record_uid AND old.revision = top.revision
WHERE old.{_OF_TEAM_AND_MONTH} AND old.leg = 0
"""

# What a record's charges have in common stands in each of them, so in leg 0.
_CHARGED_ANEW = f"""
{
    _selected(
        "old",
        **{name: f"new.{name}" for name in _NEW_COLUMNS} | {"revision": "new.revision + 1"},
    )
}
FROM unnest({_ARRAYS}) AS new ({", ".join(_NEW_COLUMNS)})
JOIN {_CHARGE} old ON old.record_uid = new.record_uid AND old.revision = new.revision
WHERE old.{_OF_TEAM_AND_MONTH} AND old.leg = 0
"""

_CHARGED_AS_BEFORE = f"""
{_selected("old", revision="top.revision + 1")}
FROM unnest(%(uids)s::uuid[], %(revisions)s::smallint[], %(targets)s::smallint[])
    AS top (record_uid, revision, target)
JOIN {_CHARGE} old ON old.record_uid = top.record_uid AND old.revision = top.target
WHERE old.{_OF_TEAM_AND_MONTH} AND old.leg >= 0
"""

_GROUP = (*SPEND_KEY[1:], "rate_id", "day", "hour")
_SUMMED = ", ".join(f"sum({name})::bigint" for name in TokenClass)


def _added(*charged: str) -> str:
    return f"""
WITH added AS (
    INSERT INTO {_CHARGE} ({", ".join(_COLUMNS)})
    {" UNION ALL ".join((_OPPOSITE, *charged))}
    RETURNING {", ".join((*_COLUMNS, "date_trunc('hour', occurred_at, 'UTC') AS hour"))}
)
SELECT {", ".join(_GROUP)},
    count(*) FILTER (WHERE leg = 0) - count(*) FILTER (WHERE leg = -1),
    {_SUMMED}, sum(cost)
FROM added GROUP BY {", ".join(_GROUP)}
"""


_ADD_AT_RATE = _added(_CHARGED_AT_RATE)
_ADD_ANEW = _added(_CHARGED_AT_RATE, _CHARGED_ANEW)
_ADD_AS_BEFORE = _added(_CHARGED_AS_BEFORE)


class _Added(NamedTuple):
    """What the new charges of one rate come to, in one hour and on one day."""

    key: tuple[Any, ...]  # of a rollup, without the team and the period
    rate_id: int | None
    day: date
    hour: datetime
    requests: int
    quantities: Quantities
    cost: Decimal


def write(batch: Batch, extent: Extent, found: Findings, rerate_id: int) -> None:
    """Add the charges that mend what was found, and them to the rollups and budgets.

    The caller has the team's ledger.
    """
    if not found.uids:
        return
    added = _insert(batch, extent, found, rerate_id)
    prices = rate_book.unit_prices({one.rate_id for one in added if one.rate_id})
    measured = [(one, _measured(one, prices)) for one in added]
    _add(batch.team_id, DailySpend, "day", "date", measured)
    _add(batch.team_id, HourlySpend, "hour", "timestamptz", measured)
    spent = [Spent(one.key[0], one.day, one.cost) for one in added]
    budget_totals.add(batch.team_id, batch.budgets, spent)


def _insert(batch: Batch, extent: Extent, found: Findings, rerate_id: int) -> list[_Added]:
    zone = batch.days.zone(batch.now)
    given: dict[str, Any] = {
        "team": batch.team_id,
        "month": extent.month,
        "now": batch.now,
        "today": batch.days.day(batch.now),
        "open_from": batch.days.start(first_open_month(batch.now, zone)),
        "rerate": rerate_id,
        "uids": _array(found.uids),
        "revisions": _array(found.revisions),
        "rate_ids": _array(found.rate_ids),
        "costs": _array(found.costs),
        "targets": _array(found.targets),
        **_new_arrays(found.legs),
    }
    with connection.cursor() as cursor:
        cursor.execute(_statement(found), given)
        return [_as_added(row) for row in cursor.fetchall()]


def _statement(found: Findings) -> str:
    if found.targets:
        return _ADD_AS_BEFORE
    return _ADD_ANEW if found.legs else _ADD_AT_RATE


def _new_arrays(legs: Sequence[NewLeg]) -> dict[str, str]:
    rows = [(*leg[:-1], *leg.quantities) for leg in legs]
    columns: Iterable[Sequence[object]] = zip(*rows, strict=True) if rows else ()
    arrays = dict(zip(_NEW_COLUMNS, columns, strict=bool(rows)))
    return {f"new_{name}": _array(arrays.get(name, ())) for name in _NEW_COLUMNS}


def _array(values: Iterable[object]) -> str:
    """An array as PostgreSQL reads it, of numbers and uids: nothing there needs quotes.

    The driver looks for what does in every single element.
    """
    return f"{{{','.join('NULL' if one is None else str(one) for one in values)}}}"


_KEY = len(SPEND_KEY) - 1


def _as_added(row: tuple[Any, ...]) -> _Added:
    rate_id, day, hour, requests, *rest = row[_KEY:]
    *quantities, cost = rest
    return _Added(row[:_KEY], rate_id, day, hour, requests, Quantities(*quantities), cost)


def _measured(one: _Added, prices: dict[int, Prices]) -> tuple[int, ...]:
    """Requests, quantities and costs: of each class what was counted × its unit price.

    What a session costs is rounded in each charge, so it is what is left of the whole.
    """
    unit_prices = prices[one.rate_id] if one.rate_id else NO_PRICES
    costs = [
        quantity * price if isinstance(price, int) else 0
        for quantity, price in zip(one.quantities, unit_prices, strict=True)
    ]
    whole = money.whole(one.cost)
    costs[_SESSION] = 0
    costs[_SESSION] = whole - sum(costs)
    return (one.requests, *one.quantities, *costs, whole)


def _add(
    team_id: int,
    model: type[DailySpend] | type[HourlySpend],
    period: str,
    period_type: str,
    measured: Iterable[tuple[_Added, tuple[int, ...]]],
) -> None:
    sums: dict[tuple[Any, ...], tuple[int, ...]] = {}
    for one, its in measured:
        key = (*one.key, getattr(one, period))
        known = sums.get(key)
        sums[key] = tuple(map(add, known, its)) if known else its
    rows = [
        (*key, *its[: 1 + _CLASSES], *map(money.exact, its[1 + _CLASSES :]))
        for key, its in sums.items()
    ]
    charges.add_to_sums(team_id, model, period, period_type, rows)


_CLASSES = len(TokenClass)
_SESSION = list(TokenClass).index(TokenClass.SESSION)
