"""`GET /reports/variance`: why spend was not what was planned, as JSON or CSV."""

import csv
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.api import scopes
from billing.api import variance_schemas as schemas
from billing.models import Estimate
from billing.pricing import money
from billing.pricing.budget_periods import Period
from billing.pricing.variance import Effect
from billing.reports import exposure, variance
from billing.reports.drivers import Driver
from billing.reports.variance import (
    ClassRow,
    Compared,
    DayRow,
    ModelRow,
    ProjectRow,
    VarianceReport,
)
from teams import isolation
from teams.api.authentication import key_of
from teams.models.api_keys import Scope
from teams.reporting_days import ReportingDays

GROUPS = ("model", "project", "class", "day")
FORMATS = ("json", "csv")

_ONE_DAY = timedelta(days=1)
# The years that a record may lie in.
_FIRST, _LAST = date(2000, 1, 1), date(2200, 1, 1)
_LONGEST = timedelta(days=366)


class VarianceQuery(serializers.Serializer[Any]):
    """Days are those of the reporting zone; `to` is the first day not in the report."""

    team = serializers.SlugField(required=False)
    project = serializers.SlugField(required=False)
    to = serializers.DateField(required=False)
    group = serializers.ChoiceField(GROUPS, default="model")
    format = serializers.ChoiceField(FORMATS, default="json")

    def get_fields(self) -> dict[str, Any]:
        # `from` is no name that a class body can hold.
        return {**super().get_fields(), "from": serializers.DateField(required=False)}


class VarianceView(APIView):
    scopes = {"GET": Scope.REPORTS_READ}

    @schemas.get_variance
    def get(self, request: Request) -> HttpResponseBase:
        key = key_of(request)
        now = timezone.now()
        days = ReportingDays(key.organization)
        query = VarianceQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        team, project = scopes.spender_of(key, asked.get("team"), asked.get("project"), now)
        its = _period(asked.get("from"), asked.get("to"), days.day(now))
        with isolation.visible_teams([team.pk]):
            report = variance.variance(
                team=team, project=project, since=its.first, until=its.until
            )
        group = asked["group"]
        if asked["format"] == "csv":
            return _csv(report, group)
        return Response(
            {
                **_as_json(report, days.day(now)),
                "group": group,
                "rows": [_ROWS[group](row) for row in _rows(report, group)],
                "currency": key.organization.currency,
                "time_zone": days.zone(now).key,
                "as_of": now,
            }
        )


def _period(since: date | None, until: date | None, today: date) -> Period:
    """The days asked for; without an end whole days alone, from the month's first on."""
    if not all(_FIRST <= day <= _LAST for day in (since, until) if day is not None):
        raise serializers.ValidationError({"from": "A range is from 2000 to 2199."})
    if until is None:
        until = today if since is None else max(today, since + _ONE_DAY)
    since = since or (until - _ONE_DAY).replace(day=1)
    if until <= since:
        raise serializers.ValidationError({"to": "This day must come after `from`."})
    if until - since > _LONGEST:
        raise serializers.ValidationError({"to": "A range is 366 days at most."})
    return Period(since, until)


# --- JSON -----------------------------------------------------------------------------


def _as_json(report: VarianceReport, today: date) -> dict[str, Any]:
    return {
        "team": report.team.slug,
        "project": report.project.slug if report.project else None,
        "from": report.asked.first,
        "to": report.asked.until,
        "estimates": [_estimate(one) for one in report.plan.estimates],
        "planned_days": [_span(one) for one in report.plan.covered],
        "unplanned_days": [_span(one) for one in report.plan.uncovered],
        "days_to_come": report.days_to_come(today),
        "spent": money.plain(report.spent),
        "spent_without_plan": money.plain(report.outside),
        "total": _compared(report.total) if report.total else None,
        "drivers": [_driver(one) for one in report.drivers],
        "unpriced": exposure.as_json(report.exposure),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "id": str(estimate.pk),
        "project": estimate.project.slug if estimate.project else None,
        "month": f"{estimate.month:%Y-%m}",
        "months": estimate.months,
        "plan": estimate.plan,
        "approved_at": estimate.approved_at,
    }


def _span(its: Period) -> dict[str, date]:
    return {"from": its.first, "to": its.until}


