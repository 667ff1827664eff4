"""API keys in use that expire soon: told two weeks before, and three days before."""

from datetime import datetime, timedelta

from billing.actions.alerts import Occasion
from teams.models import ApiKey, Organization

# The nearest that is reached takes the place of the one before.
_TOLD = (timedelta(days=3), timedelta(days=14))
_IN_USE = timedelta(days=30)


def holding(organization: Organization, now: datetime) -> list[Occasion]:
    keys = ApiKey.objects.usable(now).filter(
        organization=organization,
        expires_at__lte=now + _TOLD[-1],
        use__last_used_at__gte=now - _IN_USE,
    )
    return [
        _occasion(key, key.expires_at, now)
        for key in keys.select_related("team", "project").order_by("pk")
        if key.expires_at is not None
    ]


def _occasion(key: ApiKey, expires_at: datetime, now: datetime) -> Occasion:
    told = next(before for before in _TOLD if expires_at - now <= before)
    return Occasion(
        subject=f"API key {key.pk}",
        occurrence=f"{expires_at:%Y-%m-%d} {told.days} days",
        team=key.team,
        project=key.project,
        details={
            "name": key.name,
            "prefix": key.prefix,
            "expires_at": expires_at.isoformat(),
            "days": told.days,
        },
    )
