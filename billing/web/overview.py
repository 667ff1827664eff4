"""The organization: its teams by risk, its days, and what is in no total."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from billing.pricing import figures
from billing.pricing.budget_periods import Period
from billing.reports import budget_view, overview, raises, team_page
from billing.reports.budget_flags import Flag, FlagKind
from billing.reports.overview import Overview
from billing.web import links, pictures, ranges, sentences
from billing.web.ranges import Range
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, page


@page
def home(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """The overview; whoever sees one team only is shown that team."""
    if not visitor.sees_organization and len(visitor.teams) == 1:
        return redirect("team", slug=visitor.teams[0].slug)
    now = timezone.now()
    today = ReportingDays(visitor.organization).day(now)
    this = team_page.period_of(None, today)
    before = team_page.period_of(None, this.first.fromordinal(this.first.toordinal() - 1))
    shown = ranges.chosen(request.GET, today=today, this=this, before=before)
    report = overview.overview(
        organization=visitor.organization,
        teams=visitor.teams,
        whole=visitor.sees_organization,
        since=shown.since,
        until=shown.until,
        now=now,
    )
    return render(
        request, "billing/overview.html", _context(visitor, report, shown, request.GET, now)
    )


def _context(
    visitor: Visitor, report: Overview, shown: Range, query: QueryDict, now: datetime
) -> dict[str, Any]:
    currency = visitor.organization.currency
    spenders = sorted(
        (row for row in report.teams if row.sums.requests), key=lambda row: -row.sums.cost
    )
    series = pictures.by_size({row.team.slug: row.team.name for row in spenders})
    return {
        "visitor": visitor,
        "now": now,
        "page": report,
        "headline": sentences.of_overview(report, currency),
        "currency": currency,
        "zone": report.freshness.time_zone,
        "range": shown,
        "presets": links.presets(query, shown),
        "kept": links.kept(query),
        "span": figures.span(Period(shown.since, shown.until)),
        "days": pictures.days_of_teams(report, series, currency),
        "series": series,
        "day_rows": [
            (row.day, [row.costs.get(one.key) for one in series], row.total)
            for row in report.days
        ],
        "section": "overview",
        "running": report.until > report.today,
        "flags": [(flag.sentence, _where(flag, visitor)) for flag in report.flags],
        "raises": raises.waiting(
            raises.requests_of(
                organization=visitor.organization,
                teams=visitor.teams,
                whole=visitor.sees_organization,
                now=now,
            ),
            now=now,
        ),
        "may_edit_budgets": visitor.may(Permission.EDIT_BUDGETS),
        **_of_the_first_budget(report),
    }


def _where(flag: Flag, visitor: Visitor) -> str:
    """The page on which something can be done about it, or seen."""
    may_edit = visitor.may(Permission.EDIT_BUDGETS, flag.team)
    if flag.team is not None:
        return reverse("new-team-budget" if may_edit else "team", args=[flag.team.slug])
    if flag.kind is FlagKind.UNPRICED_EXPOSED:
        return "#not-counted"
    if may_edit and flag.budget is not None:
        return reverse("edit-budget", args=[flag.budget.pk])
    return "#teams"


def _of_the_first_budget(report: Overview) -> dict[str, Any]:
    if not report.budgets:
        return {}
    status, standing = report.budgets[0]
    running = report.today in status.period
    elapsed = budget_view.elapsed_percent(status, report.today) if running else None
    return {
        "budget": status,
        "standing": standing,
        "elapsed": elapsed,
        "bar": pictures.bar(status, pace=elapsed),
    }