def _compared(its: Compared) -> dict[str, Any]:
    effects = _effects(its)
    return {
        "planned_requests": its.planned_requests,
        "requests": its.requests,
        **_sides(its),
        "effects": {name: money.plain(amount) for name, amount in effects.items()},
        "effects_percent": {
            name: _percent(its.percent_of_plan(amount)) for name, amount in effects.items()
        },
        "size": {
            "input": money.plain(its.effects[Effect.INPUT_SIZE]),
            "output": money.plain(its.effects[Effect.OUTPUT_SIZE]),
            "tools": money.plain(its.effects[Effect.TOOL_SIZE]),
        },
    }


def _effects(its: Compared) -> dict[str, Decimal]:
    """With one effect of size, so that they add up as they stand."""
    found = its.effects
    return {
        "volume": found[Effect.VOLUME],
        "mix": found[Effect.MIX],
        "size": its.size,
        "caching": found[Effect.CACHING],
        "processing": found[Effect.PROCESSING],
        "price": found[Effect.PRICE],
    }


def _sides(its: Compared | ClassRow | DayRow) -> dict[str, str | None]:
    return {
        "planned": money.plain(its.planned),
        "actual": money.plain(its.actual),
        "difference": money.plain(its.difference),
        "difference_percent": _percent(its.percent),
    }


def _percent(value: Decimal | None) -> str | None:
    return None if value is None else money.plain(round(value, 2))


def _driver(its: Driver) -> dict[str, Any]:
    return {
        "effect": its.effect,
        "amount": money.plain(its.amount),
        "percent": _percent(its.percent),
        "sentence": its.sentence,
    }


def _model(row: ModelRow) -> dict[str, Any]:
    its = {"model": row.model.name, "family": row.model.family}
    return its | _compared(row.compared)


def _project(row: ProjectRow) -> dict[str, Any]:
    return {
        "project": row.project.slug,
        "spent": money.plain(row.actual),
        "spent_requests": row.requests,
        "variance": _compared(row.compared) if row.compared else None,
    }


def _class(row: ClassRow) -> dict[str, Any]:
    return {
        "class": row.token_class,
        "planned_quantity": row.planned_quantity,
        "quantity": row.quantity,
        **_sides(row),
    }


def _day(row: DayRow) -> dict[str, Any]:
    return {
        "day": row.day,
        **_sides(row),
        "planned_total": money.plain(row.planned_total),
        "actual_total": money.plain(row.actual_total),
    }


_ROWS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "model": _model,
    "project": _project,
    "class": _class,
    "day": _day,
}


def _rows(report: VarianceReport, group: str) -> Iterable[Any]:
    listed: dict[str, Iterable[Any]] = {
        "model": report.models,
        "project": report.projects,
        "class": report.classes,
        "day": report.days,
    }
    return listed[group]


# --- CSV ------------------------------------------------------------------------------


def _csv(report: VarianceReport, group: str) -> HttpResponse:
    """The rows of the answer, flat; without rows the heading alone."""
    written = StringIO()
    writer = csv.DictWriter(written, _COLUMNS[group], restval="", lineterminator="\r\n")
    writer.writeheader()
    for row in _rows(report, group):
        flat = _flat(_ROWS[group](row))
        writer.writerow(flat | {name: _said(flat[name]) for name in _NAMES & flat.keys()})
    name = f"variance-{report.team.slug}-{report.asked.first}-{report.asked.until}.csv"
    return HttpResponse(
        written.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


# What people named, and a spreadsheet might take for a formula.
_NAMES = {"model", "family", "project"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _said(name: str) -> str:
    return f"'{name}" if name.startswith(_FORMULA) else name


_SIDE_COLUMNS = ("planned", "actual", "difference", "difference_percent")
_EFFECT_COLUMNS = (
    "planned_requests",
    "requests",
    *_SIDE_COLUMNS,
    *("volume", "mix", "size", "size_input", "size_output", "size_tools"),
    *("caching", "processing", "price"),
)
_COLUMNS = {
    "model": ("model", "family", *_EFFECT_COLUMNS),
    "project": ("project", "spent", "spent_requests", *_EFFECT_COLUMNS),
    "class": ("class", "planned_quantity", "quantity", *_SIDE_COLUMNS),
    "day": ("day", *_SIDE_COLUMNS, "planned_total", "actual_total"),
}


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """One level of names; of a project without a plan there is no more than its spend."""
    compared = row.pop("variance", None) or {}
    flat: dict[str, Any] = row | compared
    sizes, effects = flat.pop("size", {}), flat.pop("effects", {})
    flat.pop("effects_percent", None)
    flat |= {f"size_{name}": part for name, part in sizes.items()}
    return flat | dict(effects)
