"""`GET /reports/cache-economics`, `/reports/outputs`, `/reports/batch-candidates`: where a
team could spend less, from the same functions as the page.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.api import saving_schemas as schemas
from billing.api import scopes
from billing.pricing import batch_hours, money
from billing.pricing.cache_economics import BreakEven
from billing.reports import batch_candidates, cache_economics, outputs
from billing.reports.batch_candidates import Candidate
from billing.reports.cache_economics import ModelCaching, ProjectCaching, Rebuilds
from billing.reports.caching import CacheSaving
from billing.reports.outputs import LongOutput, OutputShare
from teams import isolation
from teams.api.authentication import key_of
from teams.models import Team
from teams.models.api_keys import Scope
from teams.reporting_days import ReportingDays

# The years that a record may lie in, and the longest range.
_FIRST, _LAST = date(2000, 1, 1), date(2200, 1, 1)
_LONGEST = timedelta(days=366)
_PLACES = Decimal("0.0001")


class RangeQuery(serializers.Serializer[Any]):
    """Days are those of the reporting zone; `to` is the first day not in the report."""

    team = serializers.SlugField(required=False)
    to = serializers.DateField(required=False)

    def get_fields(self) -> dict[str, Any]:
        # `from` is no name that a class body can hold.
        return {**super().get_fields(), "from": serializers.DateField(required=False)}


class Asked(NamedTuple):
    """A team, days [since, until) of it, and the moment of the question."""

    team: Team
    since: date
    until: date
    now: datetime


def asked_of(request: Request) -> Asked:
    """What a report is asked for: of the running month unless days are said.

    Raises ValidationError for days that make no range, Refused (400, 404) for a team.
    """
    key, now = key_of(request), timezone.now()
    query = RangeQuery(data=request.query_params)
    query.is_valid(raise_exception=True)
    asked = query.validated_data
    team = scopes.team_of(key, asked.get("team"))
    month = ReportingDays(key.organization).month(now)
    since = asked.get("from", month[0])
    until = asked.get("to", max(month[1], since))
    if until <= since:
        raise serializers.ValidationError({"to": "This day must come after `from`."})
    if not _FIRST <= since < until <= _LAST:
        raise serializers.ValidationError({"from": "A range is from 2000 to 2199."})
    if until - since > _LONGEST:
        raise serializers.ValidationError({"to": "A range is 366 days at most."})
    return Asked(team, since, until, now)


def answered(asked: Asked, records_from: date, **said: Any) -> Response:
    """What each of these reports says besides its rows."""
    return Response(
        {
            "team": asked.team.slug,
            "from": asked.since,
            "to": asked.until,
            "records_from": records_from,
            **said,
            "currency": asked.team.organization.currency,
            "as_of": asked.now,
        }
    )


class CacheEconomicsView(APIView):
    scopes = {"GET": Scope.REPORTS_READ}

    @schemas.get_cache_economics
    def get(self, request: Request) -> Response:
        asked = asked_of(request)
        with isolation.visible_teams([asked.team.pk]):
            report = cache_economics.of(**asked._asdict())
        return answered(
            asked,
            report.records_from,
            rows=[_project(row) for row in report.rows],
            total=_saving(report.total),
        )


class OutputsView(APIView):
    scopes = {"GET": Scope.REPORTS_READ}

    @schemas.get_outputs
    def get(self, request: Request) -> Response:
        asked = asked_of(request)
        with isolation.visible_teams([asked.team.pk]):
            report = outputs.of(**asked._asdict())
        return answered(
            asked,
            report.records_from,
            rows=[_share(row) for row in report.rows],
            longest=[_long(one) for one in report.longest],
        )


class BatchCandidatesView(APIView):
    scopes = {"GET": Scope.REPORTS_READ}

    @schemas.get_batch_candidates
    def get(self, request: Request) -> Response:
        asked = asked_of(request)
        with isolation.visible_teams([asked.team.pk]):
            report = batch_candidates.of(**asked._asdict())
        return answered(
            asked,
            report.records_from,
            rows=[_candidate(row) for row in report.rows],
            left_off=report.left_off,
        )


# --- As JSON ------------------------------------------------------------------------


def _saving(its: CacheSaving) -> dict[str, Any]:
    hit = its.hit_percent
    return {
        "input": its.input,
        "read": its.read,
        "written_5m": its.written_5m,
        "written_1h": its.written_1h,
        "hit_percent": None if hit is None else money.plain(round(hit, 2)),
        "read_saving": money.plain(its.read_saving),
        "premium_5m": money.plain(its.premium_5m),
        "premium_1h": money.plain(its.premium_1h),
        "net": money.plain(its.net),
        "unknown_tokens": its.unknown_tokens,
    }


def _project(row: ProjectCaching) -> dict[str, Any]:
    return {
        "project": row.project.slug,
        **_saving(row.saving),
        "reads_per_write": _ratio(row.reads_per_write),
        "models": [_model(one) for one in row.models],
    }


def _model(row: ModelCaching) -> dict[str, Any]:
    other = row.other_lifetime
    return {
        "model": row.model.name,
        "provider": row.model.provider,
        "requests": row.requests,
        **_saving(row.saving),
        "reads_per_write": _ratio(row.reads_per_write),
        "break_even": {
            lifetime: _break_even(its) for lifetime, its in row.break_even.items()
        },
        "prompt": row.prompt,
        "minimum_prefix": row.minimum,
        "too_short": row.too_short,
        "rebuilds": _rebuilds(row.rebuilds),
        "other_lifetime": None
        if other is None
        else {"lifetime": other[0], "saving": money.plain(other[1])},
        "advice": row.advice,
    }


def _break_even(its: BreakEven) -> dict[str, Any]:
    return {
        "reads": _ratio(its.reads),
        "exact": f"{its.reads.numerator}/{its.reads.denominator}",
        "request": its.request,
    }


def _rebuilds(its: Rebuilds | None) -> dict[str, Any] | None:
    if its is None:
        return None
    return {"writes": its.writes, "tokens": its.tokens, "cost": money.plain(its.cost)}


def _ratio(value: Fraction | None) -> str | None:
    """With four places."""
    if value is None:
        return None
    tens = round(value * 10_000)
    return money.plain((Decimal(tens) * _PLACES).normalize())


def _share(row: OutputShare) -> dict[str, Any]:
    return {
        "project": row.project.slug,
        "model": row.model.name,
        "provider": row.model.provider,
        "requests": row.requests,
        "cost": money.plain(row.cost),
        "output_cost": money.plain(row.output_cost),
        "output_percent": money.plain(round(row.percent, 2)),
        "mean_output": row.mean,
        "bound": row.bound,
        "long_outputs": row.long_outputs,
        "beyond": None if row.beyond is None else money.plain(round(row.beyond, 15)),
    }


def _long(one: LongOutput) -> dict[str, Any]:
    return {
        "project": one.project.slug,
        "model": one.model.name,
        "id": one.record_id,
        "month": f"{one.month:%Y-%m}",
        "occurred_at": one.occurred_at,
        "output": one.output,
        "bound": one.bound,
        "cost": None if one.cost is None else money.plain(one.cost),
    }


def _candidate(row: Candidate) -> dict[str, Any]:
    hours = row.hours
    return {
        "reason": row.reason,
        "why": row.why,
        "project": row.project.slug,
        "model": row.model.name,
        "provider": row.model.provider,
        "tag": row.tag or None,
        "hours": None if hours is None else hours.hours,
        "clock": None if hours is None else batch_hours.clock(hours.hours),
        "days": None if hours is None else hours.days,
        "requests": row.requests,
        "spent": money.plain(row.spent),
        "saving": money.plain(row.saving),
    }
