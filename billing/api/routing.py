"""`/routing-policies` and `GET /reports/routing-breaches`: which models a team's calls may
use, what has to wait, how long outputs may be; and what was not so.
"""

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import routing
from billing.api import lists, scopes
from billing.api import saving_schemas as schemas
from billing.api.problems import Refused
from billing.api.savings import answered, asked_of
from billing.models import LanguageModel, RoutingPolicy
from billing.models.routing import (
    MOST_MODELS,
    MOST_OUTPUT,
    MOST_TAGS,
    Stretch,
    Tag,
    in_force,
)
from billing.pricing import money
from billing.reports import routing as reports
from billing.reports.routing import Breach, Example
from teams import isolation
from teams.api.authentication import key_of
from teams.models.api_keys import Scope
from teams.reporting_days import ReportingDays

_ONE_DAY = timedelta(days=1)
_BEFORE_THE_END = timedelta(microseconds=1)


class TagInput(serializers.Serializer[Any]):
    key = serializers.CharField(max_length=64)
    value = serializers.CharField(max_length=200)


class TeamQuery(serializers.Serializer[Any]):
    team = serializers.SlugField(required=False)


class PolicyInput(TeamQuery):
    effective_from = serializers.DateField(required=False)
    models = serializers.ListField(
        child=serializers.CharField(max_length=200), default=list, max_length=MOST_MODELS
    )
    batch_only_tags = serializers.ListField(
        child=TagInput(), default=list, max_length=MOST_TAGS
    )
    max_output = serializers.IntegerField(
        min_value=1, max_value=MOST_OUTPUT, default=None, allow_null=True
    )
    reason = serializers.CharField(default="", allow_blank=True, max_length=1000)


class RoutingPoliciesView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ, "POST": Scope.BUDGETS_WRITE}

    @schemas.list_routing_policies
    def get(self, request: Request) -> Response:
        key = key_of(request)
        query = TeamQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        team = scopes.team_of(key, query.validated_data.get("team"))
        now = in_force(team, timezone.now())
        shown, next_cursor = lists.newest(reports.history(team), request.query_params)
        return Response(
            {
                "team": team.slug,
                "in_force": as_json(now) if now else None,
                "data": [as_json(one) for one in shown],
                "next_cursor": next_cursor,
            }
        )

    @schemas.set_routing_policy
    def post(self, request: Request) -> Response:
        key = key_of(request)
        wanted = PolicyInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        try:
            policy = routing.set_policy(
                team=scopes.team_of(key, asked.get("team")),
                effective_from=asked.get("effective_from"),
                model_ids=_models(asked["models"]),
                batch_only_tags=[Tag(**tag) for tag in asked["batch_only_tags"]],
                max_output=asked["max_output"],
                reason=asked["reason"],
                by=str(key),
                now=timezone.now(),
            )
        except ValidationError as error:
            raise Refused(400, "invalid", " ".join(error.messages)) from error
        return Response(as_json(policy), status=201)


class RoutingBreachesView(APIView):
    scopes = {"GET": Scope.REPORTS_READ}

    @schemas.get_routing_breaches
    def get(self, request: Request) -> Response:
        asked = asked_of(request)
        with isolation.visible_teams([asked.team.pk]):
            report = reports.breaches(**asked._asdict())
        days = ReportingDays(asked.team.organization)
        return answered(
            asked,
            report.records_from,
            policies=[_stretch(one, days) for one in report.policies],
            rows=[_breach(row) for row in report.rows],
            examples=[_example(one) for one in report.examples],
        )


def _models(names: list[str]) -> list[int]:
    """Of a model its name is said, whichever provider serves it."""
    models = dict(LanguageModel.objects.filter(name__in=names).values_list("pk", "name"))
    missing = set(names) - set(models.values())
    if missing:
        raise Refused(400, "unknown_model", f"No model is named {min(missing)!r}.")
    return list(models)


def as_json(policy: RoutingPolicy) -> dict[str, Any]:
    return {
        "id": str(policy.pk),
        "team": policy.team.slug,
        "effective_from": policy.effective_from,
        "holds_from": policy.holds_from,
        "models": policy.model_names,
        "batch_only_tags": [tag._asdict() for tag in policy.tags],
        "max_output": policy.max_output,
        "reason": policy.reason,
        "changed_by": policy.changed_by,
        "changed_at": policy.changed_at,
    }


def _stretch(one: Stretch, days: ReportingDays) -> dict[str, Any]:
    """With the days that it lies in, whole or in part."""
    return {
        "id": str(one.policy.pk),
        "since": days.day(one.since),
        "until": days.day(one.until - _BEFORE_THE_END) + _ONE_DAY,
        "holds_from": one.since,
        "holds_until": one.until,
    }


def _breach(row: Breach) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "rule": row.rule or None,
        "project": row.project.slug,
        "model": row.model.name,
        "provider": row.model.provider,
        "requests": row.requests,
        "spent": money.plain(row.spent),
        "cost": None if row.cost is None else money.plain(row.cost),
    }


def _example(one: Example) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "project": one.project.slug,
        "model": one.model_name,
        "id": one.record_id,
        "month": f"{one.month:%Y-%m}",
        "occurred_at": one.occurred_at,
        "output": one.output,
        "cost": None if one.cost is None else money.plain(one.cost),
    }
