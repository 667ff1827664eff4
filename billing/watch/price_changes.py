"""Publications that change what an organization pays by a twentieth or more.

Its last 30 days are priced with and without them. The rates that take force at one moment
are told for a day from then on, and from a week before.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Q
from django.db.models.functions import Greatest

from billing.actions.alerts import Occasion
from billing.models import Publication, Rate
from billing.pricing import money
from billing.reports import impact
from billing.reports.impact import Change
from teams.models import Organization

_AHEAD = timedelta(days=7)
_TOLD = timedelta(days=1)
_SHARE = Decimal("0.05")
_LEAST = Decimal(5)


def holding(organization: Organization, now: datetime) -> list[Occasion]:
    found = [
        _occasion(publication, at, organization, now)
        for publication, at in _taking_force(organization, now)
    ]
    return [one for one in found if one is not None]


def _taking_force(
    organization: Organization, now: datetime
) -> list[tuple[Publication, datetime]]:
    """Each moment that a publication's rates take force at: none does before it is out."""
    its = Rate.objects.filter(publication__state=Publication.State.PUBLISHED).filter(
        Q(publication__card__organization=None)
        | Q(publication__card__organization=organization)
    )
    at = Greatest("effective_from", "publication__published_at")
    near = its.annotate(at=at).filter(at__gte=now - _TOLD, at__lte=now + _AHEAD)
    moments = list(near.values_list("publication", "at").distinct().order_by("at"))
    publications = Publication.objects.select_related("card").in_bulk(
        {publication_id for publication_id, _ in moments}
    )
    return [(publications[publication_id], at) for publication_id, at in moments]


def _occasion(
    publication: Publication, at: datetime, organization: Organization, now: datetime
) -> Occasion | None:
    change = impact.change(publication, organization=organization, now=now, as_of=at)
    if not _is_large(change):
        return None
    return Occasion(
        subject=f"publication {publication.pk}",
        occurrence=at.isoformat(),
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
