"""The prices in force, read from the database for the pricing engine."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection

from billing.models.catalog import Alias, LanguageModel
from billing.models.rates import PRICE_FIELDS, Publication, Rate, RateCard
from billing.pricing import rates as pricing
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import Processing, Speed
from teams.recent import Recent


class Book(NamedTuple):
    """A rate book, and what ties its names back to rows."""

    rates: pricing.RateBook
    model_ids: dict[str, int]
    version: str

    def model_id(self, provider: str, name: str) -> int | None:
        """The model that a record of this provider names so, if it is known."""
        return self.model_ids.get(self.rates.model(provider, name) or "")

    def models_called(self, provider: str | None, name: str) -> frozenset[int]:
        """The models of this name, of one provider or of all that have it."""
        providers = [provider] if provider else self.rates.providers_of(name)
        keys = (self.rates.model(one, name) or "" for one in providers)
        return frozenset(self.model_ids[key] for key in keys if key in self.model_ids)


# Aliases and publications are added, withdrawn and deleted, never changed in place, so
# these numbers change with every change of the prices: a publication that is withdrawn
# stays, so that one withdrawn and another published leave no count as it was.
VERSION = f"""
SELECT concat_ws('.',
    (SELECT max(id) FROM {Publication._meta.db_table} WHERE state = 'published'),
    (SELECT count(*) FROM {Publication._meta.db_table} WHERE state = 'published'),
    (SELECT count(*) FROM {Publication._meta.db_table} WHERE state = 'withdrawn'),
    (SELECT max(id) FROM {Alias._meta.db_table}),
    (SELECT count(*) FROM {Alias._meta.db_table}))
"""


def current(organization_id: int) -> Book:
    """What prices an organization's records now: its contracts, then the list prices.

    The version is read in the caller's transaction; the rates behind it only when it is
    not the one this process read last.
    """
    return of_version(organization_id, version())


def recent(organization_id: int) -> Book:
    """The same as this process knew it a moment ago: for what is not charged by it."""
    return _recent.get(organization_id) or _recent.keep(
        organization_id, current(organization_id)
    )


_recent: Recent[int, Book] = Recent()


def published() -> list[Rate]:
    """The rates of every card, in the order in which later ones win."""
    return list(Rate.objects.published().select_related("publication__card"))


def drafted(publication: Publication) -> list[Rate]:
    """The rates of a draft, which its publication would put behind all others."""
    rates = Rate.objects.filter(publication=publication).order_by("pk")
    return list(rates.select_related("publication__card"))


def of(organization_id: int | None, rates: Iterable[Rate]) -> Book:
    """A book of these rates alone; of two with one start the later in order counts.

    Without an organization there are list prices only. The rates' cards are selected.
    """
    models = LanguageModel.objects.in_bulk()
    contracts: list[pricing.Rate] = []
    lists: list[pricing.Rate] = []
    for rate in rates:
        values = [getattr(rate, name) for name in _VALUES]
        card = rate.publication.card
        if card.kind == RateCard.Kind.LIST:
            lists.append(_as_priced(models[rate.model_id].key, values))
        elif card.organization_id == organization_id:
            contracts.append(_as_priced(models[rate.model_id].key, values))
    return _book([contracts, lists], "")


def version() -> str:
    with connection.cursor() as cursor:
        cursor.execute(VERSION)
        return str(cursor.fetchone()[0])


@lru_cache(maxsize=64)
def of_version(organization_id: int, version: str) -> Book:
    """The same, where the caller has read the version in its transaction."""
    book = _lists(version)
    contracts = _of_cards(
        publication__card__kind=RateCard.Kind.CONTRACT,
        publication__card__organization=organization_id,
    )
    if not contracts:
        return book
    return book._replace(
        rates=book.rates.under(rate for _, rate in contracts),
        model_ids=book.model_ids | {rate.model: model_id for model_id, rate in contracts},
    )


@lru_cache(maxsize=2)
def _lists(version: str) -> Book:
    """What all organizations have in common: read once, and not for each of them."""
    lists = _of_cards(publication__card__kind=RateCard.Kind.LIST)
    return _book([[rate for _, rate in lists]], version)


def _of_cards(**conditions: Any) -> list[tuple[int, pricing.Rate]]:
    """Published rates with the ids of their models. Without model instances: the
    prices of all providers are many, and making those takes most of the time."""
    rows = Rate.objects.published().filter(**conditions)
    return [
        (model_id, _as_priced(f"{provider}/{name}", values))
        for model_id, provider, name, *values in rows.values_list(
            "model_id", "model__provider", "model__name", *_VALUES
        )
    ]


def _book(cards: Sequence[Iterable[pricing.Rate]], version: str) -> Book:
    models = {model.pk: model.key for model in LanguageModel.objects.all()}
    aliases = {
        (provider, name): models[model_id]
        for provider, name, model_id in Alias.objects.values_list(
            "provider", "name", "model_id"
        )
    }
    return Book(
        rates=pricing.RateBook(cards, aliases),
        model_ids={key: pk for pk, key in models.items()},
        version=version,
    )


def unit_prices(rate_ids: Iterable[int]) -> dict[int, pricing.Prices]:
    """Prices of one unit (10⁻¹⁵ of the currency) of these rates, in force or not."""
    rates = Rate.objects.filter(pk__in=list(rate_ids))
    rows = rates.values_list("pk", *PRICE_FIELDS)
    return {pk: _unit_prices(prices) for pk, *prices in rows}


def _unit_prices(prices: Iterable[Decimal | None]) -> pricing.Prices:
    return pricing.prices_per_unit(
        {
            token_class: price
            for token_class, price in zip(TokenClass, prices, strict=True)
            if price is not None
        }
    )


# What a rate says, in the order in which `_as_priced` takes it.
_VALUES = (
    *("id", "processing", "speed", "geo", "endpoint", "context_tier"),
    *("effective_from", "stop", *PRICE_FIELDS),
)


def _as_priced(model: str, values: Iterable[Any]) -> pricing.Rate:
    pk, processing, speed, geo, endpoint, tier, effective_from, stop, *prices = values
    return pricing.Rate(
        id=pk,
        model=model,
        processing=Processing(processing),
        speed=Speed(speed),
        geo=geo,
        endpoint=endpoint,
        above=tier,
        effective_from=effective_from,
        prices=_unit_prices(prices),
        stop=stop,
    )
