"""What a lever does, in sentences: of each whether it pays, and from where on."""

from collections.abc import Iterator, Mapping
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction

from billing.pricing import figures, money
from billing.pricing.what_if import (
    CachingKind,
    Lever,
    Levers,
    Missing,
    Moved,
    Pulled,
    Recached,
)

_HUNDRED = Decimal(100)
_PLACES = Decimal("0.01")


class Words:
    """`names` are what models are called, by their canonical keys."""

    def __init__(self, names: Mapping[str, str], levers: Levers, currency: str) -> None:
        self._names = names
        self._levers = levers
        self._currency = currency

    def of(self, pulled: Pulled) -> Iterator[str]:
        match pulled.lever:
            case Lever.MODELS:
                for moved in pulled.moved:
                    yield from self._of_move(moved)
            case Lever.BATCH:
                yield self._of_batch(pulled)
            case Lever.CACHING:
                yield from self._of_caching(pulled.recached)
            case Lever.OUTPUT:
                yield self._of_output(pulled)
            case Lever.PRICES:
                yield self._of_prices(pulled)

    def missing(self, pulled: Pulled) -> Iterator[str]:
        for one in pulled.missing:
            yield f"{self._why(pulled.lever, one)} They stay as they are, in both totals."

    def _money(self, amount: int) -> str:
        return figures.with_currency(money.exact(amount), self._currency)

    # --- Models ---

    def _of_move(self, moved: Moved) -> Iterator[str]:
        move = moved.move
        model, to = self._names[move.model], self._names[move.to]
        if not moved.requests:
            yield f"No request of {model} was moved to {to}."
            return
        yield (
            f"{_requests(moved.requests)} of {model} would have cost "
            f"{self._money(moved.after)} on {to} instead of {self._money(moved.before)}."
        )
        yield _whether_it_pays(moved, to)
        if moved.as_input:
            yield f"{to} has no price for some cached tokens: they count as plain input."

    # --- Batch ---

    def _of_batch(self, pulled: Pulled) -> str:
        if not pulled.requests:
            return "No request that can wait could be moved to a batch."
        wait = "waits" if pulled.requests == 1 else "wait"
        return (
            f"{_requests(pulled.requests)} {wait}, for up to 24 hours: "
            f"{self._money(pulled.its_after)} instead of {self._money(pulled.its_before)}."
        )

    # --- Caching ---

    def _of_caching(self, recached: Recached | None) -> Iterator[str]:
        caching = self._levers.caching
        if recached is None or caching is None:
            yield "No token changes its place in the cache."
            return
        yield (
            f"{recached.tokens:,} tokens cost {self._money(recached.after)} instead of "
            f"{self._money(recached.before)}."
        )
        if caching.kind in (CachingKind.ON, CachingKind.OFF):
            yield _whether_caching_pays(recached.hit_even)
        else:
            yield self._of_lifetime(caching.kind, recached)

    def _of_lifetime(self, kind: CachingKind, recached: Recached) -> str:
        if recached.after == recached.before:
            return "Both lifetimes cost the same."
        tokens = recached.tokens_even
        if tokens is None:
            return "From where on it pays cannot be said: reads have no price here."
        number = f"{-(-tokens.numerator // tokens.denominator):,}"
        share = _percent(tokens / recached.tokens)
        if kind is CachingKind.ONE_HOUR:
            return (
                f"An hour pays as soon as {number} tokens ({share} of what was written) "
                "are read again instead of written again."
            )
        return (
            f"Five minutes pay as long as fewer than {number} tokens ({share} of what was "
            "written) are written again instead of read."
        )

    # --- Output, and the rates of another day ---

    def _of_output(self, pulled: Pulled) -> str:
        more = self._levers.output or Fraction()
        word = "longer" if more > 0 else "shorter"
        return (
            f"Output {_percent(abs(more) / 100)} {word}: {self._money(pulled.its_after)} "
            f"instead of {self._money(pulled.its_before)} for the requests that have any."
        )

    def _of_prices(self, pulled: Pulled) -> str:
        at = self._levers.prices_at
        day = f"{at.day} {at:%b %Y}" if at else ""
        return (
            f"At the prices of {day} the same calls cost {self._money(pulled.its_after)} "
            f"instead of {self._money(pulled.its_before)}."
        )

    def _why(self, lever: Lever, one: Missing) -> str:
        model, cost = self._names[one.model], self._money(one.cost)
        what = f"{_requests(one.requests)} of {model} ({one.processing}, {cost})"
        match lever:
            case Lever.MODELS:
                return f"The other model has no price for {what}."
            case Lever.BATCH:
                return f"There is no batch price for {what}."
            case Lever.CACHING:
                return f"There is no such cache price for {what}."
            case Lever.PRICES:
                return f"There was no price then for {what}."
            case Lever.OUTPUT:
                return f"There is no price for {what}."


def assumptions(levers: Levers, *, by_tag: bool) -> Iterator[str]:
    """What the figures rest on."""
    yield "Price only: quality and speed are not judged."
    yield "Each day is priced at the rates in force at noon UTC of it."
    yield "A context tier goes by the input of the average request of a project and model."
    if levers.moves:
        yield (
            "The same text is another number of tokens for another tokenizer: the range "
            "says so where it is expected to be."
        )
    if levers.batch is not None and by_tag:
        yield "What can wait is known by its tags, which are read from the records."
    if levers.caching is not None and levers.caching.kind is CachingKind.ON:
        yield (
            "Sums do not tell how long a repeated beginning is: one shorter than the least "
            "that a model caches is not cached."
        )


def _whether_it_pays(moved: Moved, to: str) -> str:
    """The caveat that belongs to each price: nobody has looked at the answers."""
    factor, even = moved.move.factor, moved.break_even
    judged = "Price only: quality is not judged."
    if even is None:
        return f"Moving does not pay at any number of tokens. {judged}"
    pays = f"Moving pays as long as {to} needs fewer than {_times(even)} times the tokens"
    if factor.is_certain:
        expected = "" if factor.mid == 1 else f"; it is taken to need {_times(factor.mid)}"
        return f"{pays}{expected}. {judged}"
    if factor.high < even:
        verdict = "it is expected to"
    elif factor.low >= even:
        verdict = "it is expected not to"
    else:
        verdict = "it may or may not"
    between = f"{_times(factor.low)} to {_times(factor.high)}"
    return f"{pays}: {verdict}, with {between} times as many for the same text. {judged}"


def _whether_caching_pays(hit: Fraction | None) -> str:
    if hit is None:
        return "Whether caching pays cannot be said: reads save nothing, or have no price."
    if not hit:
        return "Caching them pays as soon as one is read: writing costs no more than input."
    return (
        f"Caching them pays as long as more than {_percent(hit)} of them are read, not "
        "written."
    )


def _requests(number: int) -> str:
    return f"{number:,} request{'' if number == 1 else 's'}"


def _times(factor: Fraction) -> str:
    exact = Decimal(factor.numerator) / Decimal(factor.denominator)
    return f"{exact.quantize(_PLACES, ROUND_DOWN)}"


def _percent(share: Fraction) -> str:
    return figures.percent(_HUNDRED * share.numerator / share.denominator)
