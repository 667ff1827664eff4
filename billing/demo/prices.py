"""A price that changes in the middle of a month, within the demo's days.

The list card has one now and then (Claude Sonnet 5.5's cache reads fell on 2026-10-07).
Where it has none in these days, the organization has negotiated one.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.db import transaction

from billing.actions import rate_cards
from billing.demo import stories
from billing.demo.plan import Plan
from billing.models import Publication, Rate, RateCard
from billing.models.rates import PRICE_FIELDS
from billing.pricing.token_classes import TOOLS
from teams.models import Organization

_BY = "demo"
_CARD = "Acme contract"
_MODEL = stories.SONNET
_FACTOR = Decimal("0.8")
_MID_MONTH = 15
# A change is seen when there are some days on both sides of it.
_MARGIN = timedelta(days=5)
_NOTICE = timedelta(days=7)
_STANDARD = {"processing": "standard", "speed": "standard", "geo": "global"}


@transaction.atomic
def ensure_change(organization: Organization, plan: Plan) -> None:
    """Publish a contract if no list price of the demo's main model changes."""
    since, until = plan.days[0].start + _MARGIN, plan.wanted.now - _MARGIN
    listed = _list_rates()
    changes = [rate for rate in listed if since < rate.effective_from < until]
    if changes or since >= until or organization.rate_cards.exists():
        return
    start = _start(since, until)
    in_force = [rate for rate in listed if rate.effective_from <= start]
    card = RateCard.objects.create(
        kind=RateCard.Kind.CONTRACT,
        name=_CARD,
        provider=stories.PROVIDER,
        organization=organization,
    )
    publication = Publication.objects.create(
        card=card,
        note=f"Negotiated: {_MODEL} at a fifth under its list price from {start:%Y-%m-%d}.",
        created_by=_BY,
        created_at=start - _NOTICE,
    )
    _negotiated(publication, in_force[-1], start).save()
    rate_cards.publish(publication=publication, by=_BY, now=start - _NOTICE)


def _list_rates() -> list[Rate]:
    """Of the main model as it is called most of the time, in the order of their start."""
    rates = Rate.objects.published().filter(
        publication__card__kind=RateCard.Kind.LIST,
        publication__card__provider=stories.PROVIDER,
        model__name=_MODEL,
        context_tier=0,
        **_STANDARD,
    )
    return sorted(rates, key=lambda rate: rate.effective_from)


def _start(since: datetime, until: datetime) -> datetime:
    """The latest middle of a month in between; in a short demo its own middle."""
    day = until.astimezone(UTC).date()
    while day > since.astimezone(UTC).date():
        if day.day == _MID_MONTH:
            return _midnight(day)
        day -= timedelta(days=1)
    return _midnight((since + (until - since) / 2).date())


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _negotiated(publication: Publication, listed: Rate, start: datetime) -> Rate:
    prices = {
        name: price if name in TOOLS else price * _FACTOR
        for name in PRICE_FIELDS
        if (price := getattr(listed, name)) is not None
    }
    return Rate(
        publication=publication,
        model=listed.model,
        endpoint=listed.endpoint,
        effective_from=start,
        source="The demo's contract with the provider",
        observed_on=(start - _NOTICE).date(),
        **_STANDARD,
        **prices,
    )
