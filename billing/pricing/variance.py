"""Why spend was not what was planned: one path from the plan to the actual, in steps.

The path starts at the plan and puts in, one after the other, what really happened: how
many requests, on which models, how long, from which cache, processed how, at what price.
After each step there is a total; an effect is the difference of two neighbours. So the
effects add up to actual − plan exactly, for each model and for all.

Unit costs are effective ones: cost ÷ quantity of a side. Where the plan has none of what
is asked, the actual one stands in, so that nothing of it is a difference in price.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from billing.pricing import money
from billing.pricing.token_classes import TOOLS, TokenClass

Number = int | Fraction


class Effect(StrEnum):
    """The steps of the path, in their order."""

    VOLUME = "volume"
    MIX = "mix"
    INPUT_SIZE = "input_size"
    OUTPUT_SIZE = "output_size"
    TOOL_SIZE = "tool_size"
    CACHING = "caching"
    PROCESSING = "processing"
    PRICE = "price"


SIZES = (Effect.INPUT_SIZE, Effect.OUTPUT_SIZE, Effect.TOOL_SIZE)


class Conditions(NamedTuple):
    """What a price depends on besides the model."""

    processing: str
    speed: str
    geo: str
    endpoint: str


class Cell(NamedTuple):
    """A model, by any key, under some conditions."""

    model: int | str
    conditions: Conditions


class Amounts(NamedTuple):
    """Requests, and by class (in the order of `TokenClass`) quantities and costs.

    Costs count 10⁻¹⁵ of the currency unit. Anything may be a fraction: a plan of a month
    is that of its days in equal parts.
    """

    requests: Number
    quantities: tuple[Number, ...]
    costs: tuple[Number, ...]

    @property
    def cost(self) -> Number:
        return sum(self.costs)

    def times(self, share: Number) -> "Amounts":
        return Amounts(
            self.requests * share,
            tuple(one * share for one in self.quantities),
            tuple(one * share for one in self.costs),
        )


NONE = Amounts(0, (0,) * len(TokenClass), (0,) * len(TokenClass))

Side = Mapping[Cell, Amounts]


@dataclass(frozen=True, slots=True)
class Walk:
    """Totals in 10⁻¹⁵ of the currency unit, each rounded once: the plan, and what it
    comes to after each step; the last one is the actual.

    `bases` are what each step changes: the total before it, or of that the part which the
    step is about; none of a model whose whole difference is mix. An effect of a tenth of
    its base is one of 10 %.
    """

    totals: tuple[int, ...]
    bases: tuple[int, ...]

    @property
    def plan(self) -> int:
        return self.totals[0]

    @property
    def actual(self) -> int:
        return self.totals[-1]

    @property
    def difference(self) -> int:
        return self.actual - self.plan

    def of(self, effect: Effect) -> int:
        step = _STEPS.index(effect)
        return self.totals[step + 1] - self.totals[step]

    def base(self, effect: Effect) -> int:
        return self.bases[_STEPS.index(effect)]

    @property
    def effects(self) -> dict[Effect, int]:
        return {effect: self.of(effect) for effect in Effect}

    @property
    def size(self) -> int:
        return sum(self.of(effect) for effect in SIZES)


@dataclass(frozen=True, slots=True)
class Variance:
    """`total` is the sum of the models."""

    models: dict[int | str, Walk]
    total: Walk


def variance(plan: Side, actual: Side) -> Variance:
    """Walk from plan to actual, model by model.

    Fewer than no requests, of what was taken back, are none.
    """
    planned, came = _by_model(plan), _by_model(actual)
    volume = _volume(plan.values(), actual.values())
    models = {
        model: _walk(planned.get(model, {}), came.get(model, {}), volume)
        for model in (planned | came)
    }
    return Variance(models, _sum_of_walks(models.values()))


def together(amounts: Iterable[Amounts]) -> Amounts:
    """Return the sum."""
    total = NONE
    for one in amounts:
        total = Amounts(
            total.requests + one.requests,
            _added(total.quantities, one.quantities),
            _added(total.costs, one.costs),
        )
    return total


_STEPS = tuple(Effect)
_CLASSES = tuple(TokenClass)


def _indexes(*classes: TokenClass) -> tuple[int, ...]:
    return tuple(_CLASSES.index(one) for one in classes)


# What goes in as text, and as sound: within each of them a cache may serve it.
_INPUTS = (
    _indexes(
        TokenClass.INPUT,
        TokenClass.CACHE_WRITE_5M,
        TokenClass.CACHE_WRITE_1H,
        TokenClass.CACHE_READ,
    ),
    _indexes(TokenClass.INPUT_AUDIO, TokenClass.CACHE_READ_AUDIO),
)
_INPUT = _INPUTS[0] + _INPUTS[1]
_TOOLS = _indexes(*(one for one in TokenClass if one in TOOLS))
_OUTPUT = tuple(index for index in range(len(_CLASSES)) if index not in (*_INPUT, *_TOOLS))

_Parts = Mapping[Conditions, Amounts]


def _added(mine: tuple[Number, ...], its: tuple[Number, ...]) -> tuple[Number, ...]:
    return tuple(one + other for one, other in zip(mine, its, strict=True))


def _by_model(side: Side) -> dict[int | str, dict[Conditions, Amounts]]:
    models: dict[int | str, dict[Conditions, Amounts]] = defaultdict(dict)
    for cell, amounts in side.items():
        models[cell.model][cell.conditions] = amounts
    return dict(models)


def _volume(plan: Iterable[Amounts], actual: Iterable[Amounts]) -> Number:
    """By what the plan is multiplied to have the actual number of requests; a plan
    without requests is left as it is."""
    planned = together(plan).requests
    return Fraction(max(together(actual).requests, 0), planned) if planned > 0 else 1


def _walk(plan: _Parts, actual: _Parts, volume: Number) -> Walk:
    planned, came = together(plan.values()), together(actual.values())
    start = planned.cost
    if planned.requests <= 0 or came.requests <= 0:
        # On one side only: whatever it cost is mix.
        totals = [start, start * volume, *[came.cost] * (len(_STEPS) - 1)]
        return _rounded(totals, [*totals[:2], *[0] * (len(_STEPS) - 2)])
    grown = Fraction(came.requests, planned.requests)
    before = [_cost(planned, part) * grown for part in (_INPUT, _OUTPUT, _TOOLS)]
    sizes = [
        sum(_at(planned, came, group) for group in _INPUTS),
        _class_by_class(planned, came, _OUTPUT),
        _class_by_class(planned, came, _TOOLS),
    ]
    cached = _class_by_class(planned, came, _INPUT)
    processed = sum(
        _class_by_class(plan.get(conditions, NONE), amounts, range(len(_CLASSES)))
        for conditions, amounts in actual.items()
    )
    totals = [
        start,
        start * volume,
        sum(before),
        sizes[0] + before[1] + before[2],
        sizes[0] + sizes[1] + before[2],
        sum(sizes),
        cached + sizes[1] + sizes[2],
        processed,
        came.cost,
    ]
    return _rounded(totals, [*totals[:2], *before, sizes[0], *totals[6:8]])


def _cost(amounts: Amounts, part: Iterable[int]) -> Number:
    return sum(amounts.costs[index] for index in part)


def _class_by_class(plan: Amounts, actual: Amounts, part: Iterable[int]) -> Number:
    return sum(_at(plan, actual, (index,)) for index in part)


def _at(plan: Amounts, actual: Amounts, group: tuple[int, ...]) -> Number:
    """What the actual quantity of these classes costs at the plan's rate for them."""
    quantity = sum(actual.quantities[index] for index in group)
    planned = sum(plan.quantities[index] for index in group)
    if planned:
        return quantity * Fraction(_cost(plan, group), planned)
    return _cost(actual, group) if quantity else 0


def _rounded(totals: Iterable[Number], bases: Iterable[Number]) -> Walk:
    return Walk(tuple(map(money.nearest, totals)), tuple(map(money.nearest, bases)))


def _sum_of_walks(walks: Iterable[Walk]) -> Walk:
    listed = list(walks)
    if not listed:
        return Walk((0,) * (len(_STEPS) + 1), (0,) * len(_STEPS))
    return Walk(
        tuple(sum(its) for its in zip(*(walk.totals for walk in listed), strict=True)),
        tuple(sum(its) for its in zip(*(walk.bases for walk in listed), strict=True)),
    )
