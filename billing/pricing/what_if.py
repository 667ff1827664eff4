"""What past usage would have cost otherwise: price alone, quality is not judged.

Levers are pulled in one order, each on what the one before it left: models, batch,
caching, output, prices. What a lever does is the total after it less the total before it,
so what they all do adds up to the whole difference, exactly. What has no rate where a
lever would put it stays where it is, and is said. All costs are in 10⁻¹⁵ of the currency
unit.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from billing.pricing import engine, text_tokens
from billing.pricing.engine import Unpriced
from billing.pricing.rates import Rate, RateBook
from billing.pricing.text_tokens import Times
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Processing, Speed

_HUNDRED = 100
# A cache read or written at these is billed apart from plain input.
_WRITES = (TokenClass.CACHE_WRITE_5M, TokenClass.CACHE_WRITE_1H)
_CACHED = (*_WRITES, TokenClass.CACHE_READ)
# Of the same text another tokenizer makes more, or fewer, of these.
_OF_TEXT = (TokenClass.INPUT, *_CACHED, TokenClass.OUTPUT)


class Cell(NamedTuple):
    """Calls of one place that one rate prices; any whole-numbered part of some is one too.

    `place` is whatever the caller tells apart. `size` is what a context tier goes by: the
    input of the average call. `at` is the moment whose rates count. `deferrable` calls
    may be answered a day later.
    """

    place: tuple[int, ...]
    model: str  # the canonical key
    processing: str
    speed: str
    geo: str
    endpoint: str
    size: int
    at: datetime
    deferrable: bool
    requests: int
    quantities: Quantities


class Priced(NamedTuple):
    cell: Cell
    cost: int


# --- Levers -------------------------------------------------------------------------


class Lever(StrEnum):
    """What can be pulled, in the order in which it is."""

    MODELS = "models"
    BATCH = "batch"
    CACHING = "caching"
    OUTPUT = "output"
    PRICES = "prices"


class Guess(StrEnum):
    """Which end of the ranges is taken; the fields of `Times`."""

    LOW = "low"
    MID = "mid"
    HIGH = "high"


class Move(NamedTuple):
    """So many percent of one model's requests go to another one."""

    model: str
    to: str
    percent: Fraction
    factor: Times = text_tokens.SAME


class CachingKind(StrEnum):
    OFF = "off"
    ON = "on"
    FIVE_MINUTES = "5m"
    ONE_HOUR = "1h"


_WRITE_OF = {
    CachingKind.FIVE_MINUTES: TokenClass.CACHE_WRITE_5M,
    CachingKind.ONE_HOUR: TokenClass.CACHE_WRITE_1H,
}


class Caching(NamedTuple):
    """Off: what was read and written is plain input. On: of the plain input `share`
    percent repeats, and of that `hit` percent is read, the rest written to live for
    `write`. 5m or 1h: whatever was written is written to live that long."""

    kind: CachingKind
    share: Fraction = Fraction(0)
    hit: Fraction = Fraction(0)
    write: TokenClass = TokenClass.CACHE_WRITE_5M


@dataclass(frozen=True, slots=True)
class Levers:
    """`batch` is percent of the deferrable requests, `output` percent more (or, negative,
    fewer) output tokens. All is priced at `prices_at`. None leaves a lever alone.

    Of one model no more than 100 percent is moved. Raises ValueError.
    """

    moves: tuple[Move, ...] = ()
    batch: Fraction | None = None
    caching: Caching | None = None
    output: Fraction | None = None
    prices_at: datetime | None = None

    def __post_init__(self) -> None:
        moved: defaultdict[str, Fraction] = defaultdict(Fraction)
        for move in self.moves:
            moved[move.model] += move.percent
        if any(not 0 <= percent <= _HUNDRED for percent in moved.values()):
            raise ValueError("of one model 0 to 100 percent can be moved")
        if self.output is not None and self.output < -_HUNDRED:
            raise ValueError("no more than 100 percent of the output can be left out")


# --- What comes of them ---------------------------------------------------------------


