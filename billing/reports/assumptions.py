"""What an estimate takes for granted, in sentences; and what in it looks wrong."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from billing.models.estimates import Scenario
from billing.models.planned import Chosen
from billing.pricing import money, prefixes
from billing.pricing.levers import MINUTES, Levers, Ttl
from billing.pricing.text_tokens import times, tokenizer_of
from teams.models import Organization
from teams.reporting_days import ReportingDays

_ONE = Decimal(1)
_LIVES = {Ttl.FIVE_MINUTES: "5 minutes", Ttl.ONE_HOUR: "an hour"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is assumed of. Without shapes it is an estimate made from lines."""

    shapes: Mapping[Scenario, Levers]
    models: Sequence[Chosen]
    plan: Scenario
    month: date
    months: int
    contingency_percent: int
    source: str
    priced_at: datetime
    rates_since: datetime | None
    organization: Organization


def sentences(its: Subject) -> list[str]:
    """Everything it rests on, what concerns all of it first."""
    return list(_sentences(its))


def warnings(its: Subject) -> list[str]:
    """What is possible and hardly meant."""
    return [
        warning
        for scenario, shape in its.shapes.items()
        for warning in _warnings(scenario, shape)
    ]


def _sentences(its: Subject) -> Iterator[str]:
    yield _prices(its)
    if its.source:
        yield its.source
    if not its.shapes:
        yield "Requests and tokens of each month were given line by line."
    for scenario, shape in its.shapes.items():
        yield _volume(scenario, shape)
    yield from _growth(its)
    yield from _of_each(its, _batch)
    yield from _of_each(its, _cache)
    yield from _prefixes(its)
    yield from _of_each(its, _thinking)
    yield from _of_each(its, _searches)
    yield from _shares(its)
    if its.contingency_percent:
        yield (
            f"The proposed cap has {its.contingency_percent} % on top for what nobody "
            "foresees; the plan has not."
        )


def _prices(its: Subject) -> str:
    days = ReportingDays(its.organization)
    since = (
        f", the newest of them since {_day(days.day(its.rates_since))}"
        if its.rates_since
        else ""
    )
    return (
        f"Prices are those in force on {_day(days.day(its.priced_at))}{since}: global "
        "endpoints, standard speed. Later changes are not in it."
    )


def _volume(scenario: Scenario, shape: Levers) -> str:
    each = "" if shape.users is None else f" of each of {shape.users:,} users"
    return (
        f"{scenario.label}: {_number(shape.requests_per_day)} requests a day{each}, on "
        f"{shape.active_days} days of a month at most; each with "
        f"{shape.prefix_tokens + shape.input_tokens:,} tokens in and "
        f"{shape.output_tokens:,} out."
    )


def _growth(its: Subject) -> Iterator[str]:
    if its.months == 1:
        return
    growths = {shape.growth_percent for shape in its.shapes.values()}
    if growths == {Decimal(0)}:
        yield f"Each of the {its.months} months has as many requests a day as the first."
    for scenario, shape in its.shapes.items():
        if shape.growth_percent:
            yield (
                f"{scenario.label}: each month has {_number(shape.growth_percent)} % more "
                "requests a day than the one before."
            )


def _of_each(its: Subject, say: Callable[[Levers], str]) -> Iterator[str]:
    """Once where it is the same in all scenarios, else for each."""
    said = {scenario: say(shape) for scenario, shape in its.shapes.items()}
    if len(set(said.values())) == 1:
        yield from filter(None, list(said.values())[:1])
        return
    for scenario, sentence in said.items():
        if sentence:
            yield f"{scenario.label}: {sentence[0].lower()}{sentence[1:]}"


def _batch(shape: Levers) -> str:
    if not shape.batch_percent:
        return ""
    return (
        f"{_number(shape.batch_percent)} % of the requests go by batch, at its prices; "
        "their answers may take a day."
    )


