"""What made spend differ from its plan: a sentence for each effect, the largest first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from billing.pricing import figures, money
from billing.pricing.token_classes import TokenClass
from billing.pricing.variance import (
    Amounts,
    Effect,
    Number,
    Side,
    Variance,
    together,
    variance,
)

_CLASSES = tuple(TokenClass)
_READS = (
    _CLASSES.index(TokenClass.CACHE_READ),
    _CLASSES.index(TokenClass.CACHE_READ_AUDIO),
)
_INPUTS = tuple(
    index for index, name in enumerate(TokenClass) if name.startswith(("input", "cache"))
)


@dataclass(frozen=True, slots=True)
class Driver:
    """An effect that is not nothing; `percent` is of the plan, None where it is 0."""

    effect: Effect
    amount: Decimal
    percent: Decimal | None
    sentence: str


def drivers(
    plan: Side, actual: Side, names: Mapping[int, str], currency: str
) -> list[Driver]:
    """`names` are those of the models, by their keys in the sides."""
    found = variance(plan, actual)
    its = _Told(found, plan, actual, names)
    listed = [_driver(effect, its, currency) for effect in Effect if found.total.of(effect)]
    return sorted(listed, key=lambda one: -abs(one.amount))


def _driver(effect: Effect, its: "_Told", currency: str) -> Driver:
    total = its.found.total
    amount = money.exact(total.of(effect))
    planned = money.exact(total.plan)
    sign = "+" if amount > 0 else ""
    said = _SENTENCES[effect](its)
    return Driver(
        effect=effect,
        amount=amount,
        percent=amount * 100 / planned if planned else None,
        sentence=f"{said}: {sign}{figures.with_currency(amount, currency)}.",
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """Both sides, their variance, and what sentences say of them."""

    found: Variance
    plan: Side
    actual: Side
    names: Mapping[int, str]

    def amounts(self, side: Side, model: int | str) -> Amounts:
        return together(its for cell, its in side.items() if cell.model == model)

    def changed(self, effect: Effect) -> str:
        """The size of an effect in percent of what it changes."""
        base = self.found.total.base(effect)
        change = abs(Decimal(self.found.total.of(effect))) * 100 / base
        return figures.percent(change)

    def mostly(self, effect: Effect) -> str:
        """Whose effect it is, where there are several models and one has most of it."""
        model = self.foremost(effect)
        part = self.found.models[model].of(effect)
        others = [one for one in self.found.models.values() if one.of(effect)]
        if len(others) < 2 or abs(part) * 2 < abs(self.found.total.of(effect)):
            return ""
        return f", mostly on {self.name(model)}"

    def foremost(self, effect: Effect) -> int | str:
        """The model with the largest part of an effect, in its direction."""
        sign = 1 if self.found.total.of(effect) > 0 else -1
        models = self.found.models
        return max(models, key=lambda model: models[model].of(effect) * sign)

    def name(self, model: int | str) -> str:
        return self.names[int(model)]

    def is_more(self, effect: Effect) -> bool:
        return self.found.total.of(effect) > 0


# --- One sentence for each effect -----------------------------------------------------


def _volume(its: _Told) -> str:
    planned = together(its.plan.values()).requests
    came = max(together(its.actual.values()).requests, 0)
    if not came:
        return f"There were no requests; planned were {_number(planned)}"
    more = "more" if came > planned else "fewer"
    change = figures.percent(abs(_ratio(came, planned) - 1) * 100)
    return (
        f"There were {change} {more} requests than planned, {_number(came)} instead of "
        f"{_number(planned)}"
    )


def _mix(its: _Told) -> str:
    model = its.foremost(Effect.MIX)
    name = its.name(model)
    planned, came = its.amounts(its.plan, model), its.amounts(its.actual, model)
    if planned.requests <= 0:
        return f"{name} was not planned, and had {_requests(came.requests)}"
    if came.requests <= 0:
        return f"{name} was planned for {_requests(planned.requests)}, and had none"
    before = _ratio(planned.requests, together(its.plan.values()).requests)
    after = _ratio(came.requests, together(its.actual.values()).requests)
    return (
        f"Requests went to other models than planned: {name} had {_share(after)} of them "
        f"instead of {_share(before)}"
    )


def _input_size(its: _Told) -> str:
    return _size(its, Effect.INPUT_SIZE, "Input")


def _output_size(its: _Told) -> str:
    return _size(its, Effect.OUTPUT_SIZE, "Output")


def _size(its: _Told, effect: Effect, what: str) -> str:
    if its.found.total.base(effect) <= 0:
        return f"{what} was longer than planned per request{its.mostly(effect)}"
    longer = "longer" if its.is_more(effect) else "shorter"
    return (
        f"{what} was {its.changed(effect)} {longer} than planned per request"
        f"{its.mostly(effect)}"
    )


def _tool_size(its: _Told) -> str:
    effect = Effect.TOOL_SIZE
    if its.found.total.base(effect) <= 0:
        return f"Tools were used that were not planned{its.mostly(effect)}"
    more = "more" if its.is_more(effect) else "less"
    return f"Tools were used {its.changed(effect)} {more} than planned per request" + (
        its.mostly(effect)
    )


def _caching(its: _Told) -> str:
    before, after = _read_share(its, its.plan), _read_share(its, its.actual)
    return (
        f"Caching made input {_dearer(its, Effect.CACHING)} than planned: {_share(after)} "
        f"of it was read from a cache instead of {_share(before)}"
    )


def _processing(its: _Told) -> str:
    before, after = _batch_share(its.plan), _batch_share(its.actual)
    said = f"How requests were processed was {_dearer(its, Effect.PROCESSING)} than planned"
    if before == after:
        return said + its.mostly(Effect.PROCESSING)
    return f"{said}: {_share(after)} of them in batches instead of {_share(before)}"


def _price(its: _Told) -> str:
    effect = Effect.PRICE
    higher = "higher" if its.is_more(effect) else "lower"
    if its.found.total.base(effect) <= 0:
        return f"Prices were {higher} than planned{its.mostly(effect)}"
    return f"Prices were {its.changed(effect)} {higher} than planned{its.mostly(effect)}"


_SENTENCES: dict[Effect, Callable[[_Told], str]] = {
    Effect.VOLUME: _volume,
    Effect.MIX: _mix,
    Effect.INPUT_SIZE: _input_size,
    Effect.OUTPUT_SIZE: _output_size,
    Effect.TOOL_SIZE: _tool_size,
    Effect.CACHING: _caching,
    Effect.PROCESSING: _processing,
    Effect.PRICE: _price,
}


def _dearer(its: _Told, effect: Effect) -> str:
    return "dearer" if its.is_more(effect) else "cheaper"


def _ratio(part: Number, whole: Number) -> Decimal:
    ratio = Fraction(part) / whole
    return Decimal(ratio.numerator) / ratio.denominator


def _read_share(its: _Told, side: Side) -> Decimal:
    """Of what went into the models whose caching differs."""
    total = together(
        amounts
        for cell, amounts in side.items()
        if its.found.models[cell.model].of(Effect.CACHING)
    )
    read = sum(total.quantities[index] for index in _READS)
    went_in = sum(total.quantities[index] for index in _INPUTS)
    return _ratio(read, went_in) if went_in else Decimal()


def _batch_share(side: Side) -> Decimal:
    requests = together(side.values()).requests
    batch = together(
        its for cell, its in side.items() if cell.conditions.processing == "batch"
    )
    return _ratio(batch.requests, requests) if requests else Decimal()


def _share(ratio: Decimal) -> str:
    return figures.percent(ratio * 100)


def _number(count: Number) -> str:
    return f"{money.nearest(count):,}"


def _requests(count: Number) -> str:
    number = money.nearest(count)
    return "1 request" if number == 1 else f"{number:,} requests"
