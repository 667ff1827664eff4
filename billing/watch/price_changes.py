"""Publications that change what an organization pays by a twentieth or more.

Its last 30 days are priced with and without them. Told for a day, from the publication on,
or from a week before it takes force.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Max, Q

from billing.actions.alerts import Occasion
from billing.models import Publication
from billing.pricing import money
from billing.reports import impact
from billing.reports.impact import Change
from teams.models import Organization

_AHEAD = timedelta(days=7)
_TOLD = timedelta(days=1)
_SHARE = Decimal("0.05")
_LEAST = Decimal(5)


def holding(organization: Organization, now: datetime) -> list[Occasion]:
    published = Publication.objects.filter(state=Publication.State.PUBLISHED)
    of_its_cards = Q(card__organization=None) | Q(card__organization=organization)
    lately = published.filter(of_its_cards).annotate(starts=Max("rates__effective_from"))
    in_force = Q(published_at__gte=now - _TOLD) | Q(starts__gte=now - _TOLD)
    found = [
        _occasion(publication, organization, now)
        for publication in lately.filter(in_force, starts__lte=now + _AHEAD).select_related(
            "card"
        )
    ]
    return [one for one in found if one is not None]


def _occasion(
    publication: Publication, organization: Organization, now: datetime
) -> Occasion | None:
    change = impact.change(publication, organization=organization, now=now)
    if not _is_large(change):
        return None
    return Occasion(
        subject=f"publication {publication.pk}",
        details={
            "publication": str(publication.pk),
            "card": publication.card.name,
            "before": money.plain(change.before),
            "after": money.plain(change.after),
            "starts_at": change.starts_at.isoformat(),
            "ahead": change.starts_at > now,
            "currency": organization.currency,
        },
    )


def _is_large(change: Change) -> bool:
    moved = abs(change.difference)
    return bool(change.before) and moved >= max(_SHARE * change.before, _LEAST)
