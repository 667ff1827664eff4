"""Charges, written together with the sums over them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from billing.actions import budget_totals, sums
from billing.actions.batch import Batch
from billing.actions.sums import Place, Total
from billing.actions.tagged_spend import Written
from billing.models import Charge, bound, unnest
from billing.models.recorded import Recorded
from billing.pricing import money
from billing.pricing.engine import Charges
from billing.pricing.rates import NO_PRICES, Prices
from billing.pricing.token_classes import Quantities, TokenClass

FIRST_PRICING = 0

_COLUMNS: unnest.Columns = {
    "record_uid": "uuid",
    "leg": "smallint",
    "month": "date",
    "revision": "smallint",
    "posted_at": "timestamptz",
    "occurred_at": "timestamptz",
    "rate_id": "bigint",
    "reason": "text",
    "cost": "numeric",
    "day": "date",
    "project_id": "bigint",
    "model_id": "bigint",
    "processing": "text",
    "speed": "text",
    "geo": "text",
    "endpoint": "text",
    "context_tier": "bigint",
    **{token_class.value: "bigint" for token_class in TokenClass},
}


_UID, _MONTH = (list(_COLUMNS).index(name) for name in ("record_uid", "month"))


class _Charged(NamedTuple):
    """A charge on its way: its row, and what the sums need of it."""

    row: tuple[Any, ...]  # in the order of the columns above
    place: Place
    prices: Prices
    quantities: Quantities
    cost: int  # 10⁻¹⁵ of the currency unit
    leg: int


def write(batch: Batch, priced: Sequence[tuple[Recorded, Charges]]) -> None:
    """Add the charges of these records, and them to the rollups and the budgets.

    A record that already has its charge (a posting that came twice) adds nothing: the
    sums take only what the charge table took.
    """
    charged = [one for record, result in priced for one in _charges(batch, record, result)]
    if not charged:
        return
    taken = _insert(batch.team_id, charged)
    spent = sums.add(batch.team_id, _totals(taken))
    has_tags = any(budget.tag_key for budget in batch.budgets)
    written = _written(taken if has_tags else ())
    budget_totals.add(batch.team_id, batch.budgets, spent, written)


def _charges(batch: Batch, record: Recorded, result: Charges) -> Iterable[_Charged]:
    at = record.occurred_at
    day = batch.day(at)
    hour = at.replace(minute=0, second=0, microsecond=0)
    for leg, charge in enumerate(result.charges):
        rate = charge.rate
        place = Place(
            record.project_id,
            batch.book.model_ids[charge.model],
            record.processing,
            record.speed,
            record.geo,
            record.endpoint,
            rate.above if rate else 0,
            day,
            hour,
        )
        row = (
            record.uid,
            leg,
            record.month,
            FIRST_PRICING,
            batch.now,
            at,
            rate.id if rate else None,
            result.reason,
            money.numeral(charge.cost),
            day,
            *place.key,
            *charge.quantities,
        )
        prices = rate.prices if rate else NO_PRICES
        yield _Charged(row, place, prices, charge.quantities, charge.cost, leg)


# What was taken is named only when something was not.
_TAKE = """
WITH taken AS ({insertion})
SELECT count(*),
    CASE WHEN count(*) < %b::bigint THEN array_agg(concat(record_uid, ' ', leg)) END
FROM taken
"""


def _insert(team_id: int, charged: Sequence[_Charged]) -> Sequence[_Charged]:
    """Insert those that are not there yet; these."""
    statement, parameters = unnest.of_rows(
        table=Charge._meta.db_table,
        columns=_COLUMNS,
        rows=[one.row for one in charged],
        team_id=team_id,
        order_by=("record_uid", "leg"),
        then=(
            "ON CONFLICT (team_id, record_uid, month, revision, leg) DO NOTHING "
            "RETURNING record_uid, leg"
        ),
    )
    with bound.cursor() as cursor:
        statement = _TAKE.format(insertion=statement)
        cursor.execute(statement, [*parameters, len(charged)])
        count, names = cursor.fetchone()
    if count == len(charged):
        return charged
    taken = set(names or ())
    return [one for one in charged if f"{one.row[0]} {one.leg}" in taken]


def _written(charged: Iterable[_Charged]) -> Written:
    months = {one.row[_UID]: one.row[_MONTH] for one in charged}
    return Written(set(months.values()), list(months), [FIRST_PRICING] * len(months))


def _totals(charged: Iterable[_Charged]) -> Iterator[tuple[Place, Total]]:
    """What the charges of each place and rate come to."""
    groups: defaultdict[tuple[Place, Prices], list[_Charged]] = defaultdict(list)
    for one in charged:
        groups[one.place, one.prices].append(one)
    for (place, prices), its in groups.items():
        yield (
            place,
            sums.total(
                requests=sum(one.leg == 0 for one in its),
                quantities=list(
                    map(sum, zip(*(one.quantities for one in its), strict=True))
                ),
                cost=sum(one.cost for one in its),
                prices=prices,
            ),
        )
