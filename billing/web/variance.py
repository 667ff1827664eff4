"""The page of why a team spent more or less than planned."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from billing.charts.look import Spec
from billing.charts.waterfall import Bar, waterfall
from billing.pricing import figures
from billing.pricing.budget_periods import Period, calendar_month
from billing.pricing.variance import Effect
from billing.reports import accuracy, completeness, plans, variance
from billing.reports.variance import Compared, VarianceReport
from billing.web import links, ranges
from billing.web.ranges import Range
from teams.models import Project, Team
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, page

_ONE_DAY = timedelta(days=1)

# What each step is called, and the question it answers.
_STEPS = {
    Effect.VOLUME: ("Volume", "more or fewer requests"),
    Effect.MIX: ("Mix", "requests to other models"),
    Effect.INPUT_SIZE: ("Size: input", "longer or shorter prompts"),
    Effect.OUTPUT_SIZE: ("Size: output", "longer or shorter answers"),
    Effect.TOOL_SIZE: ("Size: tools", "more or fewer searches and sessions"),
    Effect.CACHING: ("Caching", "the same input, cached otherwise"),
    Effect.PROCESSING: ("Processing", "in batches, fast, or elsewhere"),
    Effect.PRICE: ("Price", "the same at another price"),
}


class Step(NamedTuple):
    """A row beside the chart: what one step adds, and where that leads."""

    name: str
    hint: str
    amount: Decimal
    percent: Decimal | None
    total: Decimal


@page
def team_variance(request: HttpRequest, visitor: Visitor, slug: str) -> HttpResponse:
    """Whole days, until yesterday, unless it is asked for others."""
    now = timezone.now()
    team = visitor.team(slug)
    days = ReportingDays(team.organization)
    today = days.day(now)
    shown = _range(request, today)
    report = variance.variance(
        team=team,
        project=_project(team, request.GET.get("project", "")),
        since=shown.since,
        until=shown.until,
    )
    currency = visitor.organization.currency
    freshness = completeness.freshness(
        team_ids=[team.pk], now=now, time_zone=days.zone(now).key
    )
    return render(
        request,
        "billing/variance.html",
        {
            "visitor": visitor,
            "page": report,
            "currency": currency,
            "freshness": freshness,
            "zone": freshness.time_zone,
            **_of_range(request, shown),
            "during": _during(report),
            **_of_total(report.total, currency),
            "days_to_come": report.days_to_come(today),
            "accuracy": accuracy.accuracy(team=team, project=report.project, now=now),
            "team_is_planned": report.project is not None
            and not report.plan
            and plans.plan(team=team, asked=report.asked).is_of_team,
            "may_estimate": visitor.may(Permission.EDIT_ESTIMATES, team),
        },
    )


def _range(request: HttpRequest, today: date) -> Range:
    yesterday = today - _ONE_DAY
    this = Period(yesterday.replace(day=1), today)
    before = calendar_month(this.first - _ONE_DAY)
    return ranges.chosen(request.GET, today=yesterday, this=this, before=before)


def _project(team: Team, slug: str) -> Project | None:
    """What cannot be found narrows nothing: the page shows which filter holds."""
    owned = Project.objects.filter(ownerships__team=team).distinct()
    return next((one for one in owned if one.slug == slug), None)


def _of_range(request: HttpRequest, shown: Range) -> dict[str, Any]:
    its = Period(shown.since, shown.until)
    return {
        "range": shown,
        "presets": links.presets(request.GET, shown),
        "kept": links.kept(request.GET),
        "span": figures.span(its),
    }


def _during(report: VarianceReport) -> str:
    """The days that the figures are about: of those asked for the planned ones."""
    stretches = report.plan.covered or [report.asked]
    return figures.from_to(stretches[0]) if len(stretches) == 1 else "on planned days"


def _of_total(total: Compared | None, currency: str) -> dict[str, Any]:
    if total is None:
        return {}
    steps = _steps(total)
    return {"steps": steps, "waterfall": _waterfall(total, steps, currency)}


def _steps(total: Compared) -> list[Step]:
    reached, steps = total.planned, []
    for effect, amount in total.effects.items():
        reached += amount
        percent = total.percent_of_plan(amount)
        steps.append(Step(*_STEPS[effect], amount, percent, reached))
    return steps


def _waterfall(total: Compared, steps: list[Step], currency: str) -> Spec:
    def bar(name: str, amount: Decimal) -> Bar:
        words = figures.with_currency(amount, currency)
        return Bar(name, Decimal(), amount, words, change=False)

    changes = [
        Bar(step.name, step.total - step.amount, step.total, _signed(step.amount, currency))
        for step in steps
        if step.amount
    ]
    return waterfall([bar("Planned", total.planned), *changes, bar("Actual", total.actual)])


def _signed(amount: Decimal, currency: str) -> str:
    sign = "+" if amount > 0 else ""
    return sign + figures.with_currency(amount, currency)
