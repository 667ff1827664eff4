"""Drafts of a rate card: rates are put on them, checked, changed and thrown away.

Nothing here prices anything. What is on a draft does when it is published
(`rate_cards.publish`), and then it stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from billing.models import LanguageModel, Proposal, Publication, Rate, RateCard, rate_book
from billing.models.rates import PRICE_FIELDS
from billing.pricing import bounds, money, rates
from billing.pricing.rates import RateBook
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import GLOBAL, Processing, Speed
from teams.actions import audit

# Of a rate: which of the card's series it belongs to, and from when on.
CONDITIONS = ("processing", "speed", "geo", "endpoint", "context_tier")
_KEY = ("model_id", *CONDITIONS, "effective_from")

_NINE_PLACES = Decimal("1E-9")
_HUNDRED = Decimal(100)
MOST_PERCENT = Decimal(1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A rate as a person states it: prices per `UNITS`, in the card's currency.

    A `stop` has no prices. `confirmation` says why a price out of bounds is right.
    """

    model: LanguageModel
    effective_from: datetime
    prices: Mapping[TokenClass, Decimal]
    source: str
    observed_on: date
    processing: str = Processing.STANDARD
    speed: str = Speed.STANDARD
    geo: str = GLOBAL
    endpoint: str = GLOBAL
    context_tier: int = 0
    stop: bool = False
    confirmation: str = ""


@transaction.atomic
def start(*, card: RateCard, by: str, now: datetime, note: str = "") -> Publication:
    """An empty draft."""
    publication = Publication.objects.create(
        card=card, note=note, created_by=by, created_at=now
    )
    _audit(publication, "rate_draft.start", by=by, now=now, reason=note)
    return publication


@transaction.atomic
def describe(*, publication: Publication, note: str, by: str, now: datetime) -> None:
    """Say why these rates are put on the card; it stands in the history."""
    publication = locked(publication)
    before, publication.note = publication.note, note
    publication.save(update_fields=["note"])
    _audit(
        publication,
        "rate_draft.describe",
        by=by,
        now=now,
        before={"note": before},
        after={"note": note},
    )


@transaction.atomic
def set_rate(
    *,
    publication: Publication,
    terms: Terms,
    by: str,
    now: datetime,
    rate: Rate | None = None,
) -> Rate:
    """Put a rate on a draft, in the place of `rate` or of the one with its conditions.

    Raises ValidationError for terms that cannot be meant.
    """
    (made,) = put(
        publication=publication,
        stated=[terms],
        by=by,
        now=now,
        replaced=[rate] if rate else [],
    )
    return made


@transaction.atomic
def put(
    *,
    publication: Publication,
    stated: Sequence[Terms],
    by: str,
    now: datetime,
    replaced: Iterable[Rate] = (),
) -> list[Rate]:
    """Put rates on a draft in the order given; of two with one key the later counts.

    Raises ValidationError, and puts none of them, when one cannot be meant.
    """
    publication = locked(publication)
    wanted: dict[tuple[Any, ...], Rate] = {}
    for terms in stated:
        made = _rate(publication, terms)
        wanted[_key(made)] = made
    _check_all(publication.card, wanted.values(), now)
    standing = {_key(kept): kept for kept in publication.rates.select_related("model")}
    before = [standing[key] for key in wanted if key in standing]
    moved = {one.pk for one in replaced} - {kept.pk for kept in before}
    for kept in standing.values():
        if kept.pk in moved:
            before.append(kept)
            _return_proposals_of(publication, kept)
    Rate.objects.filter(pk__in=[kept.pk for kept in before]).delete()
    put_on = Rate.objects.bulk_create(wanted.values())
    _audit(
        publication,
        "rate_draft.set",
        by=by,
        now=now,
        before={"rates": [_said(kept) for kept in before]},
        after={"rates": [_said(made) for made in put_on]},
    )
    return put_on


