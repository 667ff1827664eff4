"""What levers cost: by month, and with all requests on each of several models."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from billing.pricing import estimates, levers, money
from billing.pricing.engine import Unpriced
from billing.pricing.levers import Levers, Part, Share
from billing.pricing.rates import Rate, RateBook
from billing.pricing.token_classes import NOTHING, Quantities, TokenClass

_INPUTS = (
    *(TokenClass.INPUT, TokenClass.CACHE_WRITE_5M, TokenClass.CACHE_WRITE_1H),
    *(TokenClass.CACHE_READ, TokenClass.INPUT_AUDIO, TokenClass.CACHE_READ_AUDIO),
)
_OUTPUTS = (TokenClass.OUTPUT, TokenClass.OUTPUT_AUDIO, TokenClass.OUTPUT_IMAGE)
_PLACE = {token_class: place for place, token_class in enumerate(TokenClass)}
_CAP_DIGITS = 2


class Larger(StrEnum):
    INPUT = "input"
    OUTPUT = "output"
    NEITHER = "neither"


class Balance(NamedTuple):
    """What goes in against what comes out: tokens, and cost in 10⁻¹⁵ units.

    Searches and sessions are in neither.
    """

    tokens_in: int
    tokens_out: int
    cost_in: int
    cost_out: int

    @property
    def larger(self) -> Larger:
        if self.cost_in == self.cost_out:
            return Larger.NEITHER
        return Larger.INPUT if self.cost_in > self.cost_out else Larger.OUTPUT

    @property
    def output_percent(self) -> Decimal | None:
        """Of the cost of both, to two places."""
        both = self.cost_in + self.cost_out
        return _two_places(Fraction(self.cost_out * 100, both)) if both else None

    @property
    def price_ratio(self) -> Decimal | None:
        """How many times a token in costs one out, as they are cached: two places."""
        if not self.tokens_out or not self.cost_in:
            return None
        ratio = Fraction(self.cost_out * self.tokens_in, self.tokens_out * self.cost_in)
        return _two_places(ratio)

    @property
    def token_ratio(self) -> Decimal | None:
        """Tokens in for each one out, to two places: at this ratio of the prices both
        sides cost the same."""
        if not self.tokens_out:
            return None
        return _two_places(Fraction(self.tokens_in, self.tokens_out))


class Compared(NamedTuple):
    """All requests on one model: what that costs, or why that is not known.

    `cost` and `per_request` are in 10⁻¹⁵ units; `rate` is the one of its first part.
    """

    model: str
    requests: int
    cost: int | None
    per_request: int | None
    balance: Balance | None
    rate: Rate | None
    unpriced: Unpriced | None


def compared(
    its: Levers, share: Share, first: date, months: int, book: RateBook, at: datetime
) -> Compared:
    """Return what so many months cost if this model gets all requests."""
    parts = levers.multiplied(its, [share._replace(percent=Decimal(100))], first, months)
    requests = sum(part.requests for part in parts)
    used, by_class = NOTHING, NOTHING
    for part in parts:
        costs = _costs(part, book, at)
        if isinstance(costs, Unpriced):
            return Compared(share.model, requests, None, None, None, None, costs)
        used = used.plus(part.quantities)
        by_class = by_class.plus(Quantities(*costs))
    cost = sum(by_class)
    return Compared(
        model=share.model,
        requests=requests,
        cost=cost,
        per_request=money.nearest(Fraction(cost, requests)) if requests else None,
        balance=Balance(
            tokens_in=_sum(used, _INPUTS),
            tokens_out=_sum(used, _OUTPUTS),
            cost_in=_sum(by_class, _INPUTS),
            cost_out=_sum(by_class, _OUTPUTS),
        ),
        rate=rate_of(parts[0], book, at),
        unpriced=None,
    )


def rate_of(part: Part, book: RateBook, at: datetime) -> Rate | None:
    """Return the rate that prices a part."""
    return estimates.rate_of(
        part.model, part.requests, part.quantities, book, at, part.processing
    )


def proposed_cap(months: Sequence[Decimal], contingency_percent: int) -> Decimal:
    """Return the cap of a month for what is planned for each of some months: the largest
    with the contingency on top, rounded up to two digits, or below 10 to a whole unit."""
    most = max(months, default=Decimal(0)) * (100 + contingency_percent)
    wanted = most.scaleb(-2)
    unit = Decimal(1).scaleb(max(wanted.adjusted() - _CAP_DIGITS + 1, 0))
    return wanted.quantize(unit, ROUND_CEILING)


def _costs(part: Part, book: RateBook, at: datetime) -> tuple[int, ...] | Unpriced:
    return estimates.costs_by_class(
        part.model, part.requests, part.quantities, book, at, part.processing
    )


def _sum(counts: Quantities, classes: Sequence[TokenClass]) -> int:
    return sum(counts[_PLACE[token_class]] for token_class in classes)


def _two_places(value: Fraction) -> Decimal:
    return Decimal(money.nearest(value * 100)).scaleb(-2)
