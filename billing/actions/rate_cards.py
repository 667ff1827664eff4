"""Rate cards: what is put on them, and when it starts to price."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from billing.connectors import list_prices
from billing.connectors.list_prices import ProposedModel, ProposedRate
from billing.models import Alias, LanguageModel, Publication, Rate, RateCard
from teams.actions import audit


@transaction.atomic
def load_list_prices(*, by: str, now: datetime) -> list[Publication]:
    """Publish the bundled, reviewed list prices of each provider that has no card yet.

    Does nothing where a card exists: what comes later is for a person to publish.
    """
    made = (
        _load_card(provider=provider, name=name, by=by, now=now)
        for provider, name in list_prices.PROVIDERS.items()
    )
    return [publication for publication in made if publication is not None]


def _load_card(*, provider: str, name: str, by: str, now: datetime) -> Publication | None:
    card, created = RateCard.objects.get_or_create(
        kind=RateCard.Kind.LIST,
        provider=provider,
        defaults={"name": f"{name} list prices"},
    )
    if not created:
        return None
    proposed = list_prices.list_models(provider)
    if provider == list_prices.LOCAL_MESSAGE.provider:
        proposed.append(list_prices.LOCAL_MESSAGE)
    models = _add_models(proposed)
    publication = Publication.objects.create(
        card=card,
        note="Bundled list prices: genai-prices with reviewed corrections.",
        created_by=by,
        created_at=now,
    )
    rates = list_prices.list_rates(provider)
    Rate.objects.bulk_create(_rate(publication, models[rate.model], rate) for rate in rates)
    publish(publication=publication, by=by, now=now)
    return publication


@transaction.atomic
def publish(*, publication: Publication, by: str, now: datetime) -> None:
    """From here on its rates price what is counted; they can no longer be changed."""
    if publication.state != Publication.State.DRAFT:
        raise ValueError(f"{publication} is not a draft")
    publication.state = Publication.State.PUBLISHED
    publication.published_by = by
    publication.published_at = now
    publication.save(update_fields=["state", "published_by", "published_at"])
    audit.record(
        action="rate_card.publish",
        subject=f"rate card {publication.card.name}",
        by=by,
        now=now,
        after={"publication": publication.pk, "rates": publication.rates.count()},
        reason=publication.note,
    )


def _add_models(proposed: Sequence[ProposedModel]) -> dict[str, LanguageModel]:
    added = LanguageModel.objects.bulk_create(
        LanguageModel(
            provider=one.provider,
            name=one.name,
            display_name=one.display_name,
            family=one.family,
            context_window=one.context_window,
        )
        for one in proposed
    )
    models = {model.name: model for model in added}
    Alias.objects.bulk_create(
        Alias(model=models[one.name], provider=one.provider, name=name)
        for one in proposed
        for name in sorted({one.name, *one.aliases})
    )
    return models


def _rate(publication: Publication, model: LanguageModel, proposed: ProposedRate) -> Rate:
    return Rate(
        publication=publication,
        model=model,
        processing=proposed.processing,
        speed=proposed.speed,
        geo=proposed.geo,
        endpoint=proposed.endpoint,
        context_tier=proposed.above,
        effective_from=proposed.effective_from,
        stop=proposed.stop,
        source=proposed.source,
        observed_on=proposed.observed,
        **{token_class.value: price for token_class, price in proposed.prices.items()},
    )
