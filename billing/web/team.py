"""The team budget page: am I over, what is it spent on, is anything firing."""

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone

from billing.charts.look import Spec
from billing.models import Budget, LanguageModel
from billing.pricing import figures
from billing.pricing.budget_periods import Period
from billing.reports import team_page
from billing.reports.budget_view import BudgetView
from billing.reports.team_page import TeamPage
from billing.reports.team_spend import Filters
from billing.web import links, pictures, ranges, sentences
from billing.web.ranges import Range
from teams.models import Project, Team
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, page


@page
def team_budget(request: HttpRequest, visitor: Visitor, slug: str) -> HttpResponse:
    now = timezone.now()
    team = visitor.team(slug)
    today = ReportingDays(team.organization).day(now)
    listed = team_page.budgets_of(team, today=today, now=now)
    budget = _chosen(listed, request.GET)
    this = team_page.period_of(budget, today)
    before = team_page.period_of(budget, this.first.fromordinal(this.first.toordinal() - 1))
    shown = ranges.chosen(request.GET, today=today, this=this, before=before)
    report = team_page.team_page(
        team=team,
        visible_team_ids=[one.pk for one in visitor.teams],
        listed=listed,
        budget=budget,
        since=shown.since,
        until=shown.until,
        filters=_filters(team, request.GET),
        now=now,
    )
    return render(
        request, "billing/team.html", _context(visitor, report, shown, request.GET)
    )


def _chosen(listed: list[Budget], query: QueryDict) -> Budget | None:
    asked = next((one for one in listed if str(one.pk) == query.get("budget")), None)
    return asked or next(iter(listed), None)


def _filters(team: Team, query: QueryDict) -> Filters:
    """What cannot be found narrows nothing: the page shows which filters hold."""
    project, family, model = (query.get(name) for name in ("project", "family", "model"))
    owned = Project.objects.filter(ownerships__team=team, slug=project)
    models = LanguageModel.objects.filter(name=model)
    is_family = family and LanguageModel.objects.filter(family=family).exists()
    return Filters(
        project=owned.first() if project else None,
        family=family if family and is_family else "",
        model=models.first() if model else None,
    )


def _context(
    visitor: Visitor, report: TeamPage, shown: Range, query: QueryDict
) -> dict[str, Any]:
    currency = visitor.organization.currency
    series = pictures.of_families(group.key for group in report.spent.families)
    return {
        "visitor": visitor,
        "page": report,
        "headline": sentences.of_team(report, currency),
        "months": sentences.of_months(report),
        "currency": currency,
        "zone": report.freshness.time_zone,
        "range": shown,
        "presets": links.presets(query, shown),
        "span": figures.span(Period(shown.since, shown.until)),
        "kept": links.kept(query),
        "period_name": sentences.period_name(report.budget.status) if report.budget else "",
        "during": sentences.during(report.budget.status) if report.budget else "",
        "bar": _bar(report.budget) if report.budget else None,
        "burn_up": _burn_up(report, currency),
        "figures": pictures.figures_of(report.budget) if report.budget else [],
        "days": pictures.days_of_families(
            report.spent, series, Period(shown.since, shown.until), currency
        ),
        "series": series,
        "day_rows": [
            (row.day, [row.costs.get(one.key) for one in series], row.total)
            for row in report.spent.days
        ],
        "may_edit_budgets": visitor.may(Permission.EDIT_BUDGETS, report.team),
        "may_request_raises": visitor.may(Permission.REQUEST_RAISES, report.team),
        "raises_waiting": report.budget.requests if report.budget else [],
    }


def _burn_up(report: TeamPage, currency: str) -> Spec | None:
    zone = report.freshness.time_zone
    return pictures.burn_up_of(report.budget, currency, zone) if report.budget else None


def _bar(view: BudgetView) -> pictures.Bar:
    return pictures.bar(view.status, pace=view.elapsed_percent if view.running else None)
