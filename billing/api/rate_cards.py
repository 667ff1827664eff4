"""`/rate-cards`: drafts, what they change and move, publication and withdrawal."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.actions import drafts, rate_cards
from billing.actions.drafts import Terms
from billing.api import rate_schemas as schemas
from billing.api.amounts import AmountField
from billing.api.callers import Caller, CallersView, caller_of
from billing.api.problems import Refused
from billing.api.rates import MomentField, as_json, model_named
from billing.models import LanguageModel, Publication, Rate, RateCard
from billing.models.rates import PRICE_FIELDS
from billing.pricing import money
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import GLOBAL, Processing, Speed
from billing.reports import impact, rate_changes
from billing.reports.impact import Crossing, OrganizationImpact
from billing.reports.rate_changes import RateChange
from teams.models.api_keys import Scope

_READ_AND_WRITE = {
    "GET": Scope.PRICES_READ,
    "POST": Scope.PRICES_WRITE,
    "PATCH": Scope.PRICES_WRITE,
    "DELETE": Scope.PRICES_WRITE,
}
_WRITE = dict.fromkeys(_READ_AND_WRITE, Scope.PRICES_WRITE)


class CardInput(serializers.Serializer[Any]):
    provider = serializers.CharField(max_length=40)
    name = serializers.CharField(max_length=200)
    organization = serializers.SlugField(required=False)


class NoteInput(serializers.Serializer[Any]):
    note = serializers.CharField(required=False, allow_blank=True, max_length=5000)


class ReasonInput(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=5000)


class RateInput(serializers.Serializer[Any]):
    """A rate to put on a draft; it takes the place of the one with its conditions."""

    model = serializers.CharField()
    effective_from = MomentField()
    processing = serializers.ChoiceField(list(Processing), default=Processing.STANDARD)
    speed = serializers.ChoiceField(list(Speed), default=Speed.STANDARD)
    geo = serializers.CharField(default=GLOBAL, max_length=32)
    endpoint = serializers.CharField(default=GLOBAL, max_length=32)
    context_tier = serializers.IntegerField(default=0, min_value=0, max_value=2**31 - 1)
    stop = serializers.BooleanField(default=False)
    prices = serializers.DictField(
        child=AmountField(max_digits=18, decimal_places=9, min_value=Decimal(0)),
        default=dict,
    )
    observed_on = serializers.DateField(required=False)
    confirmation = serializers.CharField(required=False, allow_blank=True, max_length=5000)

    def get_fields(self) -> dict[str, Any]:
        # `source` is no name that the class body of a serializer can hold.
        return {**super().get_fields(), "source": serializers.CharField(max_length=300)}

    def validate_prices(self, value: dict[str, Decimal]) -> dict[str, Decimal]:
        unknown = sorted(value.keys() - set(PRICE_FIELDS))
        if unknown:
            raise serializers.ValidationError(f"Unknown token class {unknown[0]!r}.")
        return value


class CopyInput(serializers.Serializer[Any]):
    models = serializers.ListField(child=serializers.CharField(), allow_empty=False)
    at = MomentField(required=False)


class FillInput(serializers.Serializer[Any]):
    """A share of the list prices, in percent of them; `models` have their own."""

    percent = AmountField(
        max_digits=13, decimal_places=9, required=False, allow_null=True, default=None
    )
    models = serializers.DictField(
        child=AmountField(max_digits=13, decimal_places=9), default=dict
    )
    at = MomentField(required=False)
    confirmation = serializers.CharField(required=False, allow_blank=True, max_length=5000)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "source": serializers.CharField(max_length=100)}


class ImpactQuery(serializers.Serializer[Any]):
    throughout = serializers.BooleanField(required=False, allow_null=True, default=None)


class RateCardsView(CallersView):
    scopes = _READ_AND_WRITE

    @schemas.list_cards
    def get(self, request: Request) -> Response:
        caller = caller_of(request)
        cards = caller.cards.select_related("organization").order_by("kind", "name")
        return Response({"data": [_card(caller, card) for card in cards]})

    @schemas.create_card
    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        asked = read(CardInput, request)
        organization = caller.organization(asked.get("organization"))
        caller.editing(RateCard(kind=RateCard.Kind.CONTRACT, organization=organization))
        with refusing():
            card = rate_cards.make_contract(
                organization=organization,
                provider=asked["provider"],
                name=asked["name"],
                **said_by(caller),
            )
        return Response(_card(caller, card), status=201)


class PublicationsView(CallersView):
    scopes = _READ_AND_WRITE

    @schemas.list_publications
    def get(self, request: Request, card_id: int) -> Response:
        caller = caller_of(request)
        card = card_of(caller, card_id)
        publications = card.publications.order_by("-pk")
        if not caller.may_edit(card):
            publications = publications.exclude(state=Publication.State.DRAFT)
        return Response({"data": [_publication(one) for one in publications]})

    @schemas.start_draft
    def post(self, request: Request, card_id: int) -> Response:
        caller = caller_of(request)
        card = card_of(caller, card_id)
        caller.editing(card)
        note = read(NoteInput, request).get("note", "")
        publication = drafts.start(card=card, note=note, **said_by(caller))
        return Response(_publication(publication), status=201)


class PublicationView(CallersView):
    scopes = _READ_AND_WRITE

    @schemas.get_publication
    def get(self, request: Request, card_id: int, publication_id: int) -> Response:
        caller = caller_of(request)
        return Response(_in_full(publication_of(caller, card_id, publication_id)))

    @schemas.describe_draft
    def patch(self, request: Request, card_id: int, publication_id: int) -> Response:
        caller = caller_of(request)
        publication = edited(caller, card_id, publication_id)
        note = read(NoteInput, request).get("note", publication.note)
        with refusing():
            drafts.describe(publication=publication, note=note, **said_by(caller))
        return Response(_in_full(publication_of(caller, card_id, publication_id)))

    @schemas.discard_draft
    def delete(self, request: Request, card_id: int, publication_id: int) -> Response:
        caller = caller_of(request)
        publication = edited(caller, card_id, publication_id)
        with refusing():
            drafts.discard(publication=publication, **said_by(caller))
        return Response(status=204)


class DraftRatesView(CallersView):
    scopes = _WRITE

    @schemas.set_rate
    def post(self, request: Request, card_id: int, publication_id: int) -> Response:
        caller = caller_of(request)
        publication = edited(caller, card_id, publication_id)
        said = said_by(caller)
        asked = read(RateInput, request)
        with refusing():
            rate = drafts.set_rate(
                publication=publication,
                terms=_terms(publication.card, asked, said["now"]),
                **said,
            )
        return Response(as_json(rate), status=201)


class DraftRateView(CallersView):
    scopes = _WRITE

    @schemas.remove_rate
    def delete(
        self, request: Request, card_id: int, publication_id: int, rate_id: int
    ) -> Response:
        caller = caller_of(request)
        publication = edited(caller, card_id, publication_id)
        rate = publication.rates.select_related("publication", "model").filter(pk=rate_id)
        found = rate.first()
        if found is None:
            raise Refused(404, "not_found", f"No rate {rate_id} is on this draft.")
        with refusing():
            drafts.remove_rate(rate=found, **said_by(caller))
        return Response(status=204)


class CopyView(CallersView):
    scopes = _WRITE

    @schemas.copy_rates
    def post(self, request: Request, card_id: int, publication_id: int) -> Response:
        caller = caller_of(request)
        publication = edited(caller, card_id, publication_id)
        asked, said = read(CopyInput, request), said_by(caller)
        models = [_model(publication.card, name) for name in asked["models"]]
        at = asked.get("at", said["now"])
        with refusing():
            drafts.copy(publication=publication, models=models, at=at, **said)
        return Response(_in_full(publication))


class FillView(CallersView):
    scopes = _WRITE

    @schemas.fill_from_list
    def post(self, request: Request, card_id: int, publication_id: int) -> Response:
        caller = caller_of(request)
        publication = edited(caller, card_id, publication_id)
        asked, said = read(FillInput, request), said_by(caller)
        with refusing():
            drafts.fill_from_list(
                publication=publication,
                percent=asked["percent"],
                by_model=asked["models"],
                at=asked.get("at", said["now"]),
                source=asked["source"],
                confirmation=asked.get("confirmation", ""),
                **said,
            )
        return Response(_in_full(publication))


class DiffView(CallersView):
    scopes = {"GET": Scope.PRICES_WRITE}

    @schemas.get_diff
    def get(self, request: Request, card_id: int, publication_id: int) -> Response:
        publication = _draft(caller_of(request), card_id, publication_id)
        changes = rate_changes.diff(publication)
        return Response({"data": [_change(change) for change in changes]})


class ImpactView(CallersView):
    scopes = {"GET": Scope.PRICES_WRITE}

    @schemas.get_impact
    def get(self, request: Request, card_id: int, publication_id: int) -> Response:
        caller = caller_of(request)
        publication = _draft(caller, card_id, publication_id)
        query = ImpactQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        found = impact.impact(
            publication,
            organizations=caller.organizations.order_by("pk"),
            now=timezone.now(),
            throughout=query.validated_data["throughout"],
        )
        return Response(
            {
                "throughout": found.throughout,
                "data": [_impact(one) for one in found.organizations],
            }
        )


class PublishView(CallersView):
    scopes = _WRITE

    @schemas.publish
    def post(self, request: Request, card_id: int, publication_id: int) -> Response:
        caller = caller_of(request)
        publication = edited(caller, card_id, publication_id)
        with refusing():
            rate_cards.publish(publication=publication, **said_by(caller))
        return Response(_publication(publication))


class WithdrawView(CallersView):
    scopes = _WRITE

    @schemas.withdraw
    def post(self, request: Request, card_id: int, publication_id: int) -> Response:
        caller = caller_of(request)
        publication = edited(caller, card_id, publication_id)
        reason = read(ReasonInput, request).get("reason", "")
        with refusing():
            rate_cards.withdraw(publication=publication, reason=reason, **said_by(caller))
        return Response(_publication(publication))


# --- What is asked --------------------------------------------------------------------


def read(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    wanted = serializer(data=request.data)
    wanted.is_valid(raise_exception=True)
    return dict(wanted.validated_data)


def said_by(caller: Caller) -> dict[str, Any]:
    return {"by": str(caller), "now": timezone.now()}


@contextmanager
def refusing() -> Iterator[None]:
    """What an action does not do is a 400 with its sentences."""
    try:
        yield
    except ValidationError as error:
        raise Refused(400, "rate_card_refused", " ".join(error.messages)) from error


def card_of(caller: Caller, card_id: int) -> RateCard:
    card = caller.cards.select_related("organization").filter(pk=card_id).first()
    if card is None:
        raise Refused(404, "not_found", f"There is no rate card {card_id} here.")
    return card


def publication_of(caller: Caller, card_id: int, publication_id: int) -> Publication:
    """A draft is found by who may edit it; for others it does not exist."""
    card = card_of(caller, card_id)
    found = card.publications.filter(pk=publication_id).first()
    if found is None or not (
        found.state != Publication.State.DRAFT or caller.may_edit(card)
    ):
        raise Refused(404, "not_found", f"There is no publication {publication_id} here.")
    found.card = card
    return found


def edited(caller: Caller, card_id: int, publication_id: int) -> Publication:
    publication = publication_of(caller, card_id, publication_id)
    caller.editing(publication.card)
    return publication


def _draft(caller: Caller, card_id: int, publication_id: int) -> Publication:
    publication = edited(caller, card_id, publication_id)
    if publication.state != Publication.State.DRAFT:
        raise Refused(
            400, "rate_card_refused", f"This publication is {publication.state}: no draft."
        )
    return publication


def _model(card: RateCard, name: str) -> LanguageModel:
    model = model_named(card.provider, name)
    if model is None:
        raise Refused(
            400, "unknown_model", f"No model of {card.provider} is known as {name!r}."
        )
    return model


def _terms(card: RateCard, asked: dict[str, Any], now: datetime) -> Terms:
    return Terms(
        model=_model(card, asked["model"]),
        effective_from=asked["effective_from"],
        prices={TokenClass(name): price for name, price in asked["prices"].items()},
        source=asked["source"],
        observed_on=asked.get("observed_on", now.date()),
        stop=asked["stop"],
        confirmation=asked.get("confirmation", ""),
        **{name: asked[name] for name in drafts.CONDITIONS},
    )


# --- What is answered -----------------------------------------------------------------


def _card(caller: Caller, card: RateCard) -> dict[str, Any]:
    return {
        "id": str(card.pk),
        "kind": card.kind,
        "name": card.name,
        "provider": card.provider,
        "currency": card.currency,
        "organization": card.organization.slug if card.organization else None,
        "editable": caller.may_edit(card),
    }


def _publication(publication: Publication) -> dict[str, Any]:
    starts = publication.rates.order_by("effective_from").values_list(
        "effective_from", flat=True
    )
    return {
        "id": str(publication.pk),
        "card": str(publication.card_id),
        "state": publication.state,
        "note": publication.note,
        "created_by": publication.created_by,
        "created_at": publication.created_at,
        "published_by": publication.published_by or None,
        "published_at": publication.published_at,
        "withdrawn_by": publication.withdrawn_by or None,
        "withdrawn_at": publication.withdrawn_at,
        "first_start": starts.first(),
        "rate_count": publication.rates.count(),
    }


def _in_full(publication: Publication) -> dict[str, Any]:
    rates = Rate.objects.filter(publication=publication).order_by("pk")
    its = rates.select_related("model", "publication__card")
    return {**_publication(publication), "rates": [as_json(rate) for rate in its]}


def _change(change: RateChange) -> dict[str, Any]:
    return {
        "rate": as_json(change.rate),
        "change": change.change,
        "until": change.until,
        "falls_to": change.falls_to.publication.card.name if change.falls_to else None,
        "prices": [
            {
                "token_class": one.token_class,
                "per": one.unit,
                "old": _amount(one.old),
                "new": _amount(one.new),
                "difference": _amount(one.difference),
                "percent": _percent(one.percent),
                "change": one.change,
            }
            for one in change.prices
        ],
    }


def _impact(found: OrganizationImpact) -> dict[str, Any]:
    return {
        "organization": found.organization.slug,
        "currency": found.organization.currency,
        "from": found.since,
        "to": found.until,
        "difference": money.plain(found.difference),
        "months": [
            {
                "team": one.team.slug,
                "month": f"{one.month:%Y-%m}",
                "before": money.plain(one.before),
                "after": money.plain(one.after),
                "difference": money.plain(one.difference),
                "percent": _percent(one.percent),
            }
            for one in found.months
        ],
        "budgets": [_crossing(one) for one in found.crossings],
        "requests": found.requests,
        "without_price": found.without_price,
        "newly_priced": found.newly_priced,
        "newly_priced_cost": money.plain(found.newly_priced_cost),
    }


def _crossing(one: Crossing) -> dict[str, Any]:
    return {
        "budget": str(one.budget.pk),
        "scope": one.budget.scope,
        "period": one.budget.period,
        "period_start": one.period.first,
        "amount": money.plain(one.budget.amount),
        "before": money.plain(one.before),
        "after": money.plain(one.after),
        "levels": list(one.levels),
    }


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else money.plain(value)


def _percent(value: Decimal | None) -> str | None:
    return None if value is None else money.plain(round(value, 2))
