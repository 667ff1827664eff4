"""What a re-rate or a void adds: the opposite of what is in force, and new charges.

Found differences (`repricing`) become rows in one statement, as do the opposites of a
void record's charges (`voids`), which nothing follows. What they come to is added to the
rollups and the budgets in the same transaction.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from django.db import connection

from billing.actions import budget_totals, sums
from billing.actions.batch import Batch
from billing.actions.repricing import Extent, Findings, NewLeg
from billing.actions.sums import Place, Total
from billing.actions.tagged_spend import Written
from billing.models import Charge, Rate, UsageRecord, arrays, rate_book
from billing.models.rollups import SPEND_KEY
from billing.pricing import money
from billing.pricing.rates import NO_PRICES
from billing.pricing.token_classes import TokenClass

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
        "day": f"CASE WHEN {charge}.occurred_at >= %(closed_since)s "
        f"AND {charge}.occurred_at < %(closed_until)s THEN %(today)s::date "
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


_TAKE_BACK = _added()
_ADD_AT_RATE = _added(_CHARGED_AT_RATE)
_ADD_ANEW = _added(_CHARGED_AT_RATE, _CHARGED_ANEW)
_ADD_AS_BEFORE = _added(_CHARGED_AS_BEFORE)


def write(batch: Batch, extent: Extent, found: Findings, rerate_id: int) -> None:
    """Add the charges that mend what was found, and them to the rollups and budgets.

    The caller has the team's ledger.
    """
    if found.uids:
        given = _given(batch, extent.month, found.uids, found.revisions)
        written = _written(extent.month, found.uids, found.revisions)
        _write(batch, _statement(found), given | _of_rerate(found, rerate_id), written)


def take_back(
    batch: Batch, month: date, uids: Sequence[str], revisions: Sequence[int]
) -> None:
    """Add the opposite of what is in force of these records, by revision; nothing else.

    The caller has the team's ledger.
    """
    given = _given(batch, month, uids, revisions)
    _write(batch, _TAKE_BACK, given | {"rerate": None}, _written(month, uids, revisions))


def _written(month: date, uids: Sequence[str], revisions: Sequence[int]) -> Written:
    """The pricings after these."""
    return Written([month], uids, [revision + 1 for revision in revisions])


def _write(batch: Batch, statement: str, given: dict[str, Any], written: Written) -> None:
    added = _insert(statement, given)
    spent = sums.add(batch.team_id, _totals(added))
    budget_totals.add(batch.team_id, batch.budgets, spent, written)


def _given(
    batch: Batch, month: date, uids: Sequence[str], revisions: Sequence[int]
) -> dict[str, Any]:
    return {
        "team": batch.team_id,
        "month": month,
        "now": batch.now,
        "today": batch.closed.today,
        "closed_since": batch.closed.since,
        "closed_until": batch.closed.until,
        "uids": arrays.literal(uids, "uuid"),
        "revisions": arrays.literal(revisions, "smallint"),
    }


def _of_rerate(found: Findings, rerate_id: int) -> dict[str, Any]:
    return {
        "rerate": rerate_id,
        "rate_ids": arrays.literal(found.rate_ids, "bigint"),
        "costs": arrays.literal(found.costs, "numeric"),
        "targets": arrays.literal(found.targets, "smallint"),
        **_new_arrays(found.legs),
    }


def _insert(statement: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Insert the charges; what they come to by place and rate, as `_totals` reads it."""
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _statement(found: Findings) -> str:
    if found.targets:
        return _ADD_AS_BEFORE
    return _ADD_ANEW if found.legs else _ADD_AT_RATE


def _new_arrays(legs: Sequence[NewLeg]) -> dict[str, str]:
    rows = [(*leg[:-1], *leg.quantities) for leg in legs]
    columns = zip(*rows, strict=True) if rows else [()] * len(_NEW_COLUMNS)
    return {
        f"new_{name}": arrays.literal(column, kind)
        for (name, kind), column in zip(_NEW_COLUMNS.items(), columns, strict=True)
    }


def _totals(added: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Place, Total]]:
    """What was added, each with its costs at the rate that it was added at."""
    prices = rate_book.unit_prices({row[_RATE] for row in added if row[_RATE]})
    for row in added:
        rate_id, day, hour, requests, *quantities, cost = row[_RATE:]
        yield (
            Place._make((*row[:_RATE], day, hour)),
            sums.total(
                requests=requests,
                quantities=quantities,
                cost=money.whole(cost),
                prices=prices[rate_id] if rate_id else NO_PRICES,
            ),
        )


_RATE = len(SPEND_KEY) - 1
