"""`/budgets`: caps, what is spent against them, and their changes."""

from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import budgets
from billing.actions.budgets import Limits, Terms
from billing.api import budget_schemas as schemas
from billing.api import lists, scopes
from billing.api.amounts import AmountField
from billing.api.problems import Refused
from billing.models import Budget, BudgetRevision, LanguageModel
from billing.pricing import money
from billing.pricing.budget_periods import Period, PeriodKind
from billing.pricing.usage import Processing
from billing.reports import budget_preview, exposure, forecasts
from billing.reports import budgets as reports
from billing.reports.budgets import BudgetStatus
from billing.reports.forecasts import BudgetForecast
from teams import isolation
from teams.api.authentication import key_of
from teams.models import ApiKey
from teams.models.api_keys import Scope

_TERMS = (
    *("amount", "hard", "thresholds", "forecast_alert"),
    *("expires_on", "exempt_free"),
)
T = TypeVar("T")
# Of a list in a request.
_MOST = 100


class TermsInput(serializers.Serializer[Any]):
    amount = AmountField(max_digits=21, decimal_places=9, min_value=Decimal(0))
    hard = serializers.BooleanField(required=False)
    thresholds = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=budgets.MAX_PERCENT),
        max_length=20,
        required=False,
    )
    forecast_alert = serializers.IntegerField(
        min_value=1, max_value=99, required=False, allow_null=True
    )
    expires_on = serializers.DateField(required=False, allow_null=True)
    exempt_free = serializers.BooleanField(required=False)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class TagInput(serializers.Serializer[Any]):
    key = serializers.CharField(max_length=64)
    values = serializers.ListField(
        child=serializers.CharField(max_length=200), min_length=1, max_length=_MOST
    )


class CustomInput(serializers.Serializer[Any]):
    first = serializers.DateField()
    until = serializers.DateField()


class PreviewInput(TermsInput):
    budget = serializers.RegexField(r"^[0-9]{1,18}$")


class BudgetInput(TermsInput):
    period = serializers.ChoiceField([kind.value for kind in PeriodKind], default="month")
    week_starts_on = serializers.IntegerField(min_value=0, max_value=6, default=0)
    fiscal_starts_in = serializers.IntegerField(min_value=1, max_value=12, default=1)
    custom = CustomInput(required=False, allow_null=True)
    models = serializers.ListField(
        child=serializers.CharField(max_length=200), default=list, max_length=_MOST
    )
    processing = serializers.ListField(
        child=serializers.ChoiceField(list(Processing)), default=list, max_length=_MOST
    )
    tag = TagInput(required=False, allow_null=True)
    team = serializers.SlugField(required=False)
    project = serializers.SlugField(required=False)


class BudgetsView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ, "POST": Scope.BUDGETS_WRITE}

    @schemas.list_budgets
    def get(self, request: Request) -> Response:
        key = key_of(request)
        covered = Budget.objects.active().filter(pk__in=scopes.budgets_of(key))
        listed, next_cursor = lists.oldest(covered.with_scope(), request.query_params)
        return Response({"data": _shown(key, listed), "next_cursor": next_cursor})

    @schemas.create_budget
    def post(self, request: Request) -> Response:
        key = key_of(request)
        wanted = BudgetInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        scope = scopes.scope_of(key, asked.get("team"), asked.get("project"))
        custom = asked.get("custom")
        try:
            budget = budgets.create(
                organization=key.organization,
                team=scope.team,
                project=scope.project,
                limits=_limits(asked),
                period=PeriodKind(asked["period"]),
                week_starts_on=asked["week_starts_on"],
                fiscal_starts_in=asked["fiscal_starts_in"],
                custom=Period(custom["first"], custom["until"]) if custom else None,
                terms=Terms(**_said(asked)),
                reason=asked.get("reason", ""),
                by=str(key),
                now=timezone.now(),
            )
        except ValidationError as error:
            raise Refused(400, "invalid", " ".join(error.messages)) from error
        return Response(_shown(key, [budget])[0], status=201)


