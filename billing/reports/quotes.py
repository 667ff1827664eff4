"""What records would cost, without storing anything."""

from decimal import Decimal
from typing import Any, NamedTuple

from billing.formats import registry
from billing.formats.errors import RecordError
from billing.formats.posted import QuoteRecord
from billing.models.rate_book import Book
from billing.pricing import engine, money
from billing.pricing.engine import Charges, Line


class Quote(NamedTuple):
    """The price of one record, or why it has none."""

    id: str | None
    state: str  # priced | unpriced | rejected
    cost: int | None  # 10⁻¹⁵ of the currency unit
    model: str | None
    lines: list[Line]
    reason: str | None
    detail: str | None

    @property
    def exact_cost(self) -> Decimal | None:
        return None if self.cost is None else money.exact(self.cost)


def quote(record: QuoteRecord, book: Book) -> Quote:
    """Raises nothing: what cannot be read is a rejected quote."""
    try:
        usage = registry.read(record)
    except RecordError as error:
        return rejected(record.id, error)
    model = book.rates.model(usage.provider, usage.model) or record.model
    result = engine.price(usage, book.rates)
    if isinstance(result, Charges):
        return Quote(
            id=record.id,
            state="priced",
            cost=result.cost,
            model=model,
            lines=engine.lines(result),
            reason=result.reason or None,
            detail=None,
        )
    return Quote(record.id, "unpriced", None, model, [], result.reason, result.detail)


def rejected(record_id: str | None, error: RecordError) -> Quote:
    return Quote(record_id, "rejected", None, None, [], error.code, _where(error))


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
                "unit_price": money.text(line.unit_price),
                "cost": money.text(line.cost),
                "model": _name(line.model),
            }
            for line in quote.lines
        ],
        "reason": quote.reason,
        "detail": quote.detail,
    }


def _name(model: str | None) -> str | None:
    """A model's name without its provider, which the record names itself."""
    return model.partition("/")[2] or model if model else None
