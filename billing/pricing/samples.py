"""What the requests of a sample have in common, model by model: sizes, caching, cost."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from billing.pricing import bootstrap, engine, money
from billing.pricing.bootstrap import Doubt, Interval
from billing.pricing.engine import Charges, Unpriced
from billing.pricing.rates import RateBook
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import GLOBAL, Processing, Speed, Usage


class Side(StrEnum):
    """Token classes that are looked at together."""

    INPUT = "input"  # all that went in, cached or not
    OUTPUT = "output"


_OUTPUTS = (TokenClass.OUTPUT, TokenClass.OUTPUT_AUDIO, TokenClass.OUTPUT_IMAGE)


class Distribution(NamedTuple):
    """Of one request: percentiles that are values of the sample, and the rounded mean."""

    p25: int
    p50: int
    p75: int
    p90: int
    p95: int
    mean: int


class Profile(NamedTuple):
    """The requests of one model.

    `model` is the canonical key, or the provider and the name as seen when it is unknown.
    `classes` has the token classes that were used at all, over all requests: one without
    them counts as 0; `totals` are theirs, of all requests together. `prefix` is what the
    `caching` ones, which read from or wrote to a cache, read and wrote. Percentages are of
    tokens or of requests, `output_cost_percent` of the cost; None where there is nothing
    to be a part of. The cost of a request is that of the `priced` ones; `unpriced` says
    why the others have none, and how many they are. `free` ones are priced: the provider
    bills nothing for them. `elsewhere` ones ran under conditions that no plan has: fast,
    flex, at a priority, or bound to a place.
    """

    model: str
    requests: int
    classes: Mapping[TokenClass, Distribution]
    totals: Mapping[TokenClass, int]
    sides: Mapping[Side, Distribution]
    caching: int
    prefix: Distribution | None
    hit_percent: Decimal | None
    thinking_percent: Decimal | None
    batch_percent: Decimal
    elsewhere: int
    priced: int
    free: int
    unpriced: Mapping[str, int]
    cost: int  # of the priced ones, in 10⁻¹⁵ of the currency unit
    cost_per_request: Interval | None
    mean_cost: int | None  # where the requests are too few for an interval, too
    output_cost_percent: Decimal | None
    doubts: tuple[Doubt, ...]


def profiles(usages: Iterable[Usage], book: RateBook) -> list[Profile]:
    """Return a profile of each model, the most frequent first.

    Every usage is priced at its own `occurred_at`.
    """
    of_models: defaultdict[str, list[Usage]] = defaultdict(list)
    for usage in usages:
        key = book.model(usage.provider, usage.model)
        of_models[key or f"{usage.provider}/{usage.model}"].append(usage)
    in_order = sorted(of_models.items(), key=lambda one: (-len(one[1]), one[0]))
    return [_profile(model, its, book) for model, its in in_order]


def distribution(values: Sequence[int]) -> Distribution:
    """Return the distribution of at least one value. A percentile is a value of these:
    the least that so many percent of them do not exceed."""
    ordered = sorted(values)
    return Distribution(
        p25=_percentile(ordered, 25),
        p50=_percentile(ordered, 50),
        p75=_percentile(ordered, 75),
        p90=_percentile(ordered, 90),
        p95=_percentile(ordered, 95),
        mean=money.nearest(Fraction(sum(ordered), len(ordered))),
    )


def _percentile(ordered: Sequence[int], percent: int) -> int:
    return ordered[-(-percent * len(ordered) // 100) - 1]


def _profile(model: str, usages: Sequence[Usage], book: RateBook) -> Profile:
    quantities = [usage.quantities for usage in usages]
    used = {
        token_class: [one[place] for one in quantities]
        for place, token_class in enumerate(TokenClass)
    }
    sides: dict[Side, list[int]] = {
        Side.INPUT: [one.total_input for one in quantities],
        Side.OUTPUT: [
            sum(column) for column in zip(*(used[one] for one in _OUTPUTS), strict=True)
        ],
    }
    prefixes = [cached for one in quantities if (cached := one.cached)]
    results = [engine.price(usage, book) for usage in usages]
    charged = [result for result in results if isinstance(result, Charges)]
    costs = [charges.cost for charges in charged]
    reads = sum(used[TokenClass.CACHE_READ]) + sum(used[TokenClass.CACHE_READ_AUDIO])
    return Profile(
        model=model,
        requests=len(usages),
        classes={name: distribution(its) for name, its in used.items() if any(its)},
        totals={name: sum(its) for name, its in used.items() if any(its)},
        sides={side: distribution(its) for side, its in sides.items()},
        caching=len(prefixes),
        prefix=distribution(prefixes) if prefixes else None,
        hit_percent=percent(reads, sum(sides[Side.INPUT])),
        thinking_percent=percent(
            sum(usage.thinking for usage in usages), sum(sides[Side.OUTPUT])
        ),
        batch_percent=_share(usages, lambda usage: usage.processing == Processing.BATCH),
        elsewhere=sum(1 for usage in usages if _is_elsewhere(usage)),
        priced=len(charged),
        free=sum(1 for charges in charged if charges.reason),
        unpriced=Counter(one.reason for one in results if isinstance(one, Unpriced)),
        cost=sum(costs),
        cost_per_request=bootstrap.interval(costs),
        mean_cost=money.nearest(Fraction(sum(costs), len(costs))) if costs else None,
        output_cost_percent=percent(_output_cost(charged), sum(costs)),
        doubts=bootstrap.doubts(costs) if costs else (),
    )


def _is_elsewhere(usage: Usage) -> bool:
    return (
        usage.processing not in (Processing.STANDARD, Processing.BATCH)
        or usage.speed != Speed.STANDARD
        or usage.geo != GLOBAL
        or usage.endpoint != GLOBAL
    )


def percent(part: int, whole: int) -> Decimal | None:
    """Return a part in percent of the whole, to two places; None of nothing."""
    if not whole:
        return None
    return Decimal(money.nearest(Fraction(part * 10_000, whole))).scaleb(-2)


def _share(usages: Sequence[Usage], holds: Callable[[Usage], bool]) -> Decimal:
    return percent(sum(1 for usage in usages if holds(usage)), len(usages)) or Decimal()


def _output_cost(charged: Iterable[Charges]) -> int:
    return sum(
        line.cost
        for charges in charged
        for line in engine.lines(charges)
        if line.token_class in _OUTPUTS
    )
