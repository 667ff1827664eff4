"""What prompt caching saved: money not spent on input, less what writing cost more."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
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
_CONDITIONS = ("model_id", "processing", "speed", "geo", "endpoint", "context_tier", "day")
_INPUT = tuple(TokenClass).index(TokenClass.INPUT)
# What savings can be told apart by: columns of the rollups.
Key = tuple[int, ...]


@dataclass(slots=True)
class CacheSaving:
    """`read_saving` − `write_premium`; negative where writes were not read often enough.

    `unknown_tokens` are cached tokens of models that have no input price to compare with.
    """

    input: int = 0
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0
    read_saving: Decimal = Decimal()
    premium_5m: Decimal = Decimal()
    premium_1h: Decimal = Decimal()
    unknown_tokens: int = 0

    @property
    def written(self) -> int:
        return self.written_5m + self.written_1h

    @property
    def write_premium(self) -> Decimal:
        return self.premium_5m + self.premium_1h

    @property
    def net(self) -> Decimal:
        return self.read_saving - self.write_premium

    @property
    def hit_percent(self) -> Decimal | None:
        """Cache reads in percent of all input tokens; None without input."""
        total = self.input + self.read + self.written
        return Decimal(self.read) * 100 / total if total else None

    def plus(self, other: "CacheSaving") -> None:
        """Add another group's savings to these."""
        self.input += other.input
        self.read += other.read
        self.written_5m += other.written_5m
        self.written_1h += other.written_1h
        self.read_saving += other.read_saving
        self.premium_5m += other.premium_5m
        self.premium_1h += other.premium_1h
        self.unknown_tokens += other.unknown_tokens


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
    found = savings(
        organization_id=organization_id,
        rows=spend.rows(team_ids, since, until, project_ids, model_ids),
    )
    return found.get((), CacheSaving())


def savings(
    *, organization_id: int, rows: QuerySet[DailySpend], by: Sequence[str] = ()
) -> dict[Key, CacheSaving]:
    """The same of each group of these rollups that has tokens going in; the parts add
    up to the whole."""
    found = _beside_input(rows.filter(input__gt=0), by)
    cached = rows.filter(
        Q(cache_read__gt=0) | Q(cache_write_5m__gt=0) | ~Q(cache_write_1h=0)
    )
    columns = dict.fromkeys((*by, *_CONDITIONS))
    alone = cached.filter(input=0).values(*columns).order_by().annotate(**_MEASURES)
    if without_input := list(alone):
        book = rate_book.current(organization_id)
        names = {model_id: name for name, model_id in book.model_ids.items()}
        for row in without_input:
            price = _input_price(row, names, book)
            found[tuple(row[column] for column in by)].plus(_at_price(row, price))
    return dict(found)


def _at_input_rate(tokens: str) -> Any:
    return Sum(
        ExpressionWrapper(
            F(tokens) * F("input_cost") / F("input"),
            output_field=_EXACT,
        )
    )


_MEASURES = {
    "reads": Sum("cache_read"),
    "writes_5m": Sum("cache_write_5m"),
    "writes_1h": Sum("cache_write_1h"),
    "read_paid": Sum("cache_read_cost"),
    "paid_5m": Sum("cache_write_5m_cost"),
    "paid_1h": Sum("cache_write_1h_cost"),
}


def _beside_input(
    rows: QuerySet[DailySpend], by: Sequence[str]
) -> defaultdict[Key, CacheSaving]:
    grouped = rows.values(*by or ("team_id",)).order_by()
    sums = grouped.annotate(
        **_MEASURES,
        inputs=Sum("input"),
        reads_as_input=_at_input_rate("cache_read"),
        as_input_5m=_at_input_rate("cache_write_5m"),
        as_input_1h=_at_input_rate("cache_write_1h"),
    )
    found: defaultdict[Key, CacheSaving] = defaultdict(CacheSaving)
    for row in sums:
        found[tuple(row[column] for column in by)].plus(
            CacheSaving(
                input=row["inputs"],
                read=row["reads"],
                written_5m=row["writes_5m"],
                written_1h=row["writes_1h"],
                read_saving=row["reads_as_input"] - row["read_paid"],
                premium_5m=row["paid_5m"] - row["as_input_5m"],
                premium_1h=row["paid_1h"] - row["as_input_1h"],
            )
        )
    return found


def _at_price(row: dict[str, Any], price: Decimal | None) -> CacheSaving:
    """Of a row without uncached input; `price` is what a token of it would have cost."""
    saving = CacheSaving(
        read=row["reads"], written_5m=row["writes_5m"], written_1h=row["writes_1h"]
    )
    if price is None:
        saving.unknown_tokens = saving.read + saving.written
        return saving
    saving.read_saving = row["reads"] * price - row["read_paid"]
    saving.premium_5m = row["paid_5m"] - row["writes_5m"] * price
    saving.premium_1h = row["paid_1h"] - row["writes_1h"] * price
    return saving


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