@transaction.atomic
def copy(
    *,
    publication: Publication,
    models: Iterable[LanguageModel],
    at: datetime,
    by: str,
    now: datetime,
) -> list[Rate]:
    """Put on a draft what the card says of these models at `at`, to start then."""
    names = {model.pk for model in models}
    in_force = [rate for rate in _in_force(publication.card, at) if rate.model_id in names]
    stated = [replace(terms_of(rate), effective_from=at) for rate in in_force]
    return put(publication=publication, stated=stated, by=by, now=now)


@transaction.atomic
def fill_from_list(
    *,
    publication: Publication,
    percent: Decimal | None,
    by_model: Mapping[str, Decimal],
    at: datetime,
    source: str,
    by: str,
    now: datetime,
    confirmation: str = "",
) -> list[Rate]:
    """Put a share of the provider's list prices on a draft of a contract.

    `percent` (of the list price, so 85 is a discount of 15) is for every model that
    `by_model` does not name; None leaves those out. What is in force at `at` starts
    then; what the list has scheduled after it starts with the list, and ends with it.
    Each price is rounded to nine places, half to even.

    Raises ValidationError for a card that is no contract, another currency, a model that
    the list does not have, and percentages out of 0 to 1,000.
    """
    card = publication.card
    listed = _list_of(card)
    _check_percents([*([] if percent is None else [percent]), *by_model.values()])
    priced = [*_in_force(listed, at), *_coming(listed, at)]
    unknown = by_model.keys() - {rate.model.name for rate in priced}
    if unknown:
        raise ValidationError(
            f"The list card of {card.provider} has no rate of {', '.join(sorted(unknown))}."
        )
    stated = []
    for rate in priced:
        share = by_model.get(rate.model.name, percent)
        if share is not None:
            stated.append(_share_of(rate, share, at, source, now, confirmation))
    if not stated:
        raise ValidationError("No list rate is in force then, or comes later.")
    return put(publication=publication, stated=stated, by=by, now=now)


@transaction.atomic
def remove_rate(*, rate: Rate, by: str, now: datetime) -> None:
    """Take a rate off its draft."""
    publication = locked(rate.publication)
    _return_proposals_of(publication, rate)
    said = {"rates": [_said(rate)]}
    _audit(publication, "rate_draft.remove", by=by, now=now, before=said)
    rate.delete()


@transaction.atomic
def discard(*, publication: Publication, by: str, now: datetime) -> None:
    """Throw a draft away. Proposals that were accepted onto it are open again."""
    publication = locked(publication)
    return_proposals(publication.proposals.all())
    _audit(
        publication,
        "rate_draft.discard",
        by=by,
        now=now,
        before={"rates": [_said(rate) for rate in publication.rates.all()]},
        reason=publication.note,
    )
    publication.rates.all().delete()
    publication.delete()


def locked(publication: Publication) -> Publication:
    """The draft, held until the transaction ends. Raises ValidationError for no draft."""
    held = (
        Publication.objects.select_for_update(of=("self",), no_key=True)
        .select_related("card__organization")
        .get(pk=publication.pk)
    )
    if held.state != Publication.State.DRAFT:
        raise ValidationError(f"This publication is {held.state}: it is no draft.")
    return held


def return_proposals(accepted: Iterable[Proposal]) -> None:
    """Open accepted proposals again, unless a newer one stands in their place."""
    for proposal in accepted:
        newer = Proposal.objects.filter(
            card=proposal.card_id,
            state=Proposal.State.OPEN,
            **{name: getattr(proposal, name) for name in _CONDITIONS_OF_PROPOSALS},
        )
        taken = newer.exists()
        proposal.state = Proposal.State.LAPSED if taken else Proposal.State.OPEN
        proposal.publication = proposal.decided_at = None
        proposal.decided_by = proposal.reason = ""
        proposal.save()


_CONDITIONS_OF_PROPOSALS = ("model_name", *CONDITIONS, "effective_from")


