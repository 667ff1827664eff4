"""Models and prices: what a million tokens cost at a moment, and each model over time."""

from collections.abc import Sequence
from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from billing.actions import rate_cards
from billing.models import LanguageModel
from billing.reports import prices
from billing.reports.prices import Provider
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, page


@page
def published_prices(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    now = timezone.now()
    asked = request.GET.get("at", "")
    at, problem = _moment(asked, now)
    providers = prices.providers(organization=visitor.organization)
    provider = _provider(request.GET.get("provider", ""), providers)
    families = prices.prices(
        organization=visitor.organization, at=at, provider=provider.key
    )
    return render(
        request,
        "billing/prices.html",
        {
            "visitor": visitor,
            "providers": providers,
            "provider": provider,
            "families": families,
            "currency": visitor.organization.currency,
            "section": "prices",
            "now": now,
            "at": at,
            "asked": "" if problem else asked,
            "problem": problem,
            "zone": ReportingDays(visitor.organization).zone(now).key,
        },
    )


def _provider(asked: str, providers: Sequence[Provider]) -> Provider:
    """The one asked for, or the first; one without a model where there are no prices."""
    first = providers[0] if providers else Provider("", "")
    return next((one for one in providers if one.key == asked), first)


def _moment(asked: str, now: datetime) -> tuple[datetime, str]:
    """The moment asked for; what cannot be read falls back to now and says so."""
    if not asked:
        return now, ""
    try:
        return prices.moment(asked), ""
    except ValueError:
        return now, "The date could not be read: these are the prices of now."


@page
def model_prices(
    request: HttpRequest, visitor: Visitor, provider: str, name: str
) -> HttpResponse:
    now = timezone.now()
    model = get_object_or_404(LanguageModel, provider=provider, name=name)
    cards = rate_cards.seen_by(visitor.user)
    of_list_or_theirs = cards.filter(organization=None) | cards.filter(
        organization=visitor.organization
    )
    lines = prices.timeline(model=model, cards=of_list_or_theirs, now=now)
    if not lines:
        raise Http404
    return render(
        request,
        "billing/model_prices.html",
        {
            "visitor": visitor,
            "model": model,
            "lines": lines,
            "currency": visitor.organization.currency,
            "section": "prices",
            "now": now,
            "zone": ReportingDays(visitor.organization).zone(now).key,
        },
    )
