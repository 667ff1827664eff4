"""Channels: where alerts are sent. Made and ended by a named person."""

from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from billing.connectors import outgoing, standard_webhooks
from billing.models import Channel, Delivery
from teams.actions import audit
from teams.models import Organization, Project, Team

DISABLED = "the channel is disabled"


@transaction.atomic
def create(
    *,
    organization: Organization,
    kind: Channel.Kind,
    target: str,
    by: str,
    now: datetime,
    team: Team | None = None,
    project: Project | None = None,
) -> tuple[Channel, str]:
    """A new channel and, of a webhook, the secret that signs it (otherwise nothing).

    The target is checked as text; what its name resolves to is checked each time
    something is sent. Raises ValidationError.
    """
    for bound in (team, project):
        if bound is not None and bound.organization_id != organization.pk:
            raise ValidationError("A channel is for something of its organization.")
    channel = Channel(
        organization=organization,
        team=team,
        project=project,
        kind=kind,
        target=target,
        created_at=now,
    )
    if kind == Channel.Kind.WEBHOOK:
        channel.secret = standard_webhooks.new_secret()
    channel.full_clean()
    _check_target(channel)
    channel.save()
    _audit(channel, "channel.create", by=by, now=now)
    return channel, channel.secret


@transaction.atomic
def disable(*, channel: Channel, by: str, now: datetime, reason: str = "") -> None:
    """Send nothing more to it; what is waiting is given up, visibly. Twice is once."""
    ended = Channel.objects.filter(pk=channel.pk, disabled_at=None).update(disabled_at=now)
    channel.refresh_from_db(fields=["disabled_at"])
    if not ended:
        return
    waiting = Delivery.objects.filter(channel=channel, state=Delivery.State.WAITING)
    waiting.update(state=Delivery.State.DEAD, last_error=DISABLED)
    _audit(channel, "channel.disable", by=by, now=now, reason=reason)


def _check_target(channel: Channel) -> None:
    try:
        if channel.kind == Channel.Kind.EMAIL:
            validate_email(channel.target)
        else:
            outgoing.parse(channel.target, allow=settings.OUTGOING_ALLOW)
    except outgoing.NotSent as refused:
        raise ValidationError({"target": f"Not usable: {refused}."}) from None
    except ValidationError as error:
        raise ValidationError({"target": error.messages}) from None


def _audit(
    channel: Channel, action: str, *, by: str, now: datetime, reason: str = ""
) -> None:
    audit.record(
        action=action,
        subject=f"channel {channel.pk}",
        organization=channel.organization.slug,
        by=by,
        now=now,
        reason=reason,
        after={"kind": channel.kind, "target": shown_target(channel)}
        | ({} if channel.disabled_at is None else {"disabled_at": now.isoformat()}),
    )


def shown_target(channel: Channel) -> str:
    """The target for a log or a page: of a URL the host, for its path may be a secret."""
    if channel.kind == Channel.Kind.EMAIL:
        return channel.target
    parts = urlsplit(channel.target)
    return f"{parts.scheme}://{parts.netloc}/…"
