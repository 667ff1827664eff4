"""Charges and the sums over them, written together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from billing.actions.batch import Batch
from billing.actions.budget_totals import Spent
from billing.models import Charge, DailySpend, HourlySpend, unnest
from billing.models.recorded import Recorded
from billing.models.rollups import SPEND_KEY
from billing.pricing import money
from billing.pricing.engine import Charges
from billing.pricing.rates import NO_PRICES, Prices
from billing.pricing.token_classes import NOTHING, Quantities, TokenClass

FIRST_PRICING = 0


class _Row(NamedTuple):
    """One charge, in the order of the columns below."""

    record_uid: UUID
    month: date
    revision: int
    leg: int
    posted_at: datetime
    project_id: int
    model_id: int
    rate_id: int | None
    processing: str
    speed: str
    geo: str
    endpoint: str
    context_tier: int
    occurred_at: datetime
    day: date
    input: int
    cache_write_5m: int
    cache_write_1h: int
    cache_read: int
    output: int
    web_search: int
    input_audio: int
    cache_read_audio: int
    output_audio: int
    output_image: int
    session: int
    cost: Any  # Decimal, exact to 15 places
    reason: str


_CHARGE_COLUMNS: unnest.Columns = {
    "record_uid": "uuid",
    "month": "date",
    "revision": "smallint",
    "leg": "smallint",
    "posted_at": "timestamptz",
    "project_id": "bigint",
    "model_id": "bigint",
    "rate_id": "bigint",
    "processing": "text",
    "speed": "text",
    "geo": "text",
    "endpoint": "text",
    "context_tier": "bigint",
    "occurred_at": "timestamptz",
    "day": "date",
    **{token_class.value: "bigint" for token_class in TokenClass},
    "cost": "numeric",
    "reason": "text",
}


class _Priced(NamedTuple):
    """A charge on its way: its row, and the unit prices that its sums are split by."""

    row: _Row
    unit_prices: Prices


def write(batch: Batch, priced: Sequence[tuple[Recorded, Charges]]) -> list[Spent]:
    """Add the charges of these records, and them to the daily and hourly sums.

    Returns what was added, for the budgets.

    A record that already has its charge (a posting that came twice) adds nothing: the
    sums take only what the charge table took.
    """
    rows = [one for record, result in priced for one in _rows(batch, record, result)]
    taken = _insert(batch.team_id, rows)
    if len(taken) < len(rows):
        rows = [one for one in rows if (one.row.record_uid, one.row.leg) in taken]
    _add(batch.team_id, DailySpend, "day", "date", rows, lambda row: row.day)
    _add(batch.team_id, HourlySpend, "hour", "timestamptz", rows, _hour)
    return [Spent(one.row.project_id, one.row.day, one.row.cost) for one in rows]


def _rows(batch: Batch, record: Recorded, result: Charges) -> Iterable[_Priced]:
    for leg, charge in enumerate(result.charges):
        rate = charge.rate
        row = _Row(
            record.uid,
            record.month,
            FIRST_PRICING,
            leg,
            batch.now,
            record.project_id,
            batch.book.model_ids[charge.model],
            rate.id if rate else None,
            record.processing,
            record.speed,
            record.geo,
            record.endpoint,
            rate.above if rate else 0,
            record.occurred_at,
            batch.days.day(record.occurred_at),
            *charge.quantities,
            money.exact(charge.cost),
            result.reason,
        )
        yield _Priced(row, rate.prices if rate else NO_PRICES)


def _insert(team_id: int, rows: Sequence[_Priced]) -> set[tuple[Any, ...]]:
    return set(
        unnest.insert(
            table=Charge._meta.db_table,
            columns=_CHARGE_COLUMNS,
            rows=[one.row for one in rows],
            team_id=team_id,
            order_by=("record_uid", "leg"),
            then=(
                "ON CONFLICT (team_id, record_uid, month, revision, leg) DO NOTHING "
                "RETURNING record_uid, leg"
            ),
        )
    )


# --- Sums ---------------------------------------------------------------------------

_COST_COLUMNS = tuple(f"{token_class}_cost" for token_class in TokenClass)
_SUM_COLUMNS = ("requests", *TokenClass, *_COST_COLUMNS, "cost")


class _Sum:
    """What the charges of one rollup row come to."""

    __slots__ = ("costs", "quantities", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.quantities = list(NOTHING)
        self.costs = [0] * len(TokenClass)

    def add(self, requests: int, counted: Quantities, prices: Prices) -> None:
        self.requests += requests
        for position, quantity in enumerate(counted):
            if quantity:
                self.quantities[position] += quantity
                self.costs[position] += money.nearest(quantity * (prices[position] or 0))

    def values(self) -> tuple[Any, ...]:
        return (
            self.requests,
            *self.quantities,
            *map(money.exact, self.costs),
            money.exact(sum(self.costs)),
        )


def _hour(row: _Row) -> datetime:
    return row.occurred_at.replace(minute=0, second=0, microsecond=0)


def _add(
    team_id: int,
    model: type[DailySpend] | type[HourlySpend],
    period: str,
    period_type: str,
    rows: Sequence[_Priced],
    period_of: Any,
) -> None:
    sums: dict[tuple[Any, ...], _Sum] = defaultdict(_Sum)
    for row, prices in rows:
        key = (
            row.project_id,
            row.model_id,
            row.processing,
            row.speed,
            row.geo,
            row.endpoint,
            row.context_tier,
            period_of(row),
        )
        sums[key].add(int(row.leg == 0), _counted(row), prices)
    add_to_sums(
        team_id,
        model,
        period,
        period_type,
        [(*key, *total.values()) for key, total in sums.items()],
    )


def add_to_sums(
    team_id: int,
    model: type[DailySpend] | type[HourlySpend],
    period: str,
    period_type: str,
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Add to a rollup: its key (without the team), requests, quantities and costs."""
    key_columns = (*SPEND_KEY[1:], period)
    unnest.insert(
        table=model._meta.db_table,
        columns={
            **dict(zip(key_columns, (*_KEY_TYPES, period_type), strict=True)),
            **dict.fromkeys(("requests", *TokenClass), "bigint"),
            **dict.fromkeys((*_COST_COLUMNS, "cost"), "numeric"),
        },
        rows=rows,
        team_id=team_id,
        order_by=key_columns,
        then=(
            f"ON CONFLICT (team_id, {', '.join(key_columns)}) DO UPDATE SET "
            + ", ".join(f"{name} = kept.{name} + EXCLUDED.{name}" for name in _SUM_COLUMNS)
        ),
    )


_KEY_TYPES = ("bigint", "bigint", "text", "text", "text", "text", "bigint")


def _counted(row: _Row) -> Quantities:
    return Quantities(
        row.input,
        row.cache_write_5m,
        row.cache_write_1h,
        row.cache_read,
        row.output,
        row.web_search,
        row.input_audio,
        row.cache_read_audio,
        row.output_audio,
        row.output_image,
        row.session,
    )
