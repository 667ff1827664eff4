"""What an estimate takes for granted, in sentences; and what in it looks wrong."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from billing.models import LanguageModel
from billing.models.estimates import Scenario
from billing.models.planned import Chosen
from billing.pricing import figures, money, prefixes, text_tokens
from billing.pricing.levers import MINUTES, Factor, Levers, Ttl
from billing.pricing.token_classes import TokenClass
from teams.models import Organization
from teams.reporting_days import ReportingDays

_ONE = Decimal(1)
_ALL = 100  # percent
_BESIDE_TEXT = {
    TokenClass.INPUT_AUDIO: "input tokens of sound",
    TokenClass.CACHE_READ_AUDIO: "cache-read tokens of sound",
    TokenClass.OUTPUT_AUDIO: "output tokens of sound",
    TokenClass.OUTPUT_IMAGE: "output tokens of pictures",
    TokenClass.SESSION: "milliseconds of sessions",
}
_LIVES = {Ttl.FIVE_MINUTES: "5 minutes", Ttl.ONE_HOUR: "an hour"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is assumed of. Without shapes it is an estimate made from lines; the others'
    models are settled. `alike` are the same models as they are compared: with no sizes of
    their own."""

    shapes: Mapping[Scenario, Levers]
    models: Sequence[Chosen]
    alike: Sequence[Chosen]
    reference: LanguageModel | None
    ranges: Mapping[Scenario, tuple[Decimal, Decimal]]
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
    yield from _of_each(its, _beside_text)
    yield from _shares(its)
    yield from _sizes(its)
    if len(its.models) > 1:
        yield "Side by side compares the price alone; quality and speed are not judged."
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
        f"{shape.active_days} days of a month at most; each with {_tokens_in(shape)} and "
        f"{shape.output_tokens:,} out."
    )


def _tokens_in(shape: Levers) -> str:
    whole = f"{shape.prefix_tokens + shape.input_tokens:,} tokens in"
    if not shape.prefix_tokens or shape.prefix_percent == _ALL:
        return whole
    return (
        f"{shape.input_tokens:,} tokens in, or {whole} where it begins with what repeats,"
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
    if shape.prefix_percent == _ALL:
        which, these = f"{shape.prefix_tokens:,} tokens repeat", "the requests"
    else:
        which = (
            f"{_number(shape.prefix_percent)} % of the requests begin with "
            f"{shape.prefix_tokens:,} tokens that repeat"
        )
        these = "these requests"
    if not shape.caches:
        return f"{which} and are not cached."
    return (
        f"{which} and are cached for {_LIVES[shape.cache_ttl]} after their last use: "
        f"{_number(shape.hit_percent)} % of {these} read them, the others write them. "
        "Where a model has no price for that, they are plain input."
    )


def _prefixes(its: Subject) -> Iterator[str]:
    for chosen in its.models:
        yield from _prefix(chosen, its)


def _prefix(chosen: Chosen, its: Subject) -> Iterator[str]:
    shares = [
        (chosen.share(scenario), shape)
        for scenario, shape in its.shapes.items()
        if chosen.share(scenario).sizes(shape).caches
    ]
    if not shares:
        return
    name, least = chosen.model.display_name, shares[0][0].least_prefix
    if prefixes.least(chosen.model.key) is None:
        yield (
            f"From which length on {name} caches is not known here: {least:,} tokens "
            "are assumed."
        )
    short = {share.prefix(one) for share, one in shares if not share.caches(one)}
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


def _beside_text(shape: Levers) -> str:
    found = [
        f"{count:,} {_BESIDE_TEXT[name]}"
        for name, count in shape.beside_text.items()
        if count
    ]
    if not found:
        return ""
    return (
        f"{', '.join(found)} in 1,000 requests, at their own prices: however large a "
        "request is, and on every model that has a price for them."
    )


# --- How models differ --------------------------------------------------------------


def _sizes(its: Subject) -> Iterator[str]:
    """Whose tokens the sizes are, and what that makes of the other models."""
    reference = its.reference
    if reference is None:
        return
    if any(one.model != reference for one in its.models):
        yield f"Sizes are in tokens of {reference.display_name}."
    for one, alike in zip(its.models, its.alike, strict=True):
        yield from _own(one)
        yield from _without(one, its)
        if one.own:
            yield from _compared(alike, its, reference)
        else:
            yield from _factor(one, reference)
    if its.ranges:
        low, high = its.ranges[its.plan]
        yield (
            f"What is planned is by the middle. By the fewest and the most tokens it is "
            f"{figures.amount(low)} to {figures.amount(high)} "
            f"{its.organization.currency}, with the same rates."
        )


def _own(chosen: Chosen) -> Iterator[str]:
    if not chosen.own:
        return
    sizes = "; ".join(
        f"{scenario.label.lower()} {_tokens_in(one)} and {one.output_tokens:,} out"
        for scenario, one in chosen.own.items()
    )
    yield (
        f"{chosen.model.display_name} has sizes of its own, of its own requests in the "
        f"sample: {sizes}."
    )
    for say in (_cache, _batch, _searches, _beside_text):
        for sentence in dict.fromkeys(say(one) for one in chosen.own.values()):
            if sentence:
                yield f"{chosen.model.display_name}: {sentence[0].lower()}{sentence[1:]}"


def _compared(alike: Chosen, its: Subject, reference: LanguageModel) -> Iterator[str]:
    """Of a model with sizes of its own, which are not those it is compared by."""
    yield (
        f"Side by side {alike.model.display_name} has the sizes of "
        f"{reference.display_name}, so that all models are compared by the same requests."
    )
    said = (*_prefix(alike, its), *_without(alike, its), *_factor(alike, reference))
    for sentence in said:
        yield f"Side by side: {sentence}"


def _without(chosen: Chosen, its: Subject) -> Iterator[str]:
    """What is left out, with how much of it there is in the planned scenario."""
    if not chosen.without:
        return
    counts = chosen.share(its.plan).sizes(its.shapes[its.plan]).beside_text
    left = ", ".join(
        f"{counts[name]:,} {_BESIDE_TEXT[name]}"
        for name in counts
        if name in chosen.without
    )
    yield (
        f"Left out of the cost of {chosen.model.display_name}, which has no price for it: "
        f"{left} in 1,000 requests."
    )


def _factor(chosen: Chosen, reference: LanguageModel) -> Iterator[str]:
    name, factor = chosen.model.display_name, chosen.factor or Factor()
    if chosen.model == reference:
        if factor.mid != _ONE:
            yield (
                f"{name} is counted with {_number(factor.mid)} tokens for each one of its "
                "own sizes, as was said."
            )
    elif not factor.is_certain:
        yield (
            f"{name} is taken to count {_hundredths(factor.mid)} for each token of "
            f"{reference.display_name}, the middle of {_hundredths(factor.low)} to "
            f"{_hundredths(factor.high)}: its tokenizer is another one, or not known."
        )
    elif factor.mid != _ONE:
        yield (
            f"{name} counts {_number(factor.mid)} tokens for one of "
            f"{reference.display_name}, as was said: its tokenizer is another one."
        )
    else:
        between = text_tokens.factor(reference.key, chosen.model.key)
        if not between.is_certain:
            yield (
                f"{name} is counted with the same tokens, as was said; by its tokenizer "
                f"they would be {_hundredths(between.low)} to "
                f"{_hundredths(between.high)} for one of {reference.display_name}."
            )


def _hundredths(value: Decimal | Fraction) -> str:
    return _number(Decimal(money.nearest(Fraction(value) * 100)).scaleb(-2))


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
