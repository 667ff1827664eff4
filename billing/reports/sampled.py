"""A sample as levers: light, medium and heavy requests, and the models they went to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from billing.models import LanguageModel, Sample, rate_book
from billing.models.estimates import Scenario
from billing.models.planned import Chosen
from billing.pricing import levers, money
from billing.pricing.levers import Levers, Ttl
from billing.pricing.samples import Distribution, Profile, percent
from billing.pricing.token_classes import TokenClass

MOST_MODELS = 4
_HUNDREDTHS = 10_000  # of a percent, in all
_NONE = Distribution(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a sample fills an estimate in with. Without days it knows no requests a day."""

    shapes: dict[Scenario, Levers]
    models: list[Chosen]
    source: str
    knows_volume: bool


def sampled(sample: Sample, now: datetime) -> Sampled | None:
    """By its most frequent models that are known; None where there is none of them.

    One shape is for all of them: that of the most frequent one. Light, medium and heavy
    are its 25th, 50th and 90th percentile of plain input and of output, each by itself;
    what is cached is its mean.
    """
    known = rate_book.current(sample.team.organization_id).model_ids
    profiles = [one for one in sample.profiles(now) if one.model in known][:MOST_MODELS]
    if not profiles:
        return None
    models = LanguageModel.objects.in_bulk([known[one.model] for one in profiles])
    shares = levers.divided(_HUNDREDTHS, [Decimal(one.requests) for one in profiles])
    first = profiles[0]
    name = models[known[first.model]].display_name
    return Sampled(
        shapes={
            scenario: _shape(first, scenario, _requests_per_day(sample))
            for scenario in Scenario
        },
        models=[
            Chosen(models[known[one.model]], Decimal(share).scaleb(-2))
            for one, share in zip(profiles, shares, strict=True)
        ],
        source=(
            f"Sizes are those of sample #{sample.pk}, “{sample.name}”: {first.requests:,} "
            f"requests of {name}. Light, medium and heavy are the 25th, 50th and 90th "
            "percentile of its input and output; what is cached is its mean."
        ),
        knows_volume=sample.since is not None,
    )


def _requests_per_day(sample: Sample) -> Decimal:
    if sample.since is None or sample.until is None:
        return Decimal()
    days = (sample.until - sample.since).days
    hundredths = (sample.of_records * 100 + days // 2) // days
    return Decimal(hundredths).scaleb(-2)


def _shape(profile: Profile, scenario: Scenario, requests_per_day: Decimal) -> Levers:
    its: Mapping[TokenClass, Distribution] = profile.classes
    read = its.get(TokenClass.CACHE_READ, _NONE).mean
    short = its.get(TokenClass.CACHE_WRITE_5M, _NONE).mean
    long = its.get(TokenClass.CACHE_WRITE_1H, _NONE).mean
    prefix = read + short + long
    ttl = Ttl.ONE_HOUR if long > short else Ttl.FIVE_MINUTES
    return Levers(
        requests_per_day=requests_per_day,
        input_tokens=_size(its.get(TokenClass.INPUT, _NONE), scenario),
        output_tokens=_size(its.get(TokenClass.OUTPUT, _NONE), scenario),
        batch_percent=profile.batch_percent,
        prefix_tokens=prefix,
        cache_ttl=ttl if prefix else Ttl.NONE,
        hit_percent=percent(read, prefix) or Decimal(),
        thinking_percent=profile.thinking_percent or Decimal(),
        searches_per_1000=_searches_per_1000(profile),
    )


def _searches_per_1000(profile: Profile) -> int:
    """Of the total: most requests search less than once, and their mean is 0."""
    searches = profile.totals.get(TokenClass.WEB_SEARCH, 0)
    return money.nearest(Fraction(searches * 1_000, profile.requests))


def _size(its: Distribution, scenario: Scenario) -> int:
    sizes = {
        Scenario.LIGHT: its.p25,
        Scenario.MEDIUM: its.p50,
        Scenario.HEAVY: its.p90,
    }
    return sizes[scenario]