class Missing(NamedTuple):
    """What stayed where it was: a lever found no rate, or not every price, for it."""

    model: str
    processing: str
    requests: int
    cost: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move came to. At as many tokens as before the new model would cost
    `at_one`, of which `of_text` goes by the tokens of text. `as_input` tells whether it
    has no price for some of the cached tokens, which it then bills as input."""

    move: Move
    requests: int
    before: int
    after: int
    at_one: int
    of_text: int
    as_input: bool

    @property
    def break_even(self) -> Fraction | None:
        """The factor at which both cost the same; None where no factor does."""
        left = self.before - (self.at_one - self.of_text)
        return Fraction(left, self.of_text) if self.of_text > 0 and left > 0 else None


@dataclass(frozen=True, slots=True)
class Recached:
    """So many tokens that a caching lever moved between classes, what they cost before
    and after, and what all of them would cost as plain input, if read, and if written:
    None where one of their rates has no price for that."""

    tokens: int
    before: int
    after: int
    as_input: int | None
    as_read: int | None
    as_written: int | None

    @property
    def hit_even(self) -> Fraction | None:
        """The share of them that has to be read, not written, for them to cost as little
        as plain input; 0 where writing costs no more either. None where reading saves
        nothing, or that is not known."""
        plain, read, written = self.as_input, self.as_read, self.as_written
        if plain is None or read is None or written is None or read >= min(plain, written):
            return None
        return max(Fraction(written - plain, written - read), Fraction())

    @property
    def tokens_even(self) -> Fraction | None:
        """Of another lifetime: how many tokens more have to be read than before instead of
        written (or, where it saves, may be written instead of read) for it to come to
        nothing. None where writing costs no more than reading, or that is not known."""
        if self.as_read is None or self.after <= self.as_read:
            return None
        moved = abs(self.after - self.before) * self.tokens
        return Fraction(moved, self.after - self.as_read)


@dataclass(frozen=True, slots=True)
class Pulled:
    """One lever: the totals before and after it. What it touched cost `its_before` and
    costs `its_after`; what it could not move is `missing`."""

    lever: Lever
    before: int
    after: int
    its_before: int
    its_after: int
    requests: int
    missing: tuple[Missing, ...] = ()
    moved: tuple[Moved, ...] = ()
    recached: Recached | None = None

    @property
    def effect(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Outcome:
    """The usage as it was, priced; each lever in order; the usage that comes of them."""

    before: tuple[Priced, ...]
    pulled: tuple[Pulled, ...]
    after: tuple[Priced, ...]

    @property
    def total_before(self) -> int:
        return total(self.before)

    @property
    def total_after(self) -> int:
        return total(self.after)


def total(priced: Iterable[Priced]) -> int:
    return sum(one.cost for one in priced)


def at_rates(
    cells: Iterable[Cell], book: RateBook
) -> tuple[tuple[Priced, ...], tuple[Cell, ...]]:
    """Price cells at their own rates; apart from them those that have no rate or price."""
    priced: list[Priced] = []
    without: list[Cell] = []
    for cell in cells:
        cost = _cost(cell, book)
        if cost is None:
            without.append(cell)
        else:
            priced.append(Priced(cell, cost))
    return tuple(priced), tuple(without)


def pull(
    before: Sequence[Priced], levers: Levers, book: RateBook, guess: Guess = Guess.MID
) -> Outcome:
    """Pull the levers in their order on usage that `at_rates` has priced."""
    after, pulled = tuple(before), []
    for lever, act in _acts(levers, book, guess):
        left = act(after)
        pulled.append(
            Pulled(
                lever=lever,
                before=total(after),
                after=total(left.priced),
                its_before=left.its_before,
                its_after=left.its_after,
                requests=left.requests,
                missing=left.said_missing,
                moved=tuple(left.moved),
                recached=left.recached,
            )
        )
        after = tuple(left.priced)
    return Outcome(tuple(before), tuple(pulled), after)


class _Left:
    """What a lever leaves, gathered while it is pulled."""

    def __init__(self) -> None:
        self.priced: list[Priced] = []
        self.moved: list[Moved] = []
        self.recached: Recached | None = None
        self.its_before = self.its_after = self.requests = 0
        self._missing: defaultdict[tuple[str, str], list[int]]
        self._missing = defaultdict(lambda: [0, 0])

    def keep(self, one: Priced) -> None:
        self.priced.append(one)

    def change(self, before: Priced, after: Priced) -> None:
        self.priced.append(after)
        self.its_before += before.cost
        self.its_after += after.cost
        self.requests += after.cell.requests

    def miss(self, one: Priced) -> None:
        """It stays; where it is kept is the caller's."""
        counts = self._missing[one.cell.model, one.cell.processing]
        counts[0] += one.cell.requests
        counts[1] += one.cost

    @property
    def said_missing(self) -> tuple[Missing, ...]:
        return tuple(Missing(*key, *its) for key, its in sorted(self._missing.items()))


_Act = Callable[[Sequence[Priced]], _Left]


def _acts(levers: Levers, book: RateBook, guess: Guess) -> Iterator[tuple[Lever, _Act]]:
    if levers.moves:
        yield Lever.MODELS, lambda its: _move(its, levers.moves, book, guess)
    if levers.batch is not None:
        percent = levers.batch
        yield Lever.BATCH, lambda its: _batch(its, percent, book)
    if levers.caching is not None:
        caching = levers.caching
        yield Lever.CACHING, lambda its: _recache(its, caching, book)
    if levers.output is not None:
        more = levers.output
        yield Lever.OUTPUT, lambda its: _output(its, more, book)
    if levers.prices_at is not None:
        at = levers.prices_at
        yield Lever.PRICES, lambda its: _reprice(its, at, book)


