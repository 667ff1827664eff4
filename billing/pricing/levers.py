"""Levers, and what they come to: requests and tokens per month, model and processing.

Every count is rounded once, a half up. The requests of a month are rounded first; models
and processings divide that whole number among them, so they add up to it.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from billing.pricing import money, prefixes
from billing.pricing.budget_periods import calendar_month, months_later
from billing.pricing.token_classes import BESIDE_TEXT, Quantities, TokenClass
from billing.pricing.usage import Processing

_ALL = 100  # percent
_MINUTES_OF_A_DAY = 24 * 60


class Ttl(StrEnum):
    """How long the provider keeps what was cached, from its last use."""

    NONE = ""
    FIVE_MINUTES = "5m"
    ONE_HOUR = "1h"


MINUTES = {Ttl.FIVE_MINUTES: 5, Ttl.ONE_HOUR: 60}


class Levers(NamedTuple):
    """One scenario: how many requests, and what one of them is like.

    `requests_per_day` are those of each user where `users` is given. A month shorter than
    `active_days` has as many as it has. `thinking_percent` is a part of the output and
    changes no cost. Of `prefix_percent` of the requests the prompt begins with the prefix;
    the others have the rest alone. What is counted in 1,000 requests is neither larger nor
    smaller by another tokenizer.
    """

    requests_per_day: Decimal
    input_tokens: int  # the rest of the prompt
    output_tokens: int  # thinking included
    users: int | None = None
    active_days: int = 31
    growth_percent: Decimal = Decimal(0)  # from month to month, compounding
    batch_percent: Decimal = Decimal(0)
    prefix_tokens: int = 0  # what prompts repeat
    prefix_percent: Decimal = Decimal(_ALL)  # of the requests that begin with it
    cache_ttl: Ttl = Ttl.NONE
    hit_percent: Decimal = Decimal(0)  # of those, that find the prefix cached
    thinking_percent: Decimal = Decimal(0)
    searches_per_1000: int = 0
    input_audio_per_1000: int = 0
    cache_read_audio_per_1000: int = 0
    output_audio_per_1000: int = 0
    output_image_per_1000: int = 0
    session_per_1000: int = 0  # milliseconds

    @property
    def daily_requests(self) -> Fraction:
        """On an active day of the first month, of all users."""
        return Fraction(self.requests_per_day) * (1 if self.users is None else self.users)

    @property
    def minutes_apart(self) -> Fraction | None:
        """How far apart requests with the prefix are on the average, spread evenly over a
        day."""
        each = self.daily_requests * _part(self.prefix_percent)
        return Fraction(_MINUTES_OF_A_DAY, each) if each else None

    @property
    def lapses(self) -> bool:
        """Whether, spread evenly, each request would come after the cache has expired."""
        apart = self.minutes_apart
        return self.caches and apart is not None and apart > MINUTES[self.cache_ttl]

    @property
    def caches(self) -> bool:
        return self.cache_ttl is not Ttl.NONE and self.prefix_tokens > 0

    @property
    def thinking_tokens(self) -> int:
        return _rounded(self.output_tokens * _part(self.thinking_percent))

    @property
    def beside_text(self) -> dict[TokenClass, int]:
        """In 1,000 requests, of each class that no size of a prompt tells."""
        return {name: getattr(self, f"{name}_per_1000") for name in BESIDE_TEXT}


# What is of a scenario, whichever model answers.
VOLUME = ("requests_per_day", "users", "active_days", "growth_percent")


class Factor(NamedTuple):
    """How many tokens a model counts where the levers say one: the least, the middle, by
    which is planned, and the most."""

    low: Decimal = Decimal(1)
    mid: Decimal = Decimal(1)
    high: Decimal = Decimal(1)

    @property
    def is_certain(self) -> bool:
        return self.low == self.high


class Share(NamedTuple):
    """A model (canonical key), how much of the requests it gets, and how many tokens it
    counts where the levers say one.

    With levers of its `own` they say what its requests are like, in its own tokens; how
    many there are is said by those of the scenario. `without` has the classes that it has
    no price for, and so makes nothing of.
    """

    model: str
    percent: Decimal = Decimal(_ALL)
    token_factor: Decimal = Decimal(1)
    own: Levers | None = None
    without: frozenset[TokenClass] = frozenset()

    def sizes(self, levers: Levers) -> Levers:
        """What its requests are like."""
        return levers if self.own is None else self.own

    def prefix(self, levers: Levers) -> int:
        """The tokens of the prefix, as this model counts them."""
        return _rounded(self.sizes(levers).prefix_tokens * Fraction(self.token_factor))

    def caches(self, levers: Levers) -> bool:
        """Whether the prefix is asked to be cached, and long enough for it."""
        return self.sizes(levers).caches and self.prefix(levers) >= self.least_prefix

    @property
    def least_prefix(self) -> int:
        known = prefixes.least(self.model)
        return prefixes.USUAL if known is None else known


class Part(NamedTuple):
    """One model in one month and processing."""

    month: date  # its first day
    model: str
    processing: Processing
    requests: int
    quantities: Quantities


def multiplied(
    levers: Levers, shares: Sequence[Share], first: date, months: int
) -> list[Part]:
    """Return what so many months from `first` on come to.

    A model without a share has no part, nor has a processing without requests, but for
    the standard one of a model without any. Raises ValueError where the shares do not add
    up to 100.
    """
    if sum(share.percent for share in shares) != _ALL:
        raise ValueError("the shares of the models do not add up to 100")
    return [
        part
        for number in range(months)
        for part in _of_month(levers, shares, months_later(first, number), number)
    ]


def requests(levers: Levers, month: date, number: int) -> int:
    """Return the requests of the month with this first day, `number` months after the
    first one."""
    days = min(levers.active_days, calendar_month(month).days)
    growth = (1 + _part(levers.growth_percent)) ** number
    return _rounded(levers.daily_requests * days * growth)


def divided(total: int, weights: Sequence[Decimal]) -> list[int]:
    """Divide a whole number in proportion; the parts add up to it.

    Each is rounded down, and what is left goes, one each, to the largest fractions: of
    equal ones to the first. Raises ValueError without a weight.
    """
    of_all = sum(map(Fraction, weights))
    if of_all <= 0:
        raise ValueError("nothing to divide by")
    exact = [Fraction(total * Fraction(weight), of_all) for weight in weights]
    parts = [part.__floor__() for part in exact]
    by_fraction = sorted(range(len(parts)), key=lambda one: parts[one] - exact[one])
    for position in by_fraction[: total - sum(parts)]:
        parts[position] += 1
    return parts


def _of_month(
    levers: Levers, shares: Sequence[Share], month: date, number: int
) -> Iterator[Part]:
    total = requests(levers, month, number)
    wanted = [share for share in shares if share.percent]
    of_models = divided(total, [share.percent for share in wanted])
    for share, of_model in zip(wanted, of_models, strict=True):
        batch = _rounded(of_model * _part(share.sizes(levers).batch_percent))
        for processing, count in (
            (Processing.STANDARD, of_model - batch),
            (Processing.BATCH, batch),
        ):
            if count or (not of_model and processing is Processing.STANDARD):
                yield Part(
                    month, share.model, processing, count, quantities(levers, share, count)
                )


def quantities(levers: Levers, share: Share, count: int) -> Quantities:
    """Return the tokens and searches of so many requests on this model."""
    its, factor = share.sizes(levers), Fraction(share.token_factor)
    prefix, caches = share.prefix(levers), share.caches(levers)
    repeating = _rounded(count * _part(its.prefix_percent))
    hits = _rounded(repeating * _part(its.hit_percent)) if caches else 0
    written = (repeating - hits) * prefix if caches else 0
    plain = 0 if caches else repeating * prefix
    is_short = its.cache_ttl is Ttl.FIVE_MINUTES
    beside_text = {
        name: 0 if name in share.without else _rounded(Fraction(count * per_1000, 1_000))
        for name, per_1000 in its.beside_text.items()
    }
    return Quantities(
        input=plain + _rounded(count * its.input_tokens * factor),
        cache_write_5m=written if is_short else 0,
        cache_write_1h=0 if is_short else written,
        cache_read=hits * prefix,
        output=_rounded(count * its.output_tokens * factor),
        web_search=_rounded(Fraction(count * its.searches_per_1000, 1_000)),
        **beside_text,
    )


def _part(percent: Decimal) -> Fraction:
    return Fraction(Fraction(percent), _ALL)


def _rounded(count: int | Fraction) -> int:
    return money.nearest(count)
