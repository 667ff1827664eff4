"""`/estimates`: what teams and their projects plan."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import estimates
from billing.actions.estimates import Line
from billing.api import budget_schemas as schemas
from billing.api import scopes
from billing.api.problems import Refused
from billing.models import Estimate, LanguageModel
from billing.models.estimates import MOST_MONTHS, Scenario
from billing.models.rates import PRICE_FIELDS
from billing.pricing import budget_periods, money
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Processing
from teams.api.authentication import key_of
from teams.models import ApiKey, Project
from teams.models.api_keys import Scope

_MOST = 10**15
_PROCESSINGS = [Processing.STANDARD.value, Processing.BATCH.value]


class MonthField(serializers.CharField):
    """A month as 2026-11; its first day."""

    def to_internal_value(self, data: Any) -> date:  # type: ignore[override]
        try:
            return budget_periods.month(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid") from error


class LineInput(serializers.Serializer[Any]):
    """One model in one scenario and processing: requests and tokens of a whole month."""

    month = MonthField(required=False)
    provider = serializers.CharField(default="anthropic")
    model = serializers.CharField()
    processing = serializers.ChoiceField(_PROCESSINGS, default=Processing.STANDARD)
    scenario = serializers.ChoiceField(Scenario.choices)
    requests = serializers.IntegerField(min_value=0, max_value=_MOST)
    quantities = serializers.DictField(
        child=serializers.IntegerField(min_value=0, max_value=_MOST)
    )

    def validate_quantities(self, value: dict[str, int]) -> dict[str, int]:
        unknown = sorted(value.keys() - set(PRICE_FIELDS))
        if unknown:
            raise serializers.ValidationError(f"Unknown token class {unknown[0]!r}.")
        return value


class EstimateInput(serializers.Serializer[Any]):
    team = serializers.SlugField(required=False)
    project = serializers.SlugField(required=False)
    month = MonthField()
    months = serializers.IntegerField(min_value=1, max_value=MOST_MONTHS, default=1)
    plan = serializers.ChoiceField(Scenario.choices, default=Scenario.MEDIUM)
    contingency_percent = serializers.IntegerField(min_value=0, max_value=100, default=0)
    note = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    lines = LineInput(many=True, allow_empty=False)


class EstimatesView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ, "POST": Scope.BUDGETS_WRITE}

    @schemas.list_estimates
    def get(self, request: Request) -> Response:
        listed = _covered(key_of(request)).prefetch_related("lines__model")
        newest = listed.order_by("-month", "-pk")[:200]
        return Response({"data": [as_json(estimate) for estimate in newest]})

    @schemas.create_estimate
    def post(self, request: Request) -> Response:
        key = key_of(request)
        wanted = EstimateInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        try:
            estimate = estimates.save(
                team=scopes.team_of(key, asked.get("team")),
                month=asked["month"],
                project=_project(key, asked.get("project")),
                months=asked["months"],
                lines=[_line(line) for line in asked["lines"]],
                plan=Scenario(asked["plan"]),
                contingency_percent=asked["contingency_percent"],
                note=asked.get("note", ""),
                by=str(key),
                now=timezone.now(),
            )
        except ValidationError as error:
            raise Refused(400, "invalid", " ".join(error.messages)) from error
        return Response(as_json(estimate), status=201)


class EstimateApprovalView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.approve_estimate
    def post(self, request: Request, estimate_id: int) -> Response:
        key = key_of(request)
        estimate = _covered(key).filter(pk=estimate_id).first()
        if estimate is None:
            raise Refused(404, "not_found", f"No estimate {estimate_id} is here.")
        estimates.approve(estimate=estimate, by=str(key), now=timezone.now())
        return Response(as_json(estimate))


def _covered(key: ApiKey) -> "QuerySet[Estimate]":
    covered = scopes.teams_of(key)
    return Estimate.objects.filter(team__in=covered).with_scope()


def _project(key: ApiKey, slug: str | None) -> Project | None:
    if slug is None:
        return None
    project = scopes.projects_of(key).filter(slug=slug).first()
    if project is None:
        raise Refused(404, "not_found", f"This API key covers no project {slug!r}.")
    return project


def _line(asked: dict[str, Any]) -> Line:
    model = LanguageModel.objects.filter(
        provider=asked["provider"], aliases__name=asked["model"]
    ).first()
    if model is None:
        raise Refused(400, "unknown_model", f"No model is known as {asked['model']!r}.")
    return Line(
        model=model,
        scenario=Scenario(asked["scenario"]),
        requests=asked["requests"],
        quantities=Quantities(**asked["quantities"]),
        processing=Processing(asked["processing"]),
        month=asked.get("month"),
    )


def as_json(estimate: Estimate) -> dict[str, Any]:
    totals = dict.fromkeys(Scenario.values, Decimal())
    lines = list(estimate.lines.all())
    for line in lines:
        totals[line.scenario] += line.cost
    return {
        "id": str(estimate.pk),
        "team": estimate.team.slug,
        "project": estimate.project and estimate.project.slug,
        "month": f"{estimate.month:%Y-%m}",
        "months": estimate.months,
        "state": estimate.state,
        "plan": estimate.plan,
        "contingency_percent": estimate.contingency_percent,
        "note": estimate.note,
        "priced_at": estimate.priced_at,
        "totals": {scenario: money.plain(total) for scenario, total in totals.items()},
        "lines": [
            {
                "month": f"{line.month:%Y-%m}",
                "model": line.model.name,
                "processing": line.processing,
                "scenario": line.scenario,
                "requests": line.requests,
                "quantities": {name: getattr(line, name) for name in PRICE_FIELDS},
                "cost": money.plain(line.cost),
            }
            for line in lines
        ],
    }
