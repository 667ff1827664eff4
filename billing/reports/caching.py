"""What prompt caching saved: money not spent on input, less what writing cost more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from django.db.models import DecimalField, ExpressionWrapper, F, Q, QuerySet, Sum

from billing.models import DailySpend, rate_book
from billing.models.rate_book import Book
from billing.pricing import money
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import Processing, Speed
from billing.reports import spend

_EXACT: "DecimalField[Decimal, Decimal]" = DecimalField(max_digits=60, decimal_places=15)
_WRITTEN = F("cache_write_5m") + F("cache_write_1h")
_CONDITIONS = ("model_id", "processing", "speed", "geo", "endpoint", "context_tier", "day")
_INPUT = tuple(TokenClass).index(TokenClass.INPUT)


@dataclass(frozen=True, slots=True)
class CacheSaving:
    """`read_saving` − `write_premium`; negative where writes were not read often enough.

    `unknown_tokens` are cached tokens of models that have no input price to compare with.
    """

    input: int = 0
    read: int = 0
    written: int = 0
    read_saving: Decimal = Decimal()
    write_premium: Decimal = Decimal()
    unknown_tokens: int = 0

    @property
    def net(self) -> Decimal:
        return self.read_saving - self.write_premium

    @property
    def hit_percent(self) -> Decimal | None:
        """Cache reads in percent of all input tokens; None without input."""
        total = self.input + self.read + self.written
        return Decimal(self.read) * 100 / total if total else None


def cache_saving(
    *,
    organization_id: int,
    team_ids: Sequence[int],
    since: date,
    until: date,
    project_ids: Sequence[int] | None = None,
    model_ids: Sequence[int] | None = None,
) -> CacheSaving:
    """Reads × (input rate − read rate) − writes × (write rate − input rate).

    What reads and writes cost stands in the rollups, so the rates are those that were
    charged: reads × read rate is `cache_read_cost`, and likewise for writes. The input
    rate beside it is that of the same rollup row, `input_cost ÷ input`. Where a row has
    no uncached input, it is the rate in force at noon UTC of its day.
    """
    rows = spend.rows(team_ids, since, until, project_ids, model_ids)
    found = _beside_input(rows.filter(input__gt=0))
    cached = rows.filter(
        Q(cache_read__gt=0) | Q(cache_write_5m__gt=0) | ~Q(cache_write_1h=0)
    )
    alone = cached.filter(input=0).values(*_CONDITIONS).order_by().annotate(**_MEASURES)
    if without_input := list(alone):
        found = _with_rates_in_force(
            found, without_input, rate_book.current(organization_id)
        )
    return found


def _at_input_rate(tokens: Any) -> Any:
    return Sum(
        ExpressionWrapper(tokens * F("input_cost") / F("input"), output_field=_EXACT)
    )


_MEASURES = {
    "reads": Sum("cache_read"),
    "writes": Sum(_WRITTEN),
    "read_paid": Sum("cache_read_cost"),
    "write_paid": Sum(F("cache_write_5m_cost") + F("cache_write_1h_cost")),
}


def _beside_input(rows: QuerySet[DailySpend]) -> CacheSaving:
    sums = rows.aggregate(
        **_MEASURES,
        inputs=Sum("input"),
        reads_as_input=_at_input_rate(F("cache_read")),
        writes_as_input=_at_input_rate(_WRITTEN),
    )
    if sums["inputs"] is None:
        return CacheSaving()
    return CacheSaving(
        input=sums["inputs"],
        read=sums["reads"],
        written=sums["writes"],
        read_saving=sums["reads_as_input"] - sums["read_paid"],
        write_premium=sums["write_paid"] - sums["writes_as_input"],
    )


def _with_rates_in_force(
    found: CacheSaving, rows: Sequence[dict[str, Any]], book: Book
) -> CacheSaving:
    names = {model_id: name for name, model_id in book.model_ids.items()}
    for row in rows:
        price = _input_price(row, names, book)
        found = replace(
            found,
            read=found.read + row["reads"],
            written=found.written + row["writes"],
        )
        if price is None:
            unknown = found.unknown_tokens + row["reads"] + row["writes"]
            found = replace(found, unknown_tokens=unknown)
            continue
        found = replace(
            found,
            read_saving=found.read_saving + row["reads"] * price - row["read_paid"],
            write_premium=found.write_premium + row["write_paid"] - row["writes"] * price,
        )
    return found


def _input_price(row: dict[str, Any], names: dict[int, str], book: Book) -> Decimal | None:
    rate = book.rates.rate(
        names[row["model_id"]],
        Processing(row["processing"]),
        Speed(row["speed"]),
        row["geo"],
        row["endpoint"],
        row["context_tier"] + 1,
        datetime.combine(row["day"], time(12), UTC),
    )
    price = rate.prices[_INPUT] if rate else None
    return None if price is None else money.exact(money.nearest(price))
