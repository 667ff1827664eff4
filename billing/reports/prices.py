"""The rates in force at a moment, and those before and after them.

What every signed-in person and every API key may read: the list prices, and the
contract of their organization where it stands before the list.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from itertools import groupby

from django.db.models import QuerySet

from billing.connectors import list_prices
from billing.models import LanguageModel, Rate, RateCard, rate_book
from billing.models.rates import PRICE_FIELDS
from billing.pricing.rates import Key, RateBook, Schedule
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import GLOBAL, Processing, Speed
from teams.models import Organization

# Families in the order of the page; what is not named comes after them.
_FAMILIES = ("Opus", "Sonnet", "Haiku", "Fable", "Mythos")

# List prices without a stated beginning start here.
SINCE_EVER = datetime(2020, 1, 1, tzinfo=UTC)

# The years that a record may lie in.
_FIRST_YEAR, _LAST_YEAR = 2000, 2199


def moment(text: str) -> datetime:
    """A moment as people and programs write it: RFC 3339, or a day, which begins in UTC.

    Providers announce their prices in UTC days. Raises ValueError for anything else, and
    for a time without a zone.
    """
    try:
        at = datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("A time must say its zone.")
    if not _FIRST_YEAR < at.year < _LAST_YEAR:
        raise ValueError("A moment lies in the years 2001 to 2198.")
    return at.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class PublishedRate:
    """A rate in force at a moment, and what comes when it ends.

    `until` is None while nothing else is scheduled; with `until` and without
    `following` there is no price from then on.
    """

    rate: Rate
    until: datetime | None
    following: Rate | None

    @property
    def contract(self) -> bool:
        return self.rate.publication.card.kind == RateCard.Kind.CONTRACT

    @property
    def conditions(self) -> tuple[str, ...]:
        """What it is for, in words; empty for the plain price."""
        return conditions(self.rate)

    @property
    def source(self) -> str:
        """The first source named; the rate has them all."""
        return self.rate.source.partition(";")[0]

    @property
    def since(self) -> datetime | None:
        """None where the provider names no beginning."""
        start = self.rate.effective_from
        return start if start > SINCE_EVER else None


def conditions(rate: Rate) -> tuple[str, ...]:
    """What a rate is for besides its model, in words; empty for the plain price."""
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

    @property
    def classes(self) -> list[TokenClass]:
        """The token classes that any of them has a price for: the columns of a table."""
        rates = [priced.base for priced in self.models] + self.conditional
        return [
            TokenClass(name)
            for name in PRICE_FIELDS
            if any(one and getattr(one.rate, name) is not None for one in rates)
        ]


@dataclass(frozen=True, slots=True)
class Provider:
    key: str
    name: str  # as people call it


def providers(*, organization: Organization) -> list[Provider]:
    """Whose models an organization has rates for, at any time."""
    book = rate_book.current(organization.pk).rates
    keys = {key[0].partition("/")[0] for key in book.every_key()}
    listed = [key for key in list_prices.PROVIDERS if key in keys]
    others = sorted(keys - {*listed})
    return [
        Provider(key, list_prices.PROVIDERS.get(key, key)) for key in (*listed, *others)
    ]


def prices(*, organization: Organization, at: datetime, provider: str) -> list[Family]:
    """What an organization pays a provider at a moment, by family; newest models first.

    Models without any rate in force are left out.
    """
    found = in_force(organization=organization, at=at, provider=provider)
    shown = [
        _priced(model, list(its))
        for model, its in groupby(found, lambda one: one.rate.model)
    ]
    shown.sort(key=lambda one: _place(one.model))
    return [
        Family(name, list(its))
        for name, its in groupby(shown, lambda one: one.model.family)
    ]


def in_force(
    *, organization: Organization, at: datetime, provider: str = "", model: str = ""
) -> list[PublishedRate]:
    """The rates that price an organization's calls at a moment: contracts, then lists.

    By provider, model and conditions; `model` is a name without the provider.
    """
    book = rate_book.current(organization.pk).rates
    asked = LanguageModel.objects.all()
    if provider:
        asked = asked.filter(provider=provider)
    if model:
        asked = asked.filter(name=model)
    keys = {one.key for one in asked}
    chosen = [
        one for key in book.every_key() if key[0] in keys for one in _chosen(book, key, at)
    ]
    ids = {pk for one in chosen for pk in one if isinstance(pk, int)}
    rates = Rate.objects.select_related("model", "publication__card").in_bulk(ids)
    found = [
        PublishedRate(rates[pk], until, rates[after] if after else None)
        for pk, until, after in chosen
    ]
    return sorted(found, key=_order)


def _order(one: PublishedRate) -> tuple[object, ...]:
    rate, model = one.rate, one.rate.model
    return (
        *(model.provider, model.name, model.pk, len(one.conditions)),
        *(rate.processing, rate.speed, rate.geo, rate.endpoint, rate.context_tier),
    )


def _chosen(
    book: RateBook, key: Key, at: datetime
) -> Iterable[tuple[int, datetime | None, int | None]]:
    """The rates of a key at a moment, each with its end and what follows it."""
    schedule = book.schedule(key)
    position = bisect_right(schedule.starts, at) if schedule else 0
    if schedule is None or not position:
        return
    seen: set[int] = set()
    for tier, rate in enumerate(schedule.rates[position - 1]):
        # A rate that prices several tiers is one rate.
        if rate is not None and rate.id not in seen:
            seen.add(rate.id)
            yield rate.id, *_end(schedule, position, tier)


def _end(
    schedule: Schedule, position: int, tier: int
) -> tuple[datetime | None, int | None]:
    current = schedule.rates[position - 1][tier]
    for later in range(position, len(schedule.starts)):
        following = schedule.rates[later][tier]
        if following is not current:
            return schedule.starts[later], following.id if following else None
    return None, None


def _place(model: LanguageModel) -> tuple[int, str, list[int], str]:
    family = model.family
    known = _FAMILIES.index(family) if family in _FAMILIES else len(_FAMILIES)
    # Version numbers, highest first: 5.5 before 5 before 4.8.
    digits = [part for part in model.name.replace("-", " ").split() if part.isdigit()]
    return (
        known,
        family,
        [-int(part) for part in (*digits, "0", "0")[:2]],
        model.name,
    )


def _priced(model: LanguageModel, found: list[PublishedRate]) -> PricedModel:
    base = next((one for one in found if not one.conditions), None)
    return PricedModel(model, base, [one for one in found if one is not base])


# --- Over time ----------------------------------------------------------------------


class Place(StrEnum):
    """Where a rate stands on its line."""

    PAST = "past"
    IN_FORCE = "in force"
    COMING = "coming"
    REPLACED = "replaced"  # by a later publication with the same start


@dataclass(frozen=True, slots=True)
class Stretch:
    """A published rate, or the stop of a series, from its start to the next one."""

    rate: Rate
    until: datetime | None
    place: Place


@dataclass(frozen=True, slots=True)
class Line:
    """The rates of one card for one model under one set of conditions, newest first."""

    card: RateCard
    rate: Rate  # any of them: what they are for
    stretches: list[Stretch]

    @property
    def conditions(self) -> tuple[str, ...]:
        return conditions(self.rate)

    @property
    def classes(self) -> list[TokenClass]:
        return [
            TokenClass(name)
            for name in PRICE_FIELDS
            if any(getattr(one.rate, name) is not None for one in self.stretches)
        ]


def timeline(
    *, model: LanguageModel, cards: QuerySet[RateCard], now: datetime
) -> list[Line]:
    """Past, current and coming rates of a model on these cards; plain prices first."""
    published = Rate.objects.published().filter(model=model, publication__card__in=cards)
    by_line: dict[tuple[object, ...], list[Rate]] = {}
    for rate in published.select_related("publication__card__organization", "model"):
        by_line.setdefault(_line(rate), []).append(rate)
    lines = [
        Line(its[0].publication.card, its[0], _stretches(its, now))
        for its in by_line.values()
    ]
    return sorted(
        lines,
        key=lambda one: (len(one.conditions), one.conditions, one.card.kind, one.card.pk),
    )


def _line(rate: Rate) -> tuple[object, ...]:
    return (
        *(rate.publication.card_id, rate.processing, rate.speed),
        *(rate.geo, rate.endpoint, rate.context_tier),
    )


def _stretches(rates: Sequence[Rate], now: datetime) -> list[Stretch]:
    """Of one line, in the order of publication."""
    # The sort is stable: of two with one instant the later publication comes last.
    ordered = sorted(rates, key=lambda rate: rate.effective_from)
    stretches = []
    for rate, following in zip(ordered, [*ordered[1:], None], strict=True):
        until = following.effective_from if following else None
        stretches.append(Stretch(rate, until, _place_of(rate, until, now)))
    return stretches[::-1]


def _place_of(rate: Rate, until: datetime | None, now: datetime) -> Place:
    if until == rate.effective_from:
        return Place.REPLACED
    if rate.effective_from > now:
        return Place.COMING
    return Place.PAST if until is not None and until <= now else Place.IN_FORCE
