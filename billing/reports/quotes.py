"""What records would cost, without storing anything."""

from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from billing.formats import posted, registry
from billing.formats.errors import RecordError
from billing.models.rate_book import Book
from billing.pricing import engine, money
from billing.pricing.engine import Line, Unpriced
from billing.pricing.usage import Usage


class Quote(NamedTuple):
    """The price of one record, or why it has none."""

    state: str  # priced | unpriced | rejected
    id: str | None = None
    cost: int | None = None  # 10⁻¹⁵ of the currency unit
    model: str | None = None
    lines: tuple[Line, ...] = ()
    reason: str | None = None
    detail: str | None = None
    usage_format: str | None = None
    usage: Usage | None = None  # as it was read; None for a rejected record
    expected_usd: str | None = None  # what the caller expected, not part of the answer

    @property
    def exact_cost(self) -> Decimal | None:
        return None if self.cost is None else money.exact(self.cost)


def quote(raw: msgspec.Raw | bytes, book: Book) -> Quote:
    """Raises nothing: what cannot be read is a rejected quote."""
    try:
        record = posted.decode_quote(raw)
        usage_format = registry.name_of(record)
        usage = registry.read(record)
    except RecordError as error:
        return Quote(
            id=posted.named(raw), state="rejected", reason=error.code, detail=_where(error)
        )
    result = engine.price(usage, book.rates)
    if isinstance(result, Unpriced):
        return Quote(
            state="unpriced",
            id=record.id,
            expected_usd=record.expected_usd,
            model=result.model,
            reason=result.reason,
            detail=result.detail,
            usage_format=usage_format,
            usage=usage,
        )
    return Quote(
        state="priced",
        id=record.id,
        expected_usd=record.expected_usd,
        cost=result.cost,
        model=book.rates.model(usage.provider, usage.model),
        lines=tuple(engine.lines(result)),
        reason=result.reason or None,
        usage_format=usage_format,
        usage=usage,
    )


def _where(error: RecordError) -> str:
    return f"{error.pointer}: {error.detail}" if error.pointer else error.detail


def as_json(quote: Quote, currency: str) -> dict[str, Any]:
    """The one shape of a quote, for the API and the command line."""
    return {
        "id": quote.id,
        "state": quote.state,
        "cost": None if quote.cost is None else money.text(quote.cost),
        "currency": currency,
        "model": _name(quote.model),
        "lines": [
            {
                "token_class": line.token_class,
                "quantity": line.quantity,
                "unit_price": money.text(money.nearest(line.unit_price)),
                "cost": money.text(line.cost),
                "model": _name(line.model),
            }
            for line in quote.lines
        ],
        "reason": quote.reason,
        "detail": quote.detail,
        "read": _read(quote),
    }


def _read(quote: Quote) -> dict[str, Any] | None:
    """What was understood of the record, so that a wrong format is seen at once."""
    usage = quote.usage
    if usage is None:
        return None
    return {
        "usage_format": quote.usage_format,
        "processing": usage.processing,
        "speed": usage.speed,
        "geo": usage.geo,
        "endpoint": usage.endpoint,
        "quantities": usage.quantities._asdict(),
        "thinking": usage.thinking,
        "flags": list(usage.flags),
    }


def _name(model: str | None) -> str | None:
    """A model's name without its provider, which the record names itself."""
    return model.partition("/")[2] or model if model else None