class BudgetView(APIView):
    scopes = {
        "GET": Scope.BUDGETS_READ,
        "PATCH": Scope.BUDGETS_WRITE,
        "DELETE": Scope.BUDGETS_WRITE,
    }

    @schemas.get_budget
    def get(self, request: Request, budget_id: int) -> Response:
        key = key_of(request)
        return Response(_shown(key, [find(key, budget_id)])[0])

    @schemas.change_budget
    def patch(self, request: Request, budget_id: int) -> Response:
        key = key_of(request)
        budget = find(key, budget_id)
        wanted = TermsInput(data=request.data, partial=True)
        wanted.is_valid(raise_exception=True)
        try:
            budgets.amend(
                budget=budget,
                changes=_said(wanted.validated_data),
                reason=wanted.validated_data.get("reason", ""),
                by=str(key),
                now=timezone.now(),
            )
        except ValidationError as error:
            raise Refused(400, "invalid", " ".join(error.messages)) from error
        return Response(_shown(key, [find(key, budget_id)])[0])

    @schemas.archive_budget
    def delete(self, request: Request, budget_id: int) -> Response:
        key = key_of(request)
        budgets.archive(budget=find(key, budget_id), by=str(key), now=timezone.now())
        return Response(status=204)


class BudgetPreviewView(APIView):
    scopes = {"POST": Scope.BUDGETS_READ}

    @schemas.preview_budget
    def post(self, request: Request) -> Response:
        """What a budget with such terms would have said; nothing is saved."""
        key, now = key_of(request), timezone.now()
        asked_of_one = isinstance(request.data, dict) and "budget" in request.data
        budget = (_changed if asked_of_one else _planned)(key, request.data, now)
        with isolation.visible_teams(key.teams().values_list("pk", flat=True)):
            preview = budget_preview.budget_preview(budget, now=now)
        return Response(budget_preview.as_json(preview))


class BudgetRevisionsView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ}

    @schemas.list_revisions
    def get(self, request: Request, budget_id: int) -> Response:
        revisions = find(key_of(request), budget_id).revisions.order_by("-revision")
        return Response({"data": [_revision_as_json(one) for one in revisions]})


def _changed(key: ApiKey, data: Any, now: datetime) -> Budget:
    """A budget as it would be with these terms; not saved. Refuses what saving refuses."""
    wanted = PreviewInput(data=data, partial=True)
    wanted.is_valid(raise_exception=True)
    asked = dict(wanted.validated_data)
    budget = find(key, int(asked.pop("budget")))
    before = Terms.of(budget)
    _checked(lambda: Terms.of(budget, **_said(asked))).put_on(budget)
    _checked(lambda: budgets.check_changed(budget, before=before, now=now))
    return budget


def _planned(key: ApiKey, data: Any, now: datetime) -> Budget:
    """A budget as it would be made; not saved. Refuses what making it refuses."""
    wanted = BudgetInput(data=data)
    wanted.is_valid(raise_exception=True)
    asked = wanted.validated_data
    scope = scopes.scope_of(key, asked.get("team"), asked.get("project"))
    limits, custom = _limits(asked), asked.get("custom") or {}
    budget = Budget(
        organization=key.organization,
        team=scope.team,
        project=scope.project,
        model_ids=list(limits.model_ids),
        processing=list(limits.processing),
        tag_key=limits.tag_key,
        tag_values=list(limits.tag_values),
        period=asked["period"],
        week_starts_on=asked["week_starts_on"],
        fiscal_starts_in=asked["fiscal_starts_in"],
        custom_first=custom.get("first"),
        custom_until=custom.get("until"),
    )
    _checked(lambda: Terms(**_said(asked))).put_on(budget)
    _checked(lambda: budgets.check_new(budget, now=now))
    return budget


def _checked(make: Callable[[], T]) -> T:
    try:
        return make()
    except ValidationError as error:
        raise Refused(400, "invalid", " ".join(error.messages)) from error


def find(key: ApiKey, budget_id: int) -> Budget:
    """Raises Refused (404) for a budget that the key does not cover."""
    covered = Budget.objects.filter(pk__in=scopes.budgets_of(key))
    budget = covered.with_scope().filter(pk=budget_id).first()
    if budget is None:
        raise Refused(404, "not_found", f"This API key covers no budget {budget_id}.")
    return budget


