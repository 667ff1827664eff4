"""Where a team could spend less: its prompt caches, its outputs, and what could wait."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.pricing import figures
from billing.pricing.budget_periods import Period, calendar_month
from billing.reports import batch_candidates, cache_economics, completeness, outputs
from billing.reports.caching import CacheSaving
from billing.web import links, ranges
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, page

_ONE_DAY = timedelta(days=1)


@page
def savings(request: HttpRequest, visitor: Visitor, slug: str) -> HttpResponse:
    now = timezone.now()
    team = visitor.team(slug)
    days = ReportingDays(team.organization)
    today = days.day(now)
    month = calendar_month(today)
    shown = ranges.chosen(
        request.GET, today=today, this=month, before=calendar_month(month.first - _ONE_DAY)
    )
    since, until = shown.since, shown.until
    caching = cache_economics.of(team=team, since=since, until=until, now=now)
    currency, zone = visitor.organization.currency, days.zone(now).key
    return render(
        request,
        "billing/savings.html",
        {
            "visitor": visitor,
            "page": {"team": team},
            "team": team,
            "currency": currency,
            "zone": zone,
            "range": shown,
            "presets": links.presets(request.GET, shown),
            "kept": links.kept(request.GET),
            "span": figures.span(Period(shown.since, shown.until)),
            "records_span": figures.span(Period(caching.records_from, shown.until)),
            "headline": _headline(caching.total, currency),
            "caching": caching,
            "outputs": outputs.of(team=team, since=since, until=until, now=now),
            "batches": batch_candidates.of(team=team, since=since, until=until, now=now),
            "freshness": completeness.freshness(
                team_ids=[team.pk], now=now, time_zone=zone
            ),
        },
    )


def _headline(total: CacheSaving, currency: str) -> SafeString:
    if not total.read and not total.written:
        return SafeString("Nothing was read from or written to a prompt cache.")
    amount = figures.with_currency(abs(total.net), currency)
    if total.net < 0:
        return format_html("Prompt caches cost {} more than they saved.", amount)
    return format_html("Prompt caches saved {}.", amount)
