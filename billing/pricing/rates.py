"""Rates, and the book that finds the one in force for a model call."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from billing.pricing.model_names import spellings
from billing.pricing.money import exact, whole
from billing.pricing.token_classes import UNITS, TokenClass
from billing.pricing.usage import Processing, Speed

# One price per token class, in their order: 10⁻¹⁵ of the currency unit for one token,
# one request or one millisecond. Only the last need not be a whole number. None says
# that the rate has no price for the class.
Prices = tuple[int | Fraction | None, ...]

NO_PRICES: Prices = (None,) * len(TokenClass)


@dataclass(frozen=True, slots=True)
class Rate:
    """The prices of one model under one set of conditions, from one instant on.

    `model` is the canonical key ("anthropic/claude-opus-5"). `above` is the context
    tier: the rate is for calls whose total input is strictly greater; 0 is the base.
    A rate is in force until the next one of the same conditions starts. A `stop` has
    no prices: it ends the series, so that a lower tier or the next card applies.
    Raises ValueError for a start without zone, a negative tier or a missing class.
    """

    id: int
    model: str
    processing: Processing
    speed: Speed
    geo: str
    endpoint: str
    above: int
    effective_from: datetime
    prices: Prices
    stop: bool = False

    def __post_init__(self) -> None:
        if self.effective_from.tzinfo is None:
            raise ValueError(f"rate {self.id}: effective_from needs a time zone")
        if self.above < 0:
            raise ValueError(f"rate {self.id}: a context tier cannot be negative")
        if len(self.prices) != len(TokenClass):
            raise ValueError(f"rate {self.id}: one price (or None) per token class")


def prices_per_unit(published: Mapping[TokenClass, Decimal]) -> Prices:
    """Turn published prices (currency units per `UNITS`) into prices of one unit.

    A class that is absent has no price. Raises ValueError for a price that is
    negative, not finite, or has more than nine places per million tokens.
    """
    return tuple(
        _price_per_unit(token_class, published[token_class])
        if token_class in published
        else None
        for token_class in TokenClass
    )


def published_prices(prices: Prices) -> dict[TokenClass, Decimal]:
    """Turn prices of one unit back into published ones, per `UNITS` of each class."""
    return {
        token_class: exact(int(price * UNITS[token_class]))
        for token_class, price in zip(TokenClass, prices, strict=True)
        if price is not None
    }


@lru_cache(maxsize=4096)
def _price_per_unit(token_class: TokenClass, price: Decimal) -> int | Fraction:
    per_unit = Fraction(whole(price), UNITS[token_class])
    if per_unit < 0:
        raise ValueError(f"the {token_class} price {price} is negative")
    if per_unit.denominator == 1:
        return per_unit.numerator
    if token_class is not TokenClass.SESSION:
        raise ValueError(f"the {token_class} price {price} has too many places")
    return per_unit


# What a rate is stated for: model, processing, speed, geo, endpoint.
Key = tuple[str, str, str, str, str]

# How many names beside the aliases a book remembers.
MAX_REMEMBERED = 10_000

# One card's rates of one key by context tier, each in the order they take effect.
Tiers = Mapping[int, Sequence[Rate]]


class Schedule(NamedTuple):
    """Every answer for one key, worked out once: a look-up is two binary searches.

    From `starts[n]` until the next start `rates[n]` applies. It has one element more
    than `bounds`: calls up to the first bound, calls strictly above it, and so on.
    """

    starts: tuple[datetime, ...]
    bounds: tuple[int, ...]
    rates: tuple[tuple[Rate | None, ...], ...]


class RateBook:
    """Rate cards in order of precedence, with the names that models are seen under.

    A look-up takes the first card that has a rate in force: a contract stands before
    the list, and where the contract says nothing (any more) the list applies.
    `aliases` maps (provider, exact name) to the canonical key. The
    answers of a book never change.
    """

    __slots__ = ("_aliases", "_known", "_limit", "_providers", "_schedules", "_tiers")

    def __init__(
        self,
        cards: Sequence[Iterable[Rate]],
        aliases: Mapping[tuple[str, str], str],
    ) -> None:
        self._aliases = dict(aliases)
        self._providers = sorted({provider for provider, _ in aliases})
        # With the names seen so far. A spelling must be an alias itself: through names
        # that were seen, what had been asked before would decide which ones are known.
        self._known = dict(aliases)
        self._limit = len(self._aliases) + MAX_REMEMBERED
        self._tiers = _tiers_by_key(cards)
        self._schedules = {key: _schedule(tiers) for key, tiers in self._tiers.items()}

    def under(self, card: Iterable[Rate]) -> "RateBook":
        """Return the book in which one more card stands before those of this one.

        The answers it does not change are shared, and need not be worked out again.
        """
        over = _tiers_by_key([card])
        tiers = {key: [*its, *self._tiers.get(key, ())] for key, its in over.items()}
        book = copy(self)
        book._tiers = self._tiers | tiers
        book._schedules = self._schedules | {
            key: _schedule(its) for key, its in tiers.items()
        }
        return book

    def model(self, provider: str, name: str) -> str | None:
        """Return the canonical key of a name as seen, or None when it is unknown.

        Only exact aliases count, after at most the endings `model_names` allows.
        """
        found = self._known.get((provider, name))
        return found or self._respelled(provider, name)

    def providers_of(self, name: str) -> list[str]:
        """Return all providers that have a model under this name."""
        return _providers_of(self, name)

    def every_key(self) -> Iterable[Key]:
        """Return what there are rates for, at any time."""
        return self._schedules.keys()

    def schedule(self, key: Key) -> Schedule | None:
        """Return when and above which input the rate of a key changes, if it has any."""
        return self._schedules.get(key)

    def _respelled(self, provider: str, name: str) -> str | None:
        for spelling in spellings(name):
            found = self._aliases.get((provider, spelling))
            if found is not None:
                # Remembered, so that the next one is found at once. The names are the
                # callers', so there is an end to it.
                if len(self._known) < self._limit:
                    self._known[(provider, name)] = found
                return found
        return None

    def rate(
        self,
        model: str,
        processing: str,
        speed: str,
        geo: str,
        endpoint: str,
        total_input: int,
        at: datetime,
    ) -> Rate | None:
        """Return the rate in force at `at` for one call of `total_input` tokens.

        Of the tiers below `total_input` the highest prices the whole call. A start is
        inclusive, an end exclusive. None means that no card has such a rate.
        """
        schedule = self.schedule((model, processing, speed, geo, endpoint))
        if schedule is None:
            return None
        starts, bounds, rates = schedule
        started = bisect_right(starts, at)
        if not started:
            return None
        # How many bounds are strictly smaller: a call of exactly a bound stays below.
        return rates[started - 1][bisect_left(bounds, total_input)]

    def highest(self, provider: str | None, since: datetime, until: datetime) -> Prices:
        """Return per class the highest price in force at some moment of [since, until).

        Of all models of a provider (None: of every provider) under any conditions. None
        stands for a class that has no price then.
        """
        found = list(NO_PRICES)
        for (model, *_), schedule in self._schedules.items():
            if provider is not None and model.partition("/")[0] != provider:
                continue
            for prices in _in_force_within(schedule, since, until):
                for position, price in enumerate(prices):
                    known = found[position]
                    if price is not None and (known is None or price > known):
                        found[position] = price
        return tuple(found)


@lru_cache(maxsize=4096)
def _providers_of(book: RateBook, name: str) -> list[str]:
    """Most have no such model, and that takes longest to find out."""
    return [one for one in book._providers if book.model(one, name) is not None]


def _in_force_within(
    schedule: Schedule, since: datetime, until: datetime
) -> Iterator[Prices]:
    first = max(bisect_right(schedule.starts, since) - 1, 0)
    last = bisect_left(schedule.starts, until)
    for rates in schedule.rates[first:last]:
        yield from (rate.prices for rate in rates if rate is not None)


def _tiers_by_key(cards: Sequence[Iterable[Rate]]) -> dict[Key, list[Tiers]]:
    """Sort the rates by key; each key gets its tiers in every card, in card order."""
    found: defaultdict[Key, list[Tiers]] = defaultdict(list)
    for card in cards:
        by_key: defaultdict[Key, defaultdict[int, list[Rate]]]
        by_key = defaultdict(lambda: defaultdict(list))
        # The sort is stable: of rates with one start the later in the card comes last.
        for rate in sorted(card, key=_start):
            key: Key = (
                rate.model,
                rate.processing,
                rate.speed,
                rate.geo,
                rate.endpoint,
            )
            by_key[key][rate.above].append(rate)
        for its_key, tiers in by_key.items():
            found[its_key].append(tiers)
    return dict(found)


def _schedule(cards: Sequence[Tiers]) -> Schedule:
    every_rate = [rate for tiers in cards for series in tiers.values() for rate in series]
    starts = sorted({_start(rate) for rate in every_rate})
    aboves = sorted({0, *(rate.above for rate in every_rate)})
    return Schedule(
        starts=tuple(starts),
        bounds=tuple(aboves[1:]),
        rates=tuple(
            tuple(_chosen(cards, above, start) for above in aboves) for start in starts
        ),
    )


def _chosen(cards: Sequence[Tiers], bound: int, at: datetime) -> Rate | None:
    """Return the rate for calls just above `bound`: first card, then highest tier."""
    for tiers in cards:
        for above in sorted(tiers, reverse=True):
            rate = _in_force(tiers[above], at) if above <= bound else None
            if rate is not None:
                return rate
    return None


def _in_force(series: Sequence[Rate], at: datetime) -> Rate | None:
    started = bisect_right(series, at, key=_start)
    if not started or series[started - 1].stop:
        return None
    return series[started - 1]


def _start(rate: Rate) -> datetime:
    # In UTC: two times of one zone are compared by what the clock on the wall shows,
    # and in autumn it shows one hour twice.
    return rate.effective_from.astimezone(UTC)
