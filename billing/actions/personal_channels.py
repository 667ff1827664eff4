"""A person's own mail: of what they may see, when they want it; and to reach them when
nothing else gets through."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from billing.models import Channel
from teams.actions import audit
from teams.models import Organization


def of(user: User, organization: Organization) -> Channel | None:
    """The one that hears of alerts by itself, if they have switched that on."""
    return _open(user, organization).filter(stand_in=False).first()


@transaction.atomic
def reaching(user: User, organization: Organization, *, now: datetime) -> Channel:
    """Theirs, or one that only stands in for others, made now."""
    channel, is_new = _open(user, organization).get_or_create(
        defaults=_made(user, organization, now) | {"stand_in": True},
    )
    if is_new:
        _audit(channel, "channel.create", by="purser", now=now)
    return channel


@transaction.atomic
def listen(*, user: User, organization: Organization, now: datetime) -> Channel:
    """Send them the alerts of what they may see. Raises ValidationError."""
    if not user.email:
        raise ValidationError("Your account has no e-mail address.")
    channel, is_new = _open(user, organization).get_or_create(
        defaults=_made(user, organization, now)
    )
    if is_new or channel.stand_in:
        Channel.objects.filter(pk=channel.pk).update(stand_in=False)
        channel.stand_in = False
        _audit(channel, "channel.create", by=user.get_username(), now=now)
    return channel


@transaction.atomic
def stop(*, user: User, organization: Organization, now: datetime) -> None:
    """Send them no more, but what nobody else got. Twice is once."""
    channel = of(user, organization)
    if channel is not None:
        Channel.objects.filter(pk=channel.pk).update(stand_in=True)
        _audit(channel, "channel.disable", by=user.get_username(), now=now)


def _open(user: User, organization: Organization) -> QuerySet[Channel]:
    return Channel.objects.filter(user=user, organization=organization, disabled_at=None)


def _made(user: User, organization: Organization, now: datetime) -> dict[str, Any]:
    return {
        "user": user,
        "organization": organization,
        "kind": Channel.Kind.EMAIL,
        "target": user.email,
        "created_at": now,
    }


def _audit(channel: Channel, action: str, *, by: str, now: datetime) -> None:
    audit.record(
        action=action,
        subject=f"channel {channel.pk}",
        organization=channel.organization.slug,
        by=by,
        now=now,
        after={"kind": channel.kind, "user": str(channel.user)},
    )
