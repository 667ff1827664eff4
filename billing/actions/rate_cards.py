"""Rate cards: what is put on them, and when it starts to price."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Min, Q, QuerySet

from billing.actions import drafts
from billing.connectors import list_prices
from billing.connectors.list_prices import ProposedModel, ProposedRate
from billing.models import Alias, LanguageModel, Publication, Rate, RateCard
from teams.actions import audit
from teams.models import Organization
from teams.ownership import RECORDS_AHEAD
from teams.permissions import Permission, has_permission, organizations_of


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
    models = add_models(proposed)
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
def make_contract(
    *, organization: Organization, provider: str, name: str, by: str, now: datetime
) -> RateCard:
    """An organization's own card over a provider's list: where it says nothing, the list.

    Raises ValidationError for a name that is taken, a provider without list prices, and
    prices in a currency that is not the organization's.
    """
    listed = RateCard.objects.filter(kind=RateCard.Kind.LIST, provider=provider).first()
    if listed is None:
        raise ValidationError({"provider": f"There are no list prices of {provider}."})
    if listed.currency != organization.currency:
        raise ValidationError(
            f"Prices of {provider} are in {listed.currency}, {organization} counts in "
            f"{organization.currency}: amounts are not converted."
        )
    card = RateCard(
        kind=RateCard.Kind.CONTRACT,
        organization=organization,
        provider=provider,
        name=name,
        currency=organization.currency,
    )
    card.full_clean()
    card.save()
    said = {"kind": card.kind, "provider": provider, "currency": card.currency}
    _audit(card, "rate_card.make", by=by, now=now, after=said)
    return card


@transaction.atomic
def rename(*, card: RateCard, name: str, by: str, now: datetime) -> None:
    """Another name for people; nothing is priced by it."""
    kept = RateCard.objects.select_for_update(of=("self",), no_key=True).get(pk=card.pk)
    before, kept.name = kept.name, name
    kept.full_clean()
    kept.save(update_fields=["name"])
    names = {"before": {"name": before}, "after": {"name": name}}
    _audit(kept, "rate_card.rename", by=by, now=now, **names)


@transaction.atomic
def publish(*, publication: Publication, by: str, now: datetime) -> None:
    """From here on its rates price what is counted; they can no longer be changed.

    Rates that start later are scheduled by that. Nothing that is charged changes: that
    takes a re-rate. Raises ValidationError for what is no draft, and for prices that are
    out of bounds and not confirmed.
    """
    held = drafts.locked(publication)
    complaints = drafts.complaints(held, now=now)
    if complaints:
        raise ValidationError(complaints)
    publication.state = Publication.State.PUBLISHED
    publication.published_by = by
    publication.published_at = now
    publication.save(update_fields=["state", "published_by", "published_at"])
    _audit(
        held.card,
        "rate_card.publish",
        by=by,
        now=now,
        after={"publication": held.pk, "rates": held.rates.count()},
        reason=held.note,
    )


@transaction.atomic
def withdraw(*, publication: Publication, by: str, now: datetime, reason: str = "") -> None:
    """Take scheduled rates back before the first of them starts.

    Raises ValidationError when one has started, or starts so soon that a record with a
    clock ahead of ours may have been priced by it.
    """
    held = Publication.objects.select_for_update(of=("self",), no_key=True)
    state = held.values_list("state", flat=True).get(pk=publication.pk)
    if state != Publication.State.PUBLISHED:
        raise ValidationError(f"This publication is {state}: only a published one can be.")
    first = publication.rates.aggregate(Min("effective_from"))["effective_from__min"]
    if first <= now + RECORDS_AHEAD:
        minutes = RECORDS_AHEAD // timedelta(minutes=1)
        raise ValidationError(
            f"Its first rate starts {first:%Y-%m-%d %H:%M} UTC, which is not more than "
            f"{minutes} minutes ahead: it may have priced something. Publish later rates "
            "that replace it, or a stop."
        )
    publication.state = Publication.State.WITHDRAWN
    publication.withdrawn_by = by
    publication.withdrawn_at = now
    publication.save(update_fields=["state", "withdrawn_by", "withdrawn_at"])
    drafts.return_proposals(publication.proposals.all())
    said = {"publication": publication.pk}
    _audit(
        publication.card, "rate_card.withdraw", by=by, now=now, before=said, reason=reason
    )


# --- Who may see and change them ----------------------------------------------------


def seen_by(user: User) -> QuerySet[RateCard]:
    """Every list card, and the contracts of the organizations they have a role in."""
    return RateCard.objects.filter(
        Q(kind=RateCard.Kind.LIST) | Q(organization__in=organizations_of(user))
    )


def may_edit(user: User, card: RateCard) -> bool:
    """List prices are everybody's, so that who runs the installation publishes them.

    A contract is edited by an admin of its organization.
    """
    if card.organization is None:
        return user.is_active and user.is_superuser
    return has_permission(user, Permission.EDIT_RATES, organization=card.organization)


def _audit(card: RateCard, action: str, **said: Any) -> None:
    audit.record(
        action=action,
        subject=f"rate card {card.name}",
        organization=card.organization.slug if card.organization else "",
        **said,
    )


# --- Bundled prices -----------------------------------------------------------------


def add_models(proposed: Sequence[ProposedModel]) -> dict[str, LanguageModel]:
    """Add models with every name they are seen under; a name that is taken stays so."""
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
    taken = set(Alias.objects.values_list("provider", "name"))
    Alias.objects.bulk_create(
        Alias(model=models[one.name], provider=one.provider, name=name)
        for one in proposed
        for name in sorted({one.name, *one.aliases})
        if (one.provider, name) not in taken
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
