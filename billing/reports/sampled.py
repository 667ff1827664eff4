"""A sample as levers: light, medium and heavy requests, and the models they went to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from django.utils.text import Truncator

from billing.models import LanguageModel, Sample, rate_book
from billing.models.estimates import MOST_SOURCE, Scenario
from billing.models.planned import Chosen
from billing.pricing import levers, money
from billing.pricing.levers import Levers, Ttl
from billing.pricing.samples import Distribution, Profile, percent
from billing.pricing.token_classes import TokenClass

MOST_MODELS = 4
_HUNDREDTHS = 10_000  # of a percent, in all
_NONE = Distribution(0, 0, 0, 0, 0, 0)


class Sizes(StrEnum):
    """Which sizes the requests of a model have."""

    LEVERS = "levers"
    SAMPLE = "sample"  # those of its own requests, where the sample has some


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a sample fills an estimate in with. Without days it knows no requests a day.

    `shapes` are those of the requests of `reference`; `own` has those of every model that
    is known, by its id. `source` says where they come from, and what is left out.
    """

    sample: Sample
    reference: LanguageModel
    shapes: dict[Scenario, Levers]
    own: dict[int, dict[Scenario, Levers]]
    models: list[Chosen]
    source: str
    knows_volume: bool


def sampled(
    sample: Sample, now: datetime, reference: LanguageModel | None = None
) -> Sampled | None:
    """By its models that are known; None where there is none of them.

    The reference is its most frequent model, where none of them is said. Light, medium and
    heavy are the 25th, 50th and 90th percentile of plain input and of output, each by
    itself; what is cached is the mean of the requests that cache.
    """
    profiles = sample.profiles(now)
    ids = rate_book.current(sample.team.organization_id).model_ids
    known = {ids[one.model]: one for one in profiles if one.model in ids}
    if not known:
        return None
    models = LanguageModel.objects.in_bulk(known)
    first = next(iter(known))
    if reference is not None and reference.pk in known:
        first = reference.pk
    own = {pk: shapes(sample, its) for pk, its in known.items()}
    planned = list(known)[:MOST_MODELS]
    shares = levers.divided(_HUNDREDTHS, [Decimal(known[pk].requests) for pk in planned])
    return Sampled(
        sample=sample,
        reference=models[first],
        shapes=own[first],
        own=own,
        models=[
            Chosen(models[pk], Decimal(share).scaleb(-2), own=own[pk])
            for pk, share in zip(planned, shares, strict=True)
        ],
        source=_source(sample, known[first], models[first], profiles),
        knows_volume=sample.since is not None,
    )


def _source(
    sample: Sample, first: Profile, model: LanguageModel, profiles: Sequence[Profile]
) -> str:
    said = (
        f"Sizes are those of sample #{sample.pk}, “{sample.name}”: {first.requests:,} "
        f"requests of {model.display_name}. Light, medium and heavy are the 25th, 50th and "
        "90th percentile of its input and output; what is cached is the mean of the "
        "requests that cache."
    )
    whole = " ".join([said, *left_out(sample, profiles)])
    return Truncator(whole).chars(MOST_SOURCE)


def shapes(sample: Sample, profile: Profile) -> dict[Scenario, Levers]:
    """The requests of one model as levers."""
    return {scenario: _shape(profile, scenario, sample) for scenario in Scenario}


def left_out(sample: Sample, profiles: Sequence[Profile]) -> Iterator[str]:
    """What of a sample an estimate does not have, or not as it was; with counts."""
    ids = rate_book.current(sample.team.organization_id).model_ids
    planned = [one for one in profiles if one.model in ids][:MOST_MODELS]
    if others := [one for one in profiles if one not in planned]:
        which = ", ".join(f"{one.requests:,} of {one.model}" for one in others)
        # Where it knows requests a day, those are of all records, theirs too.
        said = (
            "Left out are requests of models that get no share"
            if sample.since is None
            else "Requests of models that get no share are counted as requests of the "
            "others, with their sizes and prices"
        )
        yield f"{said}: {which}."
    if elsewhere := sum(one.elsewhere for one in planned):
        requests = sum(one.requests for one in planned)
        yield (
            f"Planned at global, standard prices are {elsewhere:,} of {requests:,} "
            "requests that were fast, flex, at a priority or bound to a place."
        )


def _requests_per_day(sample: Sample) -> Decimal:
    if sample.since is None or sample.until is None:
        return Decimal()
    days = (sample.until - sample.since).days
    hundredths = (sample.of_records * 100 + days // 2) // days
    return Decimal(hundredths).scaleb(-2)


def _shape(profile: Profile, scenario: Scenario, sample: Sample) -> Levers:
    its: Mapping[TokenClass, Distribution] = profile.classes
    totals = profile.totals
    read = totals.get(TokenClass.CACHE_READ, 0)
    short = totals.get(TokenClass.CACHE_WRITE_5M, 0)
    long = totals.get(TokenClass.CACHE_WRITE_1H, 0)
    ttl = Ttl.ONE_HOUR if long > short else Ttl.FIVE_MINUTES
    return Levers(
        requests_per_day=_requests_per_day(sample),
        input_tokens=_size(its.get(TokenClass.INPUT, _NONE), scenario),
        output_tokens=_size(its.get(TokenClass.OUTPUT, _NONE), scenario),
        batch_percent=profile.batch_percent,
        prefix_tokens=profile.prefix.mean if profile.prefix else 0,
        prefix_percent=(
            percent(profile.caching, profile.requests) or Decimal()
            if profile.prefix
            else Decimal(100)
        ),
        cache_ttl=ttl if profile.prefix else Ttl.NONE,
        hit_percent=percent(read, read + short + long) or Decimal(),
        thinking_percent=profile.thinking_percent or Decimal(),
        searches_per_1000=_per_1000(profile, TokenClass.WEB_SEARCH),
        input_audio_per_1000=_per_1000(profile, TokenClass.INPUT_AUDIO),
        cache_read_audio_per_1000=_per_1000(profile, TokenClass.CACHE_READ_AUDIO),
        output_audio_per_1000=_per_1000(profile, TokenClass.OUTPUT_AUDIO),
        output_image_per_1000=_per_1000(profile, TokenClass.OUTPUT_IMAGE),
        session_per_1000=_per_1000(profile, TokenClass.SESSION),
    )


def _per_1000(profile: Profile, name: TokenClass) -> int:
    """Of the total: most requests have less than one, and their mean is 0."""
    return money.nearest(Fraction(profile.totals.get(name, 0) * 1_000, profile.requests))


def _size(its: Distribution, scenario: Scenario) -> int:
    sizes = {
        Scenario.LIGHT: its.p25,
        Scenario.MEDIUM: its.p50,
        Scenario.HEAVY: its.p90,
    }
    return sizes[scenario]
