"""The prices in `genai-prices`, as rows. Nothing is corrected here."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple

from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    TieredPrices,
)

from billing.pricing.token_classes import TokenClass

Prices = Mapping[TokenClass, Decimal]

# The start of a price whose first day nobody recorded. Nothing was sold before it, so it
# misprices nothing, while a later guess would leave true records without a price.
SINCE_EVER = datetime(2020, 1, 1, tzinfo=UTC)

# The package's cache write without a duration is the one of 5 minutes.
_MEMBERS: Mapping[TokenClass, str] = {
    TokenClass.INPUT: "input_mtok",
    TokenClass.CACHE_WRITE_5M: "cache_write_mtok",
    TokenClass.CACHE_WRITE_1H: "cache_write_1h_mtok",
    TokenClass.CACHE_READ: "cache_read_mtok",
    TokenClass.OUTPUT: "output_mtok",
    TokenClass.WEB_SEARCH: "web_searches_kcount",
    TokenClass.INPUT_AUDIO: "input_audio_mtok",
    TokenClass.CACHE_READ_AUDIO: "cache_audio_read_mtok",
    TokenClass.OUTPUT_AUDIO: "output_audio_mtok",
    TokenClass.OUTPUT_IMAGE: "output_image_mtok",
}

# A tool that no usage object counts, so that no record is mispriced without it.
_UNREPORTED = frozenset({"storage_searches_kcount"})


class Row(NamedTuple):
    """Prices from an instant on, for calls above a context tier; none is a stop."""

    above: int
    effective_from: datetime
    prices: Prices | None


def models(provider: str) -> list[ModelInfo]:
    """Return the package's entries for a provider's own API."""
    return next(one.models for one in providers if one.id == provider)


def expressible(model: ModelInfo) -> bool:
    """Whether rates can say everything that the package says about this price.

    What is priced by other measures (pictures that go in, hours, characters), by the
    hour of the day, or not at all would be mispriced by what is left of it.
    """
    stated = set(_stated(model))
    known = {*_MEMBERS.values(), *_UNREPORTED}
    dated = all(
        one.constraint is None or isinstance(one.constraint, StartDateConstraint)
        for one in _dated(model)
    )
    return bool(stated) and stated <= known and dated


def exact_names(model: ModelInfo) -> Iterator[str]:
    """Yield the names that mean this entry and are written out in it.

    The package also recognizes names by their beginning or a part of them; these are
    not enumerable, and another model's name may begin alike.
    """
    clause = model.match
    for one in clause.or_ if isinstance(clause, ClauseOr) else (clause,):
        if isinstance(one, ClauseEquals):
            yield one.equals


def rows(model: ModelInfo, context: Mapping[str, str]) -> Iterator[Row]:
    """Yield what changed on each day on which a price of `model` starts.

    `context` names the conditions in the package's words; {} is the standard price. A
    tier that a later price does not have any more is stopped.
    """
    known: dict[int, Prices] = {}
    for start in _starts(model, context):
        current = _tiers(model.get_prices(start, context))
        for above, prices in current.items():
            if known.get(above) != prices:
                yield Row(above, start, prices)
        for above in sorted(known.keys() - current.keys()):
            yield Row(above, start, None)
        known = current


def has_variant(model: ModelInfo, context: Mapping[str, str]) -> bool:
    """Whether the package states prices of its own for these conditions."""
    return any(variant.when == context for variant in model.price_variants or ())


def _stated(model: ModelInfo) -> Iterator[str]:
    """Yield the measures that some price of `model` is stated in."""
    standard = model.prices if isinstance(model.prices, list) else [model]
    for priced in (*standard, *(model.price_variants or ())):
        for member, value in vars(priced.prices).items():
            if value is not None:
                yield member


def _dated(model: ModelInfo) -> list[Any]:
    prices = model.prices if isinstance(model.prices, list) else []
    return [*prices, *(model.price_variants or ())]


def _starts(model: ModelInfo, context: Mapping[str, str]) -> list[datetime]:
    """Return the instants at which a price under `context` starts, in their order.

    Raises ValueError for a price that depends on the hour of the day.
    """
    prices = model.prices if isinstance(model.prices, list) else []
    variants = [one for one in model.price_variants or () if one.when == context]
    starts = {*map(_start, prices), *map(_start, variants)} or {SINCE_EVER}
    # A variant stands beside the price it varies, so it cannot start before it is known.
    begin = min(map(_start, variants), default=min(starts))
    return sorted(start for start in {*starts, begin} if start >= begin)


def _start(priced: ConditionalPrice | PriceVariant) -> datetime:
    constraint = priced.constraint
    if constraint is None:
        return SINCE_EVER
    if isinstance(constraint, StartDateConstraint):
        return midnight(constraint.start_date)
    raise ValueError(f"a rate cannot express {constraint}")


def midnight(day: date) -> datetime:
    """Return the instant a day begins, in UTC, which is what providers announce in."""
    return datetime.combine(day, time(), UTC)


def _tiers(price: ModelPrice) -> dict[int, Prices]:
    """Return all prices of each context tier; a class without tiers is in all of them."""
    stated = {
        token_class: value
        for token_class, member in _MEMBERS.items()
        if (value := getattr(price, member)) is not None
    }
    aboves = {0, *_bounds(stated.values())}
    return {
        above: {token_class: _at(value, above) for token_class, value in stated.items()}
        for above in sorted(aboves)
    }


def _bounds(values: Iterable[Decimal | TieredPrices]) -> Iterator[int]:
    for value in values:
        if isinstance(value, TieredPrices):
            yield from (tier.start for tier in value.tiers)


def _at(value: Decimal | TieredPrices, above: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    reached = [tier.price for tier in value.tiers if tier.start <= above]
    return reached[-1] if reached else value.base