def _revision_as_json(revision: BudgetRevision) -> dict[str, Any]:
    return {
        "revision": revision.revision,
        "amount": money.plain(revision.amount),
        "raised_to": money_or_none(revision.raised_to),
        "raised_until": revision.raised_until,
        "hard": revision.hard,
        "thresholds": revision.thresholds,
        "forecast_alert": revision.forecast_alert,
        "expires_on": revision.expires_on,
        "exempt_free": revision.exempt_free,
        "changed_by": revision.changed_by,
        "changed_at": revision.changed_at,
        "reason": revision.reason,
    }


def money_or_none(value: Decimal | None) -> str | None:
    return None if value is None else money.plain(value)


def _said(asked: dict[str, Any]) -> dict[str, Any]:
    """The terms that are said, by name."""
    said = {name: value for name, value in asked.items() if name in _TERMS}
    if "thresholds" in said:
        said["thresholds"] = tuple(said["thresholds"])
    return said


def _limits(asked: dict[str, Any]) -> Limits:
    """Of a model its name is said, whichever provider serves it."""
    models = dict(
        LanguageModel.objects.filter(name__in=asked["models"]).values_list("pk", "name")
    )
    missing = set(asked["models"]) - set(models.values())
    if missing:
        raise Refused(400, "unknown_model", f"No model is named {min(missing)!r}.")
    tag = asked.get("tag") or {"key": "", "values": ()}
    return Limits(
        model_ids=tuple(models),
        processing=tuple(asked["processing"]),
        tag_key=tag["key"],
        tag_values=tuple(tag["values"]),
    )


def _shown(key: ApiKey, listed: list[Budget]) -> list[dict[str, Any]]:
    team_ids = set(key.teams().values_list("pk", flat=True))
    now = timezone.now()
    with isolation.visible_teams(team_ids):
        statuses = reports.statuses(listed, now=now)
        forecast = forecasts.of_budgets(statuses, now=now)
    return [
        as_json(
            one,
            partial=not one.budget.covered_team_ids <= team_ids,
            forecast=forecast.get(one.budget.pk),
        )
        for one in statuses
    ]


def as_json(
    status: BudgetStatus, *, partial: bool, forecast: BudgetForecast | None
) -> dict[str, Any]:
    """`partial`: spend of teams that the key does not cover counts too."""
    budget, percent = status.budget, status.percent
    return {
        "id": str(budget.pk),
        "team": budget.team.slug if budget.team else None,
        "project": budget.project.slug if budget.project else None,
        "models": budget.model_names,
        "processing": budget.processing,
        "tag": {"key": budget.tag_key, "values": budget.tag_values}
        if budget.tag_key
        else None,
        "scope": budget.scope,
        "state": status.state,
        "period": budget.period,
        "week_starts_on": budget.week_starts_on,
        "fiscal_starts_in": budget.fiscal_starts_in,
        "custom": None
        if budget.custom_first is None
        else {"first": budget.custom_first, "until": budget.custom_until},
        "period_start": status.period.first,
        "period_end": status.period.until,
        "amount": money.plain(budget.amount),
        "cap": money.plain(status.cap),
        "raised_until": budget.raised_until if status.is_raised else None,
        "hard": budget.hard,
        "thresholds": budget.thresholds,
        "forecast_alert": budget.forecast_alert,
        "expires_on": budget.expires_on,
        "exempt_free": budget.exempt_free,
        "revision": budget.revision,
        "spent": money.plain(status.spent),
        "remaining": money.plain(status.remaining),
        "percent": None
        if percent is None
        else money.plain(percent.quantize(Decimal("0.01"), ROUND_DOWN)),
        "partial": partial,
        "firing": status.firing,
        "unpriced": exposure.as_json(status.exposure),
        "forecast": forecast and forecasts.as_json(forecast),
        "currency": budget.organization.currency,
        "archived_at": budget.archived_at,
    }