# --- Models ---------------------------------------------------------------------------


def _move(
    cells: Sequence[Priced], moves: Sequence[Move], book: RateBook, guess: Guess
) -> _Left:
    """All moves start from what was there: what one brings no other one takes along."""
    left = _Left()
    by_model: defaultdict[str, list[tuple[int, Move]]] = defaultdict(list)
    for number, move in enumerate(moves):
        by_model[move.model].append((number, move))
    parts: list[list[tuple[Priced, Priced, int, int, bool]]] = [[] for _ in moves]
    for one in cells:
        stays = one.cell
        taken = Fraction(0)
        for number, move in by_model.get(one.cell.model, ()):
            part = _between(one.cell, taken, taken + move.percent)
            taken += move.percent
            before = _again(part, book)
            after = _on(part, move, book, guess)
            if after is None:
                left.miss(before)
                continue
            stays = _less(stays, part)
            left.change(before, after.priced)
            parts[number].append(
                (before, after.priced, after.at_one, after.of_text, after.as_input)
            )
        if stays.requests or any(stays.quantities):
            left.keep(_again(stays, book))
    left.moved = [
        Moved(
            move,
            requests=sum(after.cell.requests for _, after, *_ in its),
            before=sum(before.cost for before, *_ in its),
            after=sum(after.cost for _, after, *_ in its),
            at_one=sum(at_one for _, _, at_one, _, _ in its),
            of_text=sum(of_text for *_, of_text, _ in its),
            as_input=any(as_input for *_, as_input in its),
        )
        for move, its in zip(moves, parts, strict=True)
    ]
    return left


class _Arrived(NamedTuple):
    priced: Priced
    at_one: int
    of_text: int
    as_input: bool