def terms_of(rate: Rate) -> Terms:
    """A rate stated once more."""
    return Terms(
        model=rate.model,
        effective_from=rate.effective_from,
        prices=prices_of(rate),
        source=rate.source,
        observed_on=rate.observed_on,
        stop=rate.stop,
        confirmation=rate.confirmation,
        **{name: getattr(rate, name) for name in CONDITIONS},
    )


def prices_of(rate: Rate) -> dict[TokenClass, Decimal]:
    return {
        TokenClass(name): price
        for name in PRICE_FIELDS
        if (price := getattr(rate, name)) is not None
    }


# --- What cannot be meant -----------------------------------------------------------


def complaints(publication: Publication, *, now: datetime) -> list[str]:
    """What keeps a draft from being published, a sentence each."""
    drafted = rate_book.drafted(publication)
    if not drafted:
        return ["There is no rate on this draft."]
    models = LanguageModel.objects.in_bulk({rate.model_id for rate in drafted})
    card = publication.card
    book = rate_book.of(card.organization_id, rate_book.published())
    return [
        f"{models[rate.model_id]} from {rate.effective_from:%Y-%m-%d}: {sentence}"
        for rate in drafted
        if not rate.confirmation
        for sentence in _far_off(rate, models[rate.model_id], book.rates, now)
    ]


def check(*, card: RateCard, stated: Iterable[Terms], now: datetime) -> None:
    """Raise ValidationError for the first of these rates that cannot be meant."""
    _check_all(card, [_rate(None, terms) for terms in stated], now)


def _check_all(card: RateCard, wanted: Iterable[Rate], now: datetime) -> None:
    book = rate_book.of(card.organization_id, rate_book.published())
    for rate in wanted:
        _check(rate, card, book.rates, now)


def _check(rate: Rate, card: RateCard, book: RateBook, now: datetime) -> None:
    rate.clean_fields(exclude=["publication"])
    if rate.effective_from.tzinfo is None:
        raise ValidationError({"effective_from": "A start needs a time zone."})
    if rate.model.provider != card.provider:
        raise ValidationError({"model": f"{rate.model} is not of {card.provider}."})
    prices = prices_of(rate)
    if rate.stop and prices:
        raise ValidationError({"stop": "A stop ends the series: it has no prices."})
    if not rate.stop and not prices:
        raise ValidationError("A rate has a price at least, or it is a stop.")
    sentences = _far_off(rate, rate.model, book, now)
    if sentences and not rate.confirmation.strip():
        needed = "Correct it, or confirm it with a reason."
        raise ValidationError([f"{rate.model}: {one} {needed}" for one in sentences])


def _far_off(rate: Rate, model: LanguageModel, book: RateBook, now: datetime) -> list[str]:
    current = _current(rate, model, book, now)
    sentences = (
        bounds.complaint(token_class, price, current.get(token_class))
        for token_class, price in prices_of(rate).items()
    )
    return [sentence for sentence in sentences if sentence]


def _current(
    rate: Rate, model: LanguageModel, book: RateBook, now: datetime
) -> dict[TokenClass, Decimal]:
    """What the model costs: at the rate's start, or else now; so, or else plainly."""
    conditions = (rate.processing, rate.speed, rate.geo, rate.endpoint)
    plain = (Processing.STANDARD, Speed.STANDARD, GLOBAL, GLOBAL)
    for at in (rate.effective_from, now):
        for asked, tier in ((conditions, rate.context_tier), (plain, 0)):
            found = book.rate(model.key, *asked, tier + 1, at)
            if found is not None:
                return rates.published_prices(found.prices)
    return {}


def _check_percents(percents: Iterable[Decimal]) -> None:
    for percent in percents:
        if not percent.is_finite() or not 0 <= percent <= MOST_PERCENT:
            raise ValidationError("A share of the list price is 0 to 1,000 percent.")


# --- Rates of cards -----------------------------------------------------------------


