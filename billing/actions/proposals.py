"""Proposals: what the installed price data states and a list card does not.

A person decides on each: accepted ones are put on a draft, which a person publishes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction

from billing.actions import drafts, rate_cards
from billing.actions.drafts import Terms
from billing.connectors import list_prices
from billing.connectors.list_prices import ProposedRate
from billing.models import LanguageModel, Proposal, Publication, Rate, RateCard
from billing.pricing import money
from billing.pricing.token_classes import TokenClass
from teams.actions import audit

# Prices by class; None where nothing is offered (any more).
Prices = Mapping[TokenClass, Decimal] | None


class Found(NamedTuple):
    """What a comparison came to, in numbers of proposals."""

    opened: int
    changed: int
    lapsed: int


class _Said(NamedTuple):
    """What a card or a source says from an instant on, in one series."""

    effective_from: datetime
    prices: Prices
    rate: ProposedRate | None


# Of a series: model, processing, speed, geo, endpoint, context tier.
_Series = tuple[Any, ...]


def propose(*, now: datetime) -> Found:
    """Compare the installed price data with every list card, and open proposals.

    Twice is once: a price that is open, was accepted or was dismissed is not proposed
    again. Where card and source agree by now, an open proposal lapses.
    """
    by_provider: dict[str, list[ProposedRate]] = {}
    for rate in list_prices.list_rates():
        by_provider.setdefault(rate.provider, []).append(rate)
    cards = RateCard.objects.filter(kind=RateCard.Kind.LIST, provider__in=by_provider)
    found = [
        compare(card=card, rates=by_provider[card.provider], now=now)
        for card in cards.order_by("pk")
    ]
    return Found(*map(sum, zip(*found, strict=True))) if found else Found(0, 0, 0)


@transaction.atomic
def compare(*, card: RateCard, rates: Sequence[ProposedRate], now: datetime) -> Found:
    """Open a proposal for each of these rates that a card does not have."""
    # Held, so that two comparisons come one after the other.
    RateCard.objects.select_for_update(no_key=True).get(pk=card.pk)
    latest: dict[tuple[Any, ...], Proposal] = {}
    known = Proposal.objects.filter(card=card).exclude(state=Proposal.State.LAPSED)
    for proposal in known.order_by("pk"):
        latest[proposal.conditions] = proposal
    opened, changed, differing = [], 0, set()
    for series, start, rate in _differing(card, rates):
        key = (*series, start)
        differing.add(key)
        stated = _proposal(card, key, rate, now)
        before = latest.get(key)
        if before is not None and _same(before, stated):
            continue
        if before is not None and before.state == Proposal.State.OPEN:
            _restate(before, stated)
            changed += 1
        else:
            opened.append(stated)
    Proposal.objects.bulk_create(opened)
    lapsed = [
        proposal.pk
        for key, proposal in latest.items()
        if proposal.state == Proposal.State.OPEN and key not in differing
    ]
    Proposal.objects.filter(pk__in=lapsed).update(state=Proposal.State.LAPSED)
    return Found(len(opened), changed, len(lapsed))


@transaction.atomic
def accept(
    *,
    proposals: Iterable[Proposal],
    by: str,
    now: datetime,
    publication: Publication | None = None,
    reason: str = "",
) -> Publication:
    """Put proposals of one card on a draft, a new one where none is given.

    `reason` confirms prices out of bounds. Raises ValidationError for proposals that are
    not open, of several cards, or out of bounds without a reason.
    """
    held = _held(proposals)
    card = held[0].card
    if publication is None:
        note = "Accepted proposals: " + ", ".join(sorted({one.source for one in held}))
        publication = drafts.start(card=card, by=by, now=now, note=note[:1000])
    if publication.card_id != card.pk:
        raise ValidationError("This draft is of another card.")
    models = _models(card, {one.model_name for one in held}, by, now)
    drafts.put(
        publication=publication,
        stated=[_terms(one, models[one.model_name], reason) for one in held],
        by=by,
        now=now,
    )
    for one in held:
        one.publication = publication
        _decide(one, Proposal.State.ACCEPTED, by=by, now=now, reason=reason)
    return publication


@transaction.atomic
def dismiss(*, proposals: Iterable[Proposal], by: str, now: datetime, reason: str) -> None:
    """Leave the card as it is; the same price is not proposed again.

    Raises ValidationError without a reason, and for proposals that are not open.
    """
    if not reason.strip():
        raise ValidationError({"reason": "Say why: it stands in the history."})
    for one in _held(proposals):
        _decide(one, Proposal.State.DISMISSED, by=by, now=now, reason=reason)


def _held(proposals: Iterable[Proposal]) -> list[Proposal]:
    keys = [one.pk for one in proposals]
    held = list(
        Proposal.objects.select_for_update(of=("self",), no_key=True)
        .select_related("card__organization")
        .filter(pk__in=keys)
        .order_by("pk")
    )
    if not held:
        raise ValidationError("Name a proposal at least.")
    if len({one.card_id for one in held}) > 1:
        raise ValidationError("Proposals of several cards are decided card by card.")
    decided = [one for one in held if one.state != Proposal.State.OPEN]
    if decided:
        raise ValidationError(f"The proposal of {decided[0]} is {decided[0].state}.")
    return held


def _decide(
    proposal: Proposal, state: Proposal.State, *, by: str, now: datetime, reason: str
) -> None:
    proposal.state = state
    proposal.decided_by, proposal.decided_at = by, now
    proposal.reason = reason
    proposal.save()
    audit.record(
        action=f"proposal.{'accept' if state == Proposal.State.ACCEPTED else 'dismiss'}",
        subject=f"proposal {proposal.pk} of rate card {proposal.card.name}",
        by=by,
        now=now,
        after={
            "model": proposal.model_name,
            "effective_from": proposal.effective_from.isoformat(),
            "prices": proposal.prices,
            "stop": proposal.stop,
        },
        reason=reason,
    )


def _terms(proposal: Proposal, model: LanguageModel, confirmation: str) -> Terms:
    return Terms(
        model=model,
        effective_from=proposal.effective_from,
        prices={
            TokenClass(name): Decimal(price) for name, price in proposal.prices.items()
        },
        source=proposal.source,
        observed_on=proposal.observed_on,
        stop=proposal.stop,
        confirmation=confirmation,
        **{name: getattr(proposal, name) for name in drafts.CONDITIONS},
    )


def _models(
    card: RateCard, names: set[str], by: str, now: datetime
) -> dict[str, LanguageModel]:
    """The models of these names; what is not known yet is added as the source has it."""
    kept = LanguageModel.objects.filter(provider=card.provider, name__in=names)
    models = {model.name: model for model in kept}
    missing = names - models.keys()
    if missing:
        stated = [
            one
            for one in list_prices.list_models()
            if one.provider == card.provider and one.name in missing
        ]
        gone = missing - {one.name for one in stated}
        if gone:
            raise ValidationError(
                f"The price data does not have {', '.join(sorted(gone))} any more."
            )
        for name, model in rate_cards.add_models(stated).items():
            models[name] = model
            audit.record(action="model.add", subject=f"model {model.key}", by=by, now=now)
    return models


# --- Comparing ----------------------------------------------------------------------


def _differing(
    card: RateCard, rates: Sequence[ProposedRate]
) -> Iterator[tuple[_Series, datetime, ProposedRate]]:
    """Each instant at which a series of the source is not what the card says."""
    kept = _of_card(card)
    for series, stated in _of_source(rates).items():
        its = kept.get(series, [])
        starts = {one.effective_from for one in (*stated, *its)}
        for start in sorted(starts):
            source = _in_force(stated, start)
            if source is None or source.rate is None:
                continue  # before its first statement a source says nothing
            on_card = _in_force(its, start)
            if source.prices != (on_card.prices if on_card else None):
                yield series, start, source.rate


def _of_source(rates: Sequence[ProposedRate]) -> dict[_Series, list[_Said]]:
    series: dict[_Series, list[_Said]] = {}
    for rate in rates:
        key = (rate.model, rate.processing, rate.speed, rate.geo, rate.endpoint, rate.above)
        prices = None if rate.stop else dict(rate.prices)
        series.setdefault(key, []).append(_Said(rate.effective_from, prices, rate))
    return series


def _of_card(card: RateCard) -> dict[_Series, list[_Said]]:
    series: dict[_Series, list[_Said]] = {}
    published = Rate.objects.published().filter(publication__card=card)
    for rate in published.select_related("model"):
        key = (rate.model.name, *(getattr(rate, name) for name in drafts.CONDITIONS))
        prices = None if rate.stop else drafts.prices_of(rate)
        series.setdefault(key, []).append(_Said(rate.effective_from, prices, None))
    return series


def _in_force(series: Iterable[_Said], at: datetime) -> _Said | None:
    """What is said at an instant; of two from one start on the later in order."""
    found = None
    for one in series:
        if one.effective_from <= at and (
            found is None or one.effective_from >= found.effective_from
        ):
            found = one
    return found


def _proposal(
    card: RateCard, key: tuple[Any, ...], rate: ProposedRate, now: datetime
) -> Proposal:
    model_name, *conditions, start = key
    return Proposal(
        card=card,
        model_name=model_name,
        effective_from=start,
        stop=rate.stop,
        prices={
            token_class.value: money.plain(price)
            for token_class, price in rate.prices.items()
        },
        source=rate.source,
        observed_on=rate.observed,
        found_at=now,
        **dict(zip(drafts.CONDITIONS, conditions, strict=True)),
    )


def _same(one: Proposal, other: Proposal) -> bool:
    return (one.stop, one.prices) == (other.stop, other.prices)


def _restate(proposal: Proposal, stated: Proposal) -> None:
    for name in ("stop", "prices", "source", "observed_on", "found_at"):
        setattr(proposal, name, getattr(stated, name))
    proposal.save()
