"""Models and prices: what a million tokens cost now, by family."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from billing.reports import prices
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, page


@page
def published_prices(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    now = timezone.now()
    families = prices.prices(organization=visitor.organization, now=now)
    return render(
        request,
        "billing/prices.html",
        {
            "visitor": visitor,
            "families": families,
            "models": sum(len(family.models) for family in families),
            "currency": visitor.organization.currency,
            "section": "prices",
            "now": now,
            "zone": ReportingDays(visitor.organization).zone(now).key,
        },
    )
