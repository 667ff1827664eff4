"""When a prompt cache pays: how often what is written to it has to be read."""

from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from billing.pricing import figures
from billing.pricing.rates import Prices
from billing.pricing.token_classes import TokenClass

# What saves less is no advice.
_WORTH_SAYING = Decimal("0.01")
_PLACES = {name: place for place, name in enumerate(TokenClass)}


class Lifetime(StrEnum):
    """How long an entry of a cache lives after its last use."""

    FIVE_MINUTES = "5m"
    ONE_HOUR = "1h"

    @property
    def written(self) -> TokenClass:
        """The token class that writing such an entry is counted in."""
        return TokenClass(f"cache_write_{self.value}")

    @property
    def words(self) -> str:
        return "5-minute" if self is Lifetime.FIVE_MINUTES else "1-hour"


class BreakEven(NamedTuple):
    """`reads` of each written token cost together what no cache would have cost.

    With more it pays; of requests with one beginning, all within the lifetime, it pays
    from the `request`-th on: the first writes, each other one reads.
    """

    reads: Fraction
    request: int


def break_even(prices: Prices, lifetime: Lifetime) -> BreakEven | None:
    """Return when a cache pays at these prices (of one unit, in the order of classes).

    (write − input) ÷ (input − read). None where a price is missing, or a read costs no
    less than input: then it never pays.
    """
    plain = prices[_PLACES[TokenClass.INPUT]]
    write = prices[_PLACES[lifetime.written]]
    read = prices[_PLACES[TokenClass.CACHE_READ]]
    if plain is None or write is None or read is None or read >= plain:
        return None
    reads = max(Fraction(write - plain, plain - read), Fraction())
    # One write and n − 1 reads cost less than n times the input: n > 1 + reads.
    return BreakEven(reads, int(reads) + 2)


# --- What has expired ---------------------------------------------------------------


class Uses(NamedTuple):
    """Tokens of one project on one model, by the time since its cache was used before.

    A write is *again* when that is longer than the lifetime: what it writes had been in
    the cache, at most as many tokens as were used before. `late_reads` came more than
    five minutes, and within the hour, after the use before.
    """

    written_5m: int = 0
    written_1h: int = 0
    writes_again: int = 0
    again_5m: int = 0
    again_5m_within_hour: int = 0
    again_1h: int = 0
    late_reads: int = 0


class CachePrices(NamedTuple):
    """What one token costs, in currency units."""

    write_5m: Decimal
    write_1h: Decimal
    read: Decimal


def rebuilt_cost(uses: Uses, prices: CachePrices) -> Decimal:
    """What writing again cost more than reading would have."""
    return uses.again_5m * (prices.write_5m - prices.read) + uses.again_1h * (
        prices.write_1h - prices.read
    )


def with_other_lifetime(uses: Uses, prices: CachePrices) -> tuple[Lifetime, Decimal] | None:
    """Return the other lifetime, and what it would have saved (negative: cost).

    What was written for 5 minutes and had expired within the hour would have been read;
    all other writes cost what an hour costs. And the other way round: what was written
    for an hour costs less, and each late read would have been a write. None where
    neither, or both, were written.
    """
    dearer = prices.write_1h - prices.write_5m
    if uses.written_5m and not uses.written_1h:
        read_instead = uses.again_5m_within_hour * (prices.write_5m - prices.read)
        written_still = uses.written_5m - uses.again_5m_within_hour
        return Lifetime.ONE_HOUR, read_instead - written_still * dearer
    if uses.written_1h and not uses.written_5m:
        written_instead = uses.late_reads * (prices.write_5m - prices.read)
        return Lifetime.FIVE_MINUTES, uses.written_1h * dearer - written_instead
    return None


# --- In words -----------------------------------------------------------------------


class Told(NamedTuple):
    """What advice is given by: the actual reads of each written token, what caching
    saved less what it cost, and when it pays.

    `prompt` is the mean size of a prompt, `minimum` the shortest beginning that is
    cached. `other` is what `with_other_lifetime` says, by records of the last days.
    """

    cached: bool
    reads: Fraction | None
    net: Decimal
    pays: dict[Lifetime, BreakEven]
    used: tuple[Lifetime, ...]
    prompt: int
    minimum: int | None
    other: tuple[Lifetime, Decimal] | None
    currency: str


def advice(told: Told) -> str:
    """Return one or two sentences: what caching did, and what would have been better."""
    if not told.cached:
        return _of_uncached(told)
    said = [_outcome(told)]
    if told.other is not None:
        lifetime, saved = told.other
        if saved >= _WORTH_SAYING:
            amount = figures.with_currency(saved, told.currency)
            said.append(f"With {lifetime.words} caching: about {amount} less.")
    return " ".join(said)


def _of_uncached(told: Told) -> str:
    if told.minimum is not None and told.prompt < told.minimum:
        return (
            f"Nothing is cached: prompts of {told.prompt:,} tokens on average are below "
            f"the {told.minimum:,} that this model caches at least."
        )
    pays = told.pays.get(Lifetime.FIVE_MINUTES)
    if pays is None:
        return "Nothing is cached."
    return (
        "Nothing is cached. What prompts begin with alike would be cheaper from the "
        f"{_ordinal(pays.request)} request within 5 minutes on."
    )


def _outcome(told: Told) -> str:
    amount = figures.with_currency(abs(told.net), told.currency)
    verb = "saved" if told.net > 0 else "lost" if told.net < 0 else "changed"
    outcome = f"it {verb} {amount}"
    if told.reads is None:
        return f"Nothing was written, and {outcome}: what is read was written before."
    read = f"what you write is read {times(told.reads)} times"
    paying = " and ".join(
        f"{lifetime.words} caching pays from the {_ordinal(told.pays[lifetime].request)} "
        f"request on ({times(told.pays[lifetime].reads)} reads of each token)"
        for lifetime in told.used
        if lifetime in told.pays
    )
    if not paying:
        return f"{read[0].upper()}{read[1:]}: {outcome}."
    return f"{paying[0].upper()}{paying[1:]}; {read}: {outcome}."


def times(reads: Fraction) -> str:
    """Return a number of times as people read it: 0.28, 8.3, 1,240."""
    if reads >= 100:
        return f"{round(reads):,}"
    places = 1 if reads >= 10 else 2
    digits = round(reads * 10**places)
    whole, rest = divmod(digits, 10**places)
    return f"{whole}.{rest:0{places}d}".rstrip("0").rstrip(".")


def _ordinal(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    teens = 10 < number % 100 < 20
    return f"{number}{'th' if teens else endings.get(number % 10, 'th')}"