def _in_force(card: RateCard, at: datetime) -> list[Rate]:
    """The rates of a card at an instant, one per model and conditions; no stops."""
    latest: dict[tuple[Any, ...], Rate] = {}
    for rate in _published_on(card):
        if rate.effective_from <= at:
            latest[_series(rate)] = rate
    return [rate for rate in latest.values() if not rate.stop]


def _coming(card: RateCard, at: datetime) -> list[Rate]:
    """What a card has after an instant: prices and stops."""
    return [rate for rate in _published_on(card) if rate.effective_from > at]


def _published_on(card: RateCard) -> list[Rate]:
    """In the order of their start; of two with one start the later published comes last."""
    published = Rate.objects.published().filter(publication__card=card)
    return sorted(published.select_related("model"), key=lambda rate: rate.effective_from)


def _list_of(card: RateCard) -> RateCard:
    if card.kind != RateCard.Kind.CONTRACT:
        raise ValidationError("Only a contract is filled from list prices.")
    listed = RateCard.objects.filter(kind=RateCard.Kind.LIST, provider=card.provider)
    found = listed.first()
    if found is None:
        raise ValidationError(f"{card.provider} has no list card.")
    if found.currency != card.currency:
        raise ValidationError(
            f"The list is in {found.currency}, the contract in {card.currency}: amounts "
            "are not converted."
        )
    return found


def _share_of(
    rate: Rate,
    percent: Decimal,
    at: datetime,
    source: str,
    now: datetime,
    confirmation: str,
) -> Terms:
    said = f"{source}; " if source else ""
    return replace(
        terms_of(rate),
        effective_from=max(at, rate.effective_from),
        prices={
            token_class: (price * percent / _HUNDRED).quantize(
                _NINE_PLACES, ROUND_HALF_EVEN
            )
            for token_class, price in prices_of(rate).items()
        },
        source=(
            f"{said}{money.plain(percent)} % of list rate {rate.pk}, "
            "rounded to nine places, half to even"
        ),
        observed_on=now.date(),
        confirmation=confirmation,
    )


def _rate(publication: Publication | None, terms: Terms) -> Rate:
    return Rate(
        publication=publication,
        model=terms.model,
        effective_from=terms.effective_from,
        stop=terms.stop,
        source=terms.source,
        observed_on=terms.observed_on,
        confirmation=terms.confirmation,
        **{name: getattr(terms, name) for name in CONDITIONS},
        **{
            token_class.value: _without_zeros(price)
            for token_class, price in terms.prices.items()
        },
    )


def _without_zeros(price: Decimal) -> Decimal:
    """Zeros at the end of a product are no further places."""
    return Decimal(money.plain(price)) if price.is_finite() else price


def _return_proposals_of(publication: Publication, rate: Rate) -> None:
    return_proposals(
        publication.proposals.filter(
            model_name=rate.model.name,
            effective_from=rate.effective_from,
            **{name: getattr(rate, name) for name in CONDITIONS},
        )
    )


def _key(rate: Rate) -> tuple[Any, ...]:
    return tuple(getattr(rate, name) for name in _KEY)


def _series(rate: Rate) -> tuple[Any, ...]:
    return _key(rate)[:-1]


# --- History ------------------------------------------------------------------------


def _audit(publication: Publication, action: str, **said: Any) -> None:
    card = publication.card
    audit.record(
        action=action,
        subject=f"publication {publication.pk} of rate card {card.name}",
        organization=card.organization.slug if card.organization else "",
        **said,
    )


def _said(rate: Rate) -> dict[str, Any]:
    said = {
        "model": rate.model.key,
        "effective_from": rate.effective_from.isoformat(),
        **{name: getattr(rate, name) for name in CONDITIONS},
        "stop": rate.stop,
        "prices": {
            token_class.value: money.plain(price)
            for token_class, price in prices_of(rate).items()
        },
        "source": rate.source,
    }
    return said | ({"confirmation": rate.confirmation} if rate.confirmation else {})
