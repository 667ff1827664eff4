"""What made spend differ from its plan: a sentence for each effect, the largest first."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from billing.pricing import figures, money
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import GLOBAL, Processing, Speed
from billing.pricing.variance import (
    Amounts,
    Effect,
    Number,
    Side,
    Variance,
    together,
    variance,
)


@dataclass(frozen=True, slots=True)
class Driver:
    """An effect that is not nothing; `percent` is of the plan, None where it is 0."""

    effect: Effect
    amount: Decimal
    percent: Decimal | None
    sentence: str


def drivers(
    plan: Side, actual: Side, names: Mapping[int | str, str], currency: str
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
    names: Mapping[int | str, str]

    def of(self, side: Side, model: int | str) -> Amounts:
        return together(its for cell, its in side.items() if cell.model == model)

    def conditions(self, side: Side, model: int | str) -> dict[tuple[str, str], Decimal]:
        """The shares of a model's requests under each condition that is not the usual."""
        whole = self.of(side, model).requests
        parts: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for cell, its in side.items():
            for name, value in cell.conditions._asdict().items():
                if cell.model == model and value not in _USUAL:
                    parts[name, value] += _ratio(its.requests, whole)
        return parts

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
        return self.names[model]

    def dearer(self, effect: Effect) -> str:
        return "dearer" if self.is_more(effect) else "cheaper"

    def is_more(self, effect: Effect) -> bool:
        return self.found.total.of(effect) > 0


_USUAL = {Processing.STANDARD.value, Speed.STANDARD.value, GLOBAL}


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
    planned, came = its.of(its.plan, model), its.of(its.actual, model)
    if planned.requests <= 0:
        return f"{name} was not planned, and had {_requests(came.requests)}"
    if came.requests <= 0:
        return f"{name} was planned for {_requests(planned.requests)}, and had none"
    shares = _instead_of(
        _ratio(came.requests, together(its.actual.values()).requests),
        _ratio(planned.requests, together(its.plan.values()).requests),
        "of them",
    )
    return f"Requests went to other models than planned: {name} had {shares}"


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
    """By the reads, or where these went the other way by the writes, of a model."""
    effect = Effect.CACHING
    said = f"Caching made input {its.dearer(effect)} than planned{its.mostly(effect)}"
    model = its.foremost(effect)
    planned, came = its.of(its.plan, model), its.of(its.actual, model)
    for classes, words, costs_more in _CACHES:
        before, after = _part(planned, classes), _part(came, classes)
        if before != after and (after > before) == (its.is_more(effect) is costs_more):
            return f"{said}: {_instead_of(after, before, words)}"
    return said


def _processing(its: _Told) -> str:
    """By the condition of a model that changed most."""
    effect = Effect.PROCESSING
    said = (
        f"How requests were processed was {its.dearer(effect)} than planned"
        f"{its.mostly(effect)}"
    )
    model = its.foremost(effect)
    planned, came = its.conditions(its.plan, model), its.conditions(its.actual, model)
    changes = {
        one: abs(came.get(one, Decimal()) - planned.get(one, Decimal()))
        for one in sorted({*planned, *came})
    }
    largest = max(changes, key=lambda one: changes[one], default=None)
    if largest is None or not changes[largest]:
        return said
    shares = _instead_of(
        came.get(largest, Decimal()),
        planned.get(largest, Decimal()),
        f"of the requests with {largest[0]} {largest[1]}",
    )
    return f"{said}: {shares}"


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


def _indexes(*classes: TokenClass) -> tuple[int, ...]:
    return tuple(tuple(TokenClass).index(one) for one in classes)


_INPUTS = _indexes(*(name for name in TokenClass if name.startswith(("input", "cache"))))
# Token classes, what is said of them, and whether more of them cost more.
_CACHES = (
    (
        _indexes(TokenClass.CACHE_READ, TokenClass.CACHE_READ_AUDIO),
        "of it was read from a cache",
        False,
    ),
    (
        _indexes(TokenClass.CACHE_WRITE_5M, TokenClass.CACHE_WRITE_1H),
        "of it was written to a cache",
        True,
    ),
)


def _part(amounts: Amounts, classes: tuple[int, ...]) -> Decimal:
    """Of the input of these classes, from 0 to 1."""
    went_in = sum(amounts.quantities[index] for index in _INPUTS)
    of_it = sum(amounts.quantities[index] for index in classes)
    return _ratio(of_it, went_in)


def _ratio(part: Number, whole: Number) -> Decimal:
    """Of nothing, nothing: what was taken back may make up for the rest."""
    ratio = Fraction(part) / whole if whole else Fraction(0)
    return Decimal(ratio.numerator) / ratio.denominator


def _instead_of(after: Decimal, before: Decimal, what: str) -> str:
    """40 % … instead of 80 %, with as many places as tell the two apart, up to two."""
    for places in ("1", "0.1", "0.01"):
        shown = [
            (one * 100).quantize(Decimal(places), ROUND_HALF_EVEN)
            for one in (after, before)
        ]
        if shown[0] != shown[1]:
            break
    new, old = (f"{one}{figures.THIN}%" for one in shown)
    return f"{new} {what} instead of {old}"


def _number(count: Number) -> str:
    return f"{money.nearest(count):,}"


def _requests(count: Number) -> str:
    number = money.nearest(count)
    return "1 request" if number == 1 else f"{number:,} requests"
