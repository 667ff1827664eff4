"""The rates in force, by family and model, as every signed-in person may read them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from django.db.models import Q

from billing.models import LanguageModel, Rate, RateCard
from billing.pricing.usage import GLOBAL, Processing, Speed
from teams.models import Organization

# Families in the order of the page; what is not named comes after them.
_FAMILIES = ("Opus", "Sonnet", "Haiku", "Fable", "Mythos")

# List prices without a stated beginning start here.
_SINCE_EVER = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PublishedRate:
    """A rate in force, and the one that will follow it."""

    rate: Rate
    contract: bool
    following: Rate | None

    @property
    def conditions(self) -> tuple[str, ...]:
        """What it is for, in words; empty for the plain price."""
        rate = self.rate
        return tuple(
            words
            for words, holds in (
                (rate.processing.capitalize(), rate.processing != Processing.STANDARD),
                (rate.speed.capitalize(), rate.speed != Speed.STANDARD),
                (f"{rate.geo.upper()} only", rate.geo != GLOBAL),
                (f"{rate.endpoint.capitalize()} endpoint", rate.endpoint != GLOBAL),
                (f"over {rate.context_tier:,} input tokens", rate.context_tier > 0),
            )
            if holds
        )

    @property
    def source(self) -> str:
        """The first source named; the rate has them all."""
        return self.rate.source.partition(";")[0]

    @property
    def since(self) -> datetime | None:
        """None where the provider names no beginning."""
        start = self.rate.effective_from
        return start if start > _SINCE_EVER else None


@dataclass(frozen=True, slots=True)
class PricedModel:
    """A model with its plain price, if it has one, and its prices under conditions."""

    model: LanguageModel
    base: PublishedRate | None
    conditional: list[PublishedRate]


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    models: list[PricedModel]

    @property
    def conditional(self) -> list[PublishedRate]:
        return [rate for priced in self.models for rate in priced.conditional]

    @property
    def conditions(self) -> list[str]:
        """Every condition that has a price, once."""
        words = (word for rate in self.conditional for word in rate.conditions)
        return list(dict.fromkeys(words))


def prices(*, organization: Organization, now: datetime) -> list[Family]:
    """What an organization pays now: its contracts where they say something, then list.

    Newest models first; models without any rate in force are left out.
    """
    cards = Q(publication__card__kind=RateCard.Kind.LIST) | Q(
        publication__card__organization=organization
    )
    rates = Rate.objects.published().filter(cards)
    by_model: dict[int, list[Rate]] = {}
    for rate in rates.select_related("publication__card"):
        by_model.setdefault(rate.model_id, []).append(rate)
    models = LanguageModel.objects.in_bulk([*by_model])
    priced = [_priced(model, by_model[pk], now) for pk, model in models.items()]
    shown = sorted((one for one in priced if one.base or one.conditional), key=_place)
    return [
        Family(name, list(its))
        for name, its in groupby(shown, lambda one: one.model.family)
    ]


def _place(priced: PricedModel) -> tuple[int, str, list[int], str, str]:
    family = priced.model.family
    known = _FAMILIES.index(family) if family in _FAMILIES else len(_FAMILIES)
    # Version numbers, highest first: 5.5 before 5 before 4.8.
    digits = [
        part for part in priced.model.name.replace("-", " ").split() if part.isdigit()
    ]
    return (
        known,
        family,
        [-int(part) for part in (*digits, "0", "0")[:2]],
        priced.model.name,
        priced.model.provider,
    )


def _priced(model: LanguageModel, rates: list[Rate], now: datetime) -> PricedModel:
    series: dict[tuple[object, ...], list[Rate]] = {}
    for rate in rates:
        series.setdefault(_conditions(rate), []).append(rate)
    found = [one for its in series.values() if (one := _in_force(its, now))]
    found.sort(key=lambda one: (len(one.conditions), one.conditions))
    base = next((one for one in found if not one.conditions), None)
    return PricedModel(model, base, [one for one in found if one is not base])


def _conditions(rate: Rate) -> tuple[object, ...]:
    return rate.processing, rate.speed, rate.geo, rate.endpoint, rate.context_tier


def _in_force(rates: Iterable[Rate], now: datetime) -> PublishedRate | None:
    """Of one model and condition, in the order of publication."""
    for kind in (RateCard.Kind.CONTRACT, RateCard.Kind.LIST):
        # The sort is stable: of two with one instant the later publication comes last.
        its = sorted(
            (rate for rate in rates if rate.publication.card.kind == kind),
            key=lambda rate: rate.effective_from,
        )
        started = [rate for rate in its if rate.effective_from <= now]
        if started and not started[-1].stop:
            coming = its[len(started) :]
            return PublishedRate(
                rate=started[-1],
                contract=kind == RateCard.Kind.CONTRACT,
                following=coming[0] if coming else None,
            )
    return None
