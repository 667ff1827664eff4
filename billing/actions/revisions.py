"""What a re-rate adds: for each record that differs, its opposite and its new charges.

Found differences (`repricing`) become rows in one statement, and what they come to is
added to the rollups and the budgets in the same transaction.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from operator import add
from typing import Any, NamedTuple

from django.db import connection

from billing.actions import budget_totals, charges
from billing.actions.batch import Batch
from billing.actions.budget_totals import Spent
from billing.actions.repricing import Extent, Findings, NewLeg
from billing.models import (
    Charge,
    DailySpend,
    HourlySpend,
    Rate,
    UsageRecord,
    rate_book,
)
from billing.models.rollups import SPEND_KEY
from billing.pricing import money
from billing.pricing.months import first_open_month
from billing.pricing.rates import NO_PRICES, Prices
from billing.pricing.token_classes import Quantities, TokenClass

_CHARGE = Charge._meta.db_table
_RECORD = UsageRecord._meta.db_table

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
