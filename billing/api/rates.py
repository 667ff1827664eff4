"""`GET /rates`: what costs what, since when, from which source."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import rate_schemas as schemas
from billing.api.callers import CallersView, caller_of
from billing.api.problems import Refused
from billing.models import LanguageModel, Rate
from billing.models.rates import PRICE_FIELDS
from billing.pricing import money
from billing.pricing.token_classes import UNITS, TokenClass
from billing.reports import prices
from billing.reports.prices import Line, PublishedRate


class MomentField(serializers.CharField):
    """RFC 3339 with a zone, or a day, which begins in UTC."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            return prices.moment(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(
                "Write a day, as 2026-11-22, or a time with its zone."
            ) from error


class RatesQuery(serializers.Serializer[Any]):
    at = MomentField(required=False)
    provider = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    organization = serializers.SlugField(required=False)


class ModelQuery(serializers.Serializer[Any]):
    provider = serializers.CharField(default="anthropic")
    model = serializers.CharField()


class RatesView(CallersView):
    scopes = {"GET": None}

    @schemas.list_rates
    def get(self, request: Request) -> Response:
        query = RatesQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        at: datetime = asked.get("at", timezone.now())
        organization = caller_of(request).organization(asked.get("organization"))
        found = prices.in_force(
            organization=organization,
            at=at,
            provider=asked.get("provider", ""),
            model=asked.get("model", ""),
        )
        return Response({"at": at, "data": [_in_force(one) for one in found]})


class TimelineView(CallersView):
    scopes = {"GET": None}

    @schemas.get_timeline
    def get(self, request: Request) -> Response:
        query = ModelQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        provider, name = query.validated_data["provider"], query.validated_data["model"]
        model = model_named(provider, name)
        if model is None:
            raise Refused(404, "not_found", f"No model of {provider} is known as {name!r}.")
        lines = prices.timeline(
            model=model, cards=caller_of(request).cards, now=timezone.now()
        )
        return Response(
            {
                "provider": model.provider,
                "model": model.name,
                "data": [_line(line) for line in lines],
            }
        )


def model_named(provider: str, name: str) -> LanguageModel | None:
    """The model of a name or an alias."""
    models = LanguageModel.objects.filter(provider=provider)
    return models.filter(name=name).first() or models.filter(aliases__name=name).first()


def as_json(rate: Rate) -> dict[str, Any]:
    """A rate of any publication; its model, publication and card are selected."""
    return {
        "id": str(rate.pk),
        "provider": rate.model.provider,
        "model": rate.model.name,
        "processing": rate.processing,
        "speed": rate.speed,
        "geo": rate.geo,
        "endpoint": rate.endpoint,
        "context_tier": rate.context_tier,
        "effective_from": rate.effective_from,
        "stop": rate.stop,
        "prices": {
            name: {"price": money.plain(price), "per": UNITS[TokenClass(name)]}
            for name in PRICE_FIELDS
            if (price := getattr(rate, name)) is not None
        },
        "currency": rate.publication.card.currency,
        "source": rate.source,
        "observed_on": rate.observed_on,
        "publication": str(rate.publication_id),
    }


def _in_force(one: PublishedRate) -> dict[str, Any]:
    card = one.rate.publication.card
    return {
        **as_json(one.rate),
        "until": one.until,
        "card": card.name,
        "kind": card.kind,
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "card": line.card.name,
        "kind": line.card.kind,
        "conditions": list(line.conditions),
        "rates": [
            {
                **as_json(one.rate),
                "until": one.until,
                "place": one.place,
                "published_by": one.rate.publication.published_by,
                "published_at": one.rate.publication.published_at,
            }
            for one in line.stretches
        ],
    }