def _on(part: Cell, move: Move, book: RateBook, guess: Guess) -> _Arrived | None:
    """A part of a cell on the other model; None without a rate, or a price, there."""
    factor: Fraction = getattr(move.factor, guess)
    size = -(-part.size * factor.numerator // factor.denominator)
    there = part._replace(model=move.to, size=size)
    rate = _rate(there, book)
    if rate is None:
        return None
    quantities, as_input = _fitted(part.quantities, rate)
    scaled = _scaled(quantities, factor)
    cost, at_one = _at(rate, scaled), _at(rate, quantities)
    of_text = _at(rate, _only(quantities, _OF_TEXT))
    if cost is None or at_one is None or of_text is None:
        return None
    there = there._replace(quantities=scaled)
    return _Arrived(Priced(there, cost), at_one, of_text, as_input)


def _fitted(quantities: Quantities, rate: Rate) -> tuple[Quantities, bool]:
    """What a model has no cache price for it bills as plain input."""
    unknown = [
        name
        for name in _CACHED
        if _of(quantities, name) and rate.prices[_PLACE[name]] is None
    ]
    if not unknown:
        return quantities, False
    tokens = sum(_of(quantities, name) for name in unknown)
    changes = dict.fromkeys(unknown, 0) | {"input": quantities.input + tokens}
    return quantities._replace(**changes), True


def _scaled(quantities: Quantities, factor: Fraction) -> Quantities:
    if factor == 1:
        return quantities
    changes = {
        name: _rounded(_of(quantities, name) * factor.numerator, factor.denominator)
        for name in _OF_TEXT
    }
    return quantities._replace(**changes)


# --- Batch ----------------------------------------------------------------------------


def _batch(cells: Sequence[Priced], percent: Fraction, book: RateBook) -> _Left:
    """Fast calls cannot wait, and what is queued in another way stays so."""
    left = _Left()
    for one in cells:
        cell = one.cell
        if not cell.deferrable or cell.processing != Processing.STANDARD:
            left.keep(one)
            continue
        part = _between(cell, Fraction(0), percent)
        queued = part._replace(processing=Processing.BATCH)
        cost = None if cell.speed != Speed.STANDARD else _cost(queued, book)
        if cost is None:
            left.miss(_again(part, book))
            left.keep(one)
            continue
        left.change(_again(part, book), Priced(queued, cost))
        stays = _less(cell, part)
        if stays.requests or any(stays.quantities):
            left.keep(_again(stays, book))
    return left


# --- Caching --------------------------------------------------------------------------


def _recache(cells: Sequence[Priced], caching: Caching, book: RateBook) -> _Left:
    left = _Left()
    tokens = before = after = 0
    as_one: list[int | None] = [0, 0, 0]
    for one in cells:
        touched, becomes = _recached(one.cell.quantities, caching)
        if not any(touched):
            left.keep(one)
            continue
        stays = _minus(one.cell.quantities, touched)
        changed = one.cell._replace(quantities=stays.plus(becomes))
        cost = _cost(changed, book)
        if cost is None:
            left.miss(one)
            left.keep(one)
            continue
        left.change(one, Priced(changed, cost))
        its = sum(touched)
        tokens += its
        before += _again(one.cell._replace(quantities=touched), book).cost
        after += _again(one.cell._replace(quantities=becomes), book).cost
        ways = (Quantities(input=its), Quantities(cache_read=its), _written(its, caching))
        for place, way in enumerate(ways):
            known, cost = as_one[place], _cost(one.cell._replace(quantities=way), book)
            as_one[place] = None if known is None or cost is None else known + cost
    if tokens:
        left.recached = Recached(tokens, before, after, *as_one)
    return left


def _recached(its: Quantities, caching: Caching) -> tuple[Quantities, Quantities]:
    """The tokens that change their class, in the one before and in the one after."""
    if caching.kind is CachingKind.OFF:
        touched = _only(its, _CACHED)
        return touched, Quantities(input=sum(touched))
    if caching.kind is CachingKind.ON:
        repeated = _percent(its.input, caching.share)
        read = _percent(repeated, caching.hit)
        written = _written(repeated - read, caching)
        return Quantities(input=repeated), written._replace(cache_read=read)
    kept = _WRITE_OF[caching.kind]
    touched = _only(its, tuple(name for name in _WRITES if name != kept))
    return touched, Quantities(**{kept: sum(touched)})


def _written(tokens: int, caching: Caching) -> Quantities:
    return Quantities(**{_WRITE_OF.get(caching.kind, caching.write): tokens})


# --- Output, and the rates of another day ---------------------------------------------


def _output(cells: Sequence[Priced], more: Fraction, book: RateBook) -> _Left:
    left = _Left()
    for one in cells:
        output = one.cell.quantities.output
        if not output:
            left.keep(one)
            continue
        output += _percent(output, more)
        changed = one.cell._replace(quantities=one.cell.quantities._replace(output=output))
        left.change(one, _again(changed, book))
    return left


def _reprice(cells: Sequence[Priced], at: datetime, book: RateBook) -> _Left:
    left = _Left()
    for one in cells:
        then = one.cell._replace(at=at)
        cost = _cost(then, book)
        if cost is None:
            left.miss(one)
            left.keep(one)
        else:
            left.change(one, Priced(then, cost))
    return left


# --- Cells and their parts ------------------------------------------------------------

_PLACE = {name: place for place, name in enumerate(TokenClass)}


def _of(quantities: Quantities, name: TokenClass) -> int:
    return quantities[_PLACE[name]]


def _only(quantities: Quantities, names: Sequence[TokenClass]) -> Quantities:
    return Quantities(**{name: _of(quantities, name) for name in names})


def _minus(quantities: Quantities, less: Quantities) -> Quantities:
    return Quantities(*(one - its for one, its in zip(quantities, less, strict=True)))


def _percent(number: int, percent: Fraction) -> int:
    return _rounded(number * percent.numerator, percent.denominator * _HUNDRED)


def _rounded(numerator: int, denominator: int) -> int:
    """To a whole number; a half away from zero. Fractions would take most of the time."""
    rounded = (abs(numerator) * 2 + denominator) // (denominator * 2)
    return rounded if numerator > 0 else -rounded


def _between(cell: Cell, first: Fraction, last: Fraction) -> Cell:
    """From one percentage of a cell to another, in whole numbers: parts that follow on
    each other add up."""

    def part(number: int) -> int:
        return _percent(number, last) - _percent(number, first) if number else 0

    return cell._replace(
        requests=part(cell.requests), quantities=Quantities(*map(part, cell.quantities))
    )


def _less(cell: Cell, part: Cell) -> Cell:
    return cell._replace(
        requests=cell.requests - part.requests,
        quantities=_minus(cell.quantities, part.quantities),
    )


def _rate(cell: Cell, book: RateBook) -> Rate | None:
    return book.rate(
        cell.model,
        cell.processing,
        cell.speed,
        cell.geo,
        cell.endpoint,
        cell.size,
        cell.at,
    )


def _at(rate: Rate, quantities: Quantities) -> int | None:
    charge = engine.at_rate(rate, quantities)
    return None if isinstance(charge, Unpriced) else charge.cost


def _cost(cell: Cell, book: RateBook) -> int | None:
    if not any(cell.quantities):
        return 0
    rate = _rate(cell, book)
    return None if rate is None else _at(rate, cell.quantities)


def _again(cell: Cell, book: RateBook) -> Priced:
    """A part of what has a price, or more of a class that has one: it has one too."""
    cost = _cost(cell, book)
    if cost is None:
        raise LookupError(f"{cell.model} has lost its rate")
    return Priced(cell, cost)
