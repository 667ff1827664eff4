"""`/rerates`: past records at today's prices; and what has no price at all."""

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import rerates
from billing.actions.rerates import Scope as Covered
from billing.api import rerate_schemas as schemas
from billing.api.problems import Refused
from billing.models import LanguageModel, Rerate, RerateTotal
from billing.pricing import money
from billing.reports import exposure
from billing.reports.exposure import UnpricedModel
from teams import isolation
from teams.api.authentication import key_of
from teams.models import ApiKey
from teams.models.api_keys import Scope

logger = logging.getLogger(__name__)

_LIMIT = 200
# A dry run of few records is done when the answer comes; of many, workers go on with it.
_SECONDS = 2


class RerateInput(serializers.Serializer[Any]):
    """Days are those of the reporting zone; `to` is the first day not in it."""

    to = serializers.DateField()
    teams = serializers.ListField(
        child=serializers.SlugField(), max_length=1000, default=list
    )
    models = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=1000, default=list
    )
    reason = serializers.CharField(max_length=1000)

    def get_fields(self) -> dict[str, Any]:
        # `from` is no name that a class body can hold.
        return {**super().get_fields(), "from": serializers.DateField()}


class ReasonInput(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class ReratesView(APIView):
    scopes = {"GET": Scope.REPORTS_READ, "POST": Scope.RERATES_WRITE}

    @schemas.list_rerates
    def get(self, request: Request) -> Response:
        newest = _covered(key_of(request)).order_by("-pk")[:_LIMIT]
        return Response({"data": [as_json(rerate) for rerate in newest]})

    @schemas.create_rerate
    def post(self, request: Request) -> Response:
        key = _key_of_organization(request)
        wanted = RerateInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked, now = wanted.validated_data, timezone.now()
        scope = _scope(key, asked)
        rerate = _allowed(
            lambda: rerates.plan(scope=scope, reason=asked["reason"], by=str(key), now=now)
        )
        return Response(_gone_on(rerate), status=201)


class RerateView(APIView):
    scopes = {"GET": Scope.REPORTS_READ}

    @schemas.get_rerate
    def get(self, request: Request, rerate_id: int) -> Response:
        return Response(as_json(_find(key_of(request), rerate_id)))


class RerateStartView(APIView):
    scopes = {"POST": Scope.RERATES_WRITE}

    @schemas.start_rerate
    def post(self, request: Request, rerate_id: int) -> Response:
        key = _key_of_organization(request)
        rerate = _find(key, rerate_id)
        rerate = _allowed(
            lambda: rerates.start(rerate=rerate, by=str(key), now=timezone.now())
        )
        return Response(_gone_on(rerate))


class RerateReversalView(APIView):
    scopes = {"POST": Scope.RERATES_WRITE}

    @schemas.reverse_rerate
    def post(self, request: Request, rerate_id: int) -> Response:
        key = _key_of_organization(request)
        wanted = ReasonInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        rerate = _find(key, rerate_id)
        reversal = _allowed(
            lambda: rerates.reverse(
                rerate=rerate,
                by=str(key),
                now=timezone.now(),
                reason=wanted.validated_data.get("reason", ""),
            )
        )
        return Response(_gone_on(reversal), status=201)


class UnpricedView(APIView):
    scopes = {"GET": Scope.REPORTS_READ}

    @schemas.get_unpriced
    def get(self, request: Request) -> Response:
        key = key_of(request)
        team_ids = list(key.teams().values_list("pk", flat=True))
        with isolation.visible_teams(team_ids):
            models = exposure.unpriced_models(
                team_ids=team_ids,
                project_ids=[key.project_id] if key.project_id else None,
            )
        return Response(
            {
                "models": [_model_as_json(model) for model in models],
                "total": exposure.as_json(exposure.total(models)),
                "currency": key.organization.currency,
                "as_of": timezone.now(),
            }
        )


def _key_of_organization(request: Request) -> ApiKey:
    """A re-rate changes what several teams have spent: not for the key of one of them."""
    key = key_of(request)
    if key.team_id is not None or key.project_id is not None:
        raise Refused(
            403,
            "organization_key_needed",
            "This needs an API key of the whole organization.",
        )
    return key


def _covered(key: ApiKey) -> "QuerySet[Rerate]":
    """Those of the organization; a key of a team or project reads none."""
    if key.team_id is not None or key.project_id is not None:
        return Rerate.objects.none()
    return Rerate.objects.filter(organization=key.organization_id).prefetch_related(
        "totals__team"
    )


def _find(key: ApiKey, rerate_id: int) -> Rerate:
    rerate = _covered(key).filter(pk=rerate_id).first()
    if rerate is None:
        raise Refused(404, "not_found", f"This API key covers no re-rate {rerate_id}.")
    return rerate


def _scope(key: ApiKey, asked: dict[str, Any]) -> Covered:
    teams = list(key.teams().filter(slug__in=asked["teams"]))
    missing = set(asked["teams"]) - {team.slug for team in teams}
    if missing:
        raise Refused(404, "not_found", f"This API key covers no team {min(missing)!r}.")
    models = list(LanguageModel.objects.filter(name__in=asked["models"]))
    missing = set(asked["models"]) - {model.name for model in models}
    if missing:
        raise Refused(400, "unknown_model", f"No model is named {min(missing)!r}.")
    return Covered(
        organization=key.organization,
        since=asked["from"],
        until=asked["to"],
        teams=teams,
        models=models,
    )


def _allowed(act: Callable[[], Rerate]) -> Rerate:
    try:
        return act()
    except ValidationError as error:
        raise Refused(409, "not_possible", " ".join(error.messages)) from error


def _gone_on(rerate: Rerate) -> dict[str, Any]:
    """As it is when a little of it, perhaps all, is done."""
    try:
        rerates.advance(rerate=rerate, clock=timezone.now, seconds=_SECONDS)
    except OperationalError:
        logger.exception("%s is left to the workers", rerate)
    return as_json(Rerate.objects.prefetch_related("totals__team").get(pk=rerate.pk))


def as_json(rerate: Rerate) -> dict[str, Any]:
    totals = sorted(rerate.totals.all(), key=lambda total: total.team.slug)
    reversal = Rerate.objects.filter(reverses=rerate).values_list("pk", flat=True).first()
    return {
        "id": str(rerate.pk),
        "state": rerate.state,
        "from": rerate.since,
        "to": rerate.until,
        "teams": _narrowed_to(rerate, totals),
        "models": list(
            LanguageModel.objects.filter(pk__in=rerate.model_ids)
            .order_by("name")
            .values_list("name", flat=True)
        ),
        "reason": rerate.reason,
        "reverses": None if rerate.reverses_id is None else str(rerate.reverses_id),
        "reversed_by": None if reversal is None else str(reversal),
        "dry_run": [_total_as_json(one) for one in totals if not one.executed],
        "executed": [_total_as_json(one) for one in totals if one.executed],
        "created_by": rerate.created_by,
        "created_at": rerate.created_at,
        "started_by": rerate.started_by or None,
        "started_at": rerate.started_at,
        "finished_at": rerate.finished_at,
    }


def _narrowed_to(rerate: Rerate, totals: list[RerateTotal]) -> list[str]:
    """The teams it was narrowed to; none: all of them."""
    return sorted({one.team.slug for one in totals if one.team_id in rerate.team_ids})


def _total_as_json(total: RerateTotal) -> dict[str, Any]:
    return {
        "team": total.team.slug,
        "finished": total.finished,
        "records": total.records,
        "changed": total.changed,
        "kept": total.kept,
        "before": money.plain(total.before),
        "after": money.plain(total.cost),
        "difference": money.plain(total.difference),
    }


def _model_as_json(model: UnpricedModel) -> dict[str, Any]:
    return {
        "provider": model.provider,
        "model": model.name,
        "reasons": sorted(model.reasons),
        **exposure.as_json(model.exposure),
        "first_seen": model.first_seen,
        "last_seen": model.last_seen,
        "teams": sorted(model.teams),
        "projects": sorted(model.projects),
    }
