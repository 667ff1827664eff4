"""`GET /reports/…`: the numbers that pages show, from the same functions."""

from datetime import date
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.api import budget_schemas, schemas, scopes
from billing.api.estimates import MonthField
from billing.models import months
from billing.pricing import money
from billing.reports import budget_flags, estimates, exposure, spend
from billing.reports.budget_flags import Flag
from billing.reports.estimates import EstimateReport, ModelRow
from billing.reports.spend import DIMENSIONS, SpendReport, Sums
from teams import isolation
from teams.api.authentication import key_of
from teams.models.api_keys import Scope
from teams.reporting_days import ReportingDays


class SpendQuery(serializers.Serializer[Any]):
    """Days are those of the reporting zone; `to` is the first day not in the report."""

    group_by = serializers.CharField(default="team", help_text=", ".join(DIMENSIONS))
    to = serializers.DateField(required=False)

    def get_fields(self) -> dict[str, Any]:
        # `from` is no name that a class body can hold.
        return {**super().get_fields(), "from": serializers.DateField(required=False)}

    def validate_group_by(self, value: str) -> tuple[str, ...]:
        names = tuple(value.split(","))
        unknown = [name for name in names if name not in DIMENSIONS]
        if unknown or len(set(names)) < len(names):
            raise serializers.ValidationError(
                f"Name each of {', '.join(DIMENSIONS)} once at most, joined by commas.",
                code="unknown_dimension",
            )
        return names


class SpendView(APIView):
    scopes = {"GET": Scope.REPORTS_READ}

    @schemas.get_spend
    def get(self, request: Request) -> Response:
        key = key_of(request)
        now = timezone.now()
        days = ReportingDays(key.organization)
        query = SpendQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        since, until = _period(query.validated_data, days.month(now))
        team_ids = list(key.teams().values_list("pk", flat=True))
        with isolation.visible_teams(team_ids):
            report = spend.spend(
                team_ids=team_ids,
                project_ids=[key.project_id] if key.project_id else None,
                since=since,
                until=until,
                group_by=query.validated_data["group_by"],
            )
        return Response(
            {
                **_as_json(report),
                "open_months": months.open_months(days, now)._asdict(),
                "currency": key.organization.currency,
                "time_zone": days.zone(now).key,
                "as_of": now,
            }
        )


class MonthQuery(serializers.Serializer[Any]):
    team = serializers.SlugField(required=False)
    month = MonthField(required=False)


class EstimateVsActualView(APIView):
    scopes = {"GET": Scope.REPORTS_READ}

    @budget_schemas.get_estimate_vs_actual
    def get(self, request: Request) -> Response:
        key = key_of(request)
        now = timezone.now()
        query = MonthQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        team = scopes.team_of(key, query.validated_data.get("team"))
        asked = query.validated_data.get("month")
        month = asked or ReportingDays(key.organization).month(now)[0]
        with isolation.visible_teams([team.pk]):
            report = estimates.estimate_vs_actual(team=team, month=month)
        return Response(
            {**_compared(report), "currency": key.organization.currency, "as_of": now}
        )


class BudgetFlagsView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ}

    @budget_schemas.get_budget_flags
    def get(self, request: Request) -> Response:
        key = key_of(request)
        now = timezone.now()
        team_ids = list(key.teams().values_list("pk", flat=True))
        with isolation.visible_teams(team_ids):
            found = budget_flags.flags(
                organization=key.organization,
                team_ids=team_ids,
                project_ids=[key.project_id] if key.project_id else None,
                whole=key.team_id is None and key.project_id is None,
                now=now,
            )
        return Response(
            {
                "data": [_flagged(flag) for flag in found],
                "currency": key.organization.currency,
                "as_of": now,
            }
        )


def _flagged(flag: Flag) -> dict[str, Any]:
    return {
        "kind": flag.kind,
        "sentence": flag.sentence,
        "amount": None if flag.amount is None else money.plain(flag.amount),
        "budget": str(flag.budget.pk) if flag.budget else None,
        "project": flag.project.slug if flag.project else None,
        "team": flag.team.slug if flag.team else None,
    }


def _compared(report: EstimateReport) -> dict[str, Any]:
    estimate = report.estimate
    return {
        "team": report.team,
        "month": f"{report.month:%Y-%m}",
        "estimate": None
        if estimate is None
        else {"id": str(estimate.pk), "state": estimate.state, "plan": estimate.plan},
        "rows": [
            {"model": row.model, "family": row.family, **_sides(row)} for row in report.rows
        ],
        "total": _sides(report.total),
    }


def _sides(row: ModelRow) -> dict[str, Any]:
    percent = row.variance_percent
    return {
        "planned": {name: money.plain(cost) for name, cost in row.planned.items()},
        "estimate": None if row.estimate is None else money.plain(row.estimate),
        "actual": money.plain(row.actual),
        "variance": None if row.variance is None else money.plain(row.variance),
        "variance_percent": None if percent is None else money.plain(round(percent, 2)),
        "requests": row.requests,
    }


def _period(asked: dict[str, Any], month: tuple[date, date]) -> tuple[date, date]:
    """The days asked for; the month that runs now where an end is not given."""
    since = asked.get("from", month[0])
    until = asked.get("to", max(month[1], since))
    if until <= since:
        raise serializers.ValidationError({"to": "This day must come after `from`."})
    return since, until


def _as_json(report: SpendReport) -> dict[str, Any]:
    return {
        "from": report.since,
        "to": report.until,
        "group_by": report.group_by,
        "rows": [{**row.keys, **_sums(row.sums)} for row in report.rows],
        "total": _sums(report.total),
        "unpriced_records": report.unpriced_records,
        "unpriced": exposure.as_json(report.exposure),
    }


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "requests": sums.requests,
        "quantities": sums.quantities,
        "cost": money.plain(sums.cost),
        "adjustment": money.plain(sums.adjustment),
    }