def _cache(shape: Levers) -> str:
    if not shape.prefix_tokens:
        return ""
    if not shape.caches:
        return f"The {shape.prefix_tokens:,} tokens that repeat are not cached."
    return (
        f"{shape.prefix_tokens:,} tokens repeat and are cached for "
        f"{_LIVES[shape.cache_ttl]} after their last use: {_number(shape.hit_percent)} % "
        "of the requests read them, the others write them. Where a model has no price "
        "for that, they are plain input."
    )


def _prefixes(its: Subject) -> Iterator[str]:
    shapes = [shape for shape in its.shapes.values() if shape.caches]
    for chosen in its.models if shapes else ():
        name, least = chosen.model.display_name, chosen.share.least_prefix
        if prefixes.least(chosen.model.key) is None:
            yield (
                f"From which length on {name} caches is not known here: {least:,} tokens "
                "are assumed."
            )
        short = {chosen.share.prefix(one) for one in shapes if not chosen.share.caches(one)}
        for tokens in sorted(short):
            yield (
                f"{name} caches nothing below {least:,} tokens, so its {tokens:,} that "
                "repeat are plain input."
            )


def _thinking(shape: Levers) -> str:
    if not shape.thinking_percent:
        return ""
    return (
        f"{shape.thinking_tokens:,} of the {shape.output_tokens:,} tokens out are "
        "thinking, which is billed as output."
    )


def _searches(shape: Levers) -> str:
    if not shape.searches_per_1000:
        return ""
    return (
        f"{shape.searches_per_1000:,} web searches in 1,000 requests; what they find is "
        "part of the tokens in."
    )


def _shares(its: Subject) -> Iterator[str]:
    planned = [one for one in its.models if one.share_percent]
    if len(planned) > 1:
        shares = ", ".join(
            f"{one.model.display_name} {_number(one.share_percent)} %" for one in planned
        )
        yield f"The requests are shared: {shares}."
    for one in its.models:
        if one.token_factor != _ONE:
            yield (
                f"{one.model.display_name} counts {_number(one.token_factor)} tokens for "
                "one of the sizes above: its tokenizer is another one."
            )
    yield from _tokenizers(its)
    if len(its.models) > 1:
        yield "Side by side compares the price alone; quality and speed are not judged."


def _tokenizers(its: Subject) -> Iterator[str]:
    """Of models that count otherwise than the one that gets the most requests."""
    if not its.models:
        return
    most = max(its.models, key=lambda one: one.share_percent)
    reference = tokenizer_of(most.model.key)
    for one in its.models:
        tokenizer = tokenizer_of(one.model.key)
        if one.token_factor != _ONE or tokenizer is reference:
            continue
        low, high = (_hundredths(end) for end in times(tokenizer, reference))
        range_ = f"about {low}" if low == high else f"{low} to {high}"
        yield (
            f"{one.model.display_name} is counted with the same tokens, but its tokenizer "
            f"makes {range_} of the same text where that of "
            f"{most.model.display_name} makes one."
        )


def _hundredths(value: Fraction) -> Decimal:
    return Decimal(money.nearest(value * 100)).scaleb(-2)


def _warnings(scenario: Scenario, shape: Levers) -> Iterator[str]:
    apart = shape.minutes_apart
    if shape.lapses and apart is not None and shape.hit_percent:
        yield (
            f"{scenario.label}: spread evenly over a day, requests are "
            f"{round(apart):,} minutes apart, and what is cached lives "
            f"{MINUTES[shape.cache_ttl]}: then each of them writes it, and none reads it. "
            f"{_number(shape.hit_percent)} % need requests that come in bursts."
        )
    if shape.caches and not shape.hit_percent:
        yield (
            f"{scenario.label}: nothing reads what is cached, so caching only costs more."
        )
    if shape.hit_percent and not shape.caches:
        yield f"{scenario.label}: nothing is cached, so the share that reads it is moot."


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _number(value: Decimal) -> str:
    return f"{Decimal(money.plain(value)):,}"
