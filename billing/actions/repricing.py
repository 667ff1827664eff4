"""The price of charged records once more: which of them it differs for, and by how much.

A chunk is a run of one team's records of one UTC month, in the order of their uids.
Nothing is written here: a record whose price differs gets another revision, which takes
back the one in force, leg by leg, and charges anew (`revisions`).
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from billing.actions.batch import Batch
from billing.models import (
    Charge,
    UsageRecord,
    Void,
    rate_book,
    recorded,
)
from billing.pricing import engine, money
from billing.pricing.engine import Charge as PricedCharge
from billing.pricing.engine import Charges, Unpriced
from billing.pricing.rates import NO_PRICES
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Usage

logger = logging.getLogger(__name__)

_CHARGE = Charge._meta.db_table
_RECORD = UsageRecord._meta.db_table

# A void record has no price. Its charges are taken back, or will be when it is counted.
_STANDS = f"""NOT EXISTS (
    SELECT FROM {Void._meta.db_table} v WHERE v.team_id = c.team_id
        AND v.record_uid = c.record_uid AND v.month = c.month
)"""


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
    AND u.uid > %(above)s AND u.uid <= %(upto)s AND {_STANDS}
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
    found.costs.append(money.numeral(charge.cost))


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
            money.numeral(charge.cost),
            charge.quantities,
        )


# --- At the prices from before a re-rate --------------------------------------------

_PRICINGS = f"""
SELECT c.record_uid::text, c.revision,
    max(c.rerate_id) AS rerate_id, sum(c.cost), array_agg(c.model_id)
FROM {_CHARGE} c
WHERE c.team_id = %(team)s AND c.month = %(month)s
    AND c.record_uid > %(above)s AND c.record_uid <= %(upto)s AND c.leg >= 0
    AND c.occurred_at >= %(since)s AND c.occurred_at < %(until)s AND {_STANDS}
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
