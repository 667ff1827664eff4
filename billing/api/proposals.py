"""`/rate-cards/{id}/proposals`: what the price data says otherwise, to decide on."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.actions import proposals
from billing.api import rate_schemas as schemas
from billing.api.callers import Caller, CallersView, caller_of
from billing.api.problems import Refused
from billing.api.rate_cards import card_of, edited, read, refusing, said_by
from billing.models import Proposal, RateCard
from billing.pricing.token_classes import UNITS, TokenClass
from teams.models.api_keys import Scope

_MOST = 1_000


class StateQuery(serializers.Serializer[Any]):
    state = serializers.ChoiceField(Proposal.State.choices, default=Proposal.State.OPEN)


class DecisionInput(serializers.Serializer[Any]):
    proposals = serializers.ListField(
        child=serializers.IntegerField(min_value=1), allow_empty=False, max_length=_MOST
    )
    reason = serializers.CharField(required=False, allow_blank=True, max_length=5000)


class AcceptInput(DecisionInput):
    publication = serializers.IntegerField(required=False, min_value=1)


class ProposalsView(CallersView):
    scopes = {"GET": Scope.PRICES_READ}

    @schemas.list_proposals
    def get(self, request: Request, card_id: int) -> Response:
        card = card_of(caller_of(request), card_id)
        query = StateQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        its = card.proposals.filter(state=query.validated_data["state"])
        newest = its.order_by("-pk")[:_MOST]
        return Response({"data": [_proposal(one) for one in newest]})


class AcceptView(CallersView):
    scopes = {"POST": Scope.PRICES_WRITE}

    @schemas.accept_proposals
    def post(self, request: Request, card_id: int) -> Response:
        caller = caller_of(request)
        card = card_of(caller, card_id)
        caller.editing(card)
        asked = read(AcceptInput, request)
        wanted = asked.get("publication")
        with refusing():
            publication = proposals.accept(
                proposals=_named(card, asked["proposals"]),
                publication=edited(caller, card_id, wanted) if wanted else None,
                reason=asked.get("reason", ""),
                **said_by(caller),
            )
        return Response({"publication": str(publication.pk)})


class DismissView(CallersView):
    scopes = {"POST": Scope.PRICES_WRITE}

    @schemas.dismiss_proposals
    def post(self, request: Request, card_id: int) -> Response:
        caller: Caller = caller_of(request)
        card = card_of(caller, card_id)
        caller.editing(card)
        asked = read(DecisionInput, request)
        with refusing():
            proposals.dismiss(
                proposals=_named(card, asked["proposals"]),
                reason=asked.get("reason", ""),
                **said_by(caller),
            )
        return Response(status=204)


def _named(card: RateCard, ids: list[int]) -> list[Proposal]:
    found = list(card.proposals.filter(pk__in=ids))
    missing = sorted(set(ids) - {one.pk for one in found})
    if missing:
        raise Refused(404, "not_found", f"There is no proposal {missing[0]} of this card.")
    return found


def _proposal(one: Proposal) -> dict[str, Any]:
    return {
        "id": str(one.pk),
        "model": one.model_name,
        "processing": one.processing,
        "speed": one.speed,
        "geo": one.geo,
        "endpoint": one.endpoint,
        "context_tier": one.context_tier,
        "effective_from": one.effective_from,
        "stop": one.stop,
        "prices": {
            name: {"price": price, "per": UNITS[TokenClass(name)]}
            for name, price in one.prices.items()
        },
        "source": one.source,
        "observed_on": one.observed_on,
        "found_at": one.found_at,
        "state": one.state,
        "decided_by": one.decided_by or None,
        "decided_at": one.decided_at,
        "reason": one.reason or None,
        "publication": str(one.publication_id) if one.publication_id else None,
    }
