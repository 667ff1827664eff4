"""`/velocity-rules`: how much may be spent in a stretch of time before it is told."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import velocity_rules
from billing.api import alert_schemas as schemas
from billing.api import scopes
from billing.api.amounts import AmountField
from billing.api.problems import Refused
from billing.models import VelocityRule
from billing.pricing import money
from teams.api.authentication import key_of
from teams.models import ApiKey
from teams.models.api_keys import Scope


class VelocityRuleInput(serializers.Serializer[Any]):
    amount = AmountField(max_digits=21, decimal_places=9)
    minutes = serializers.IntegerField(default=60)
    team = serializers.SlugField(required=False)
    project = serializers.SlugField(required=False)
    tag_key = serializers.CharField(
        max_length=64, required=False, default="", allow_blank=True, allow_null=True
    )
    tag_value = serializers.CharField(
        max_length=200, required=False, default="", allow_blank=True, allow_null=True
    )
    reason = serializers.CharField(max_length=1000, required=False, default="")

    def validate_tag_key(self, value: str | None) -> str:
        return value or ""

    def validate_tag_value(self, value: str | None) -> str:
        return value or ""


class VelocityRulesView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ, "POST": Scope.BUDGETS_WRITE}

    @schemas.list_velocity_rules
    def get(self, request: Request) -> Response:
        listed = _covered(key_of(request)).select_related("team", "project", "organization")
        return Response({"data": [as_json(rule) for rule in listed.order_by("pk")]})

    @schemas.create_velocity_rule
    def post(self, request: Request) -> Response:
        key = key_of(request)
        wanted = VelocityRuleInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        scope = scopes.scope_of(key, asked.pop("team", None), asked.pop("project", None))
        try:
            rule = velocity_rules.create(
                organization=key.organization,
                team=scope.team,
                project=scope.project,
                by=str(key),
                now=timezone.now(),
                **asked,
            )
        except ValidationError as error:
            raise Refused(400, "invalid", " ".join(error.messages)) from error
        return Response(as_json(rule), status=201)


class VelocityRuleView(APIView):
    scopes = {"DELETE": Scope.BUDGETS_WRITE}

    @schemas.end_velocity_rule
    def delete(self, request: Request, rule_id: int) -> Response:
        key = key_of(request)
        rule = _covered(key).filter(pk=rule_id).first()
        if rule is None:
            raise Refused(404, "not_found", f"This API key covers no rule {rule_id}.")
        velocity_rules.end(rule=rule, by=str(key), now=timezone.now())
        return Response(status=204)


def _covered(key: ApiKey) -> QuerySet[VelocityRule]:
    covered = VelocityRule.objects.filter(organization=key.organization_id)
    if key.project_id is not None:
        return covered.filter(project=key.project_id)
    if key.team_id is not None:
        return covered.filter(Q(team=key.team_id) | Q(project__in=scopes.projects_of(key)))
    return covered


def as_json(rule: VelocityRule) -> dict[str, Any]:
    return {
        "id": str(rule.pk),
        "team": rule.team.slug if rule.team else None,
        "project": rule.project.slug if rule.project else None,
        "tag_key": rule.tag_key or None,
        "tag_value": rule.tag_value or None,
        "amount": money.plain(rule.amount),
        "minutes": rule.minutes,
        "currency": rule.organization.currency,
        "created_by": rule.created_by,
        "created_at": rule.created_at,
        "ended_at": rule.ended_at,
    }
