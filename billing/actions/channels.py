"""Channels: where alerts are sent. Made, tried and ended by a named person."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from billing.actions import deliveries
from billing.connectors import outgoing, standard_webhooks
from billing.models import Alert, Channel, Delivery
from teams.actions import audit
from teams.models import Organization, Project, Team

DISABLED = "the channel is disabled"

# How long the secret before signs along.
ROTATION = timedelta(hours=24)

# A channel is tried no more often than this.
BETWEEN_TESTS = timedelta(seconds=10)

_ROUTING_KEY = re.compile(r"[0-9A-Za-z]{32}")


class TooSoon(Exception):
    """The channel was tried a moment ago; it can be again in so many `seconds`."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"A channel can be tried every {BETWEEN_TESTS.seconds} seconds.")
        self.seconds = -(-wait // timedelta(seconds=1))


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
    check(channel)
    channel.save()
    _audit(channel, "channel.create", by=by, now=now)
    return channel, channel.secret


@transaction.atomic
def rotate(*, channel: Channel, by: str, now: datetime) -> str:
    """A new secret of a webhook; the old one signs along for ROTATION.

    Raises ValidationError for a channel that is not signed, or disabled, and while an old
    one signs along: the receiver may know no other.
    """
    held = Channel.objects.select_for_update().get(pk=channel.pk)
    if held.kind != Channel.Kind.WEBHOOK:
        raise ValidationError("Only a signed webhook has a secret.")
    if held.disabled_at is not None:
        raise ValidationError("The channel is disabled.")
    if held.previous_secret_until is not None and now < held.previous_secret_until:
        until = f"{held.previous_secret_until.astimezone(UTC):%d %b, %H:%M} UTC"
        raise ValidationError(
            f"The secret before signs along until {until}. A new one can be made then."
        )
    held.previous_secret, held.secret = held.secret, standard_webhooks.new_secret()
    held.previous_secret_until = now + ROTATION
    changed = ("secret", "previous_secret", "previous_secret_until")
    held.save(update_fields=changed)
    channel.refresh_from_db(fields=changed)
    _audit(channel, "channel.rotate", by=by, now=now)
    return held.secret


@transaction.atomic
def send_test(*, channel: Channel, by: str, now: datetime) -> Delivery:
    """Send an alert that says it is a test, in the way of all others.

    Its delivery, to be followed; what has to be closed again is resolved right after.
    Raises ValidationError for a disabled channel, TooSoon.
    """
    held = Channel.objects.select_for_update().get(pk=channel.pk)
    if held.disabled_at is not None:
        raise ValidationError("The channel is disabled.")
    subject = f"channel {channel.pk}"
    tests = Alert.objects.filter(
        organization=channel.organization, kind=Alert.Kind.TEST, subject=subject
    )
    last = tests.order_by("-fired_at").first()
    if last is not None and now < last.fired_at + BETWEEN_TESTS:
        raise TooSoon(last.fired_at + BETWEEN_TESTS - now)
    alert = tests.create(
        organization=channel.organization,
        kind=Alert.Kind.TEST,
        subject=subject,
        occurrence=now.isoformat(),
        team=channel.team,
        project=channel.project,
        details={
            "by": by,
            "organization": channel.organization.name,
            "kind": channel.kind,
            "target": shown_target(channel),
        },
        state=Alert.State.RESOLVED,
        fired_at=now,
        resolved_at=now,
    )
    deliveries.address([alert.pk], [channel], now)
    deliveries.follow(alert=alert, event=Delivery.Event.RESOLVED, now=now)
    _audit(channel, "channel.test", by=by, now=now)
    return Delivery.objects.get(alert=alert, event=Delivery.Event.FIRED)


@transaction.atomic
def disable(*, channel: Channel, by: str, now: datetime, reason: str = "") -> None:
    """Send nothing more to it; what is waiting is given up, visibly, and goes by e-mail
    instead. Twice is once."""
    ended = Channel.objects.filter(pk=channel.pk, disabled_at=None).update(disabled_at=now)
    channel.refresh_from_db(fields=["disabled_at"])
    if not ended:
        return
    waiting = Delivery.objects.filter(channel=channel, state=Delivery.State.WAITING)
    # What a sender takes meanwhile is not waiting any more, and left to it.
    held = waiting.select_for_update(of=("self",)).order_by("pk")
    deliveries.give_up(held, error=DISABLED, now=now)
    _audit(channel, "channel.disable", by=by, now=now, reason=reason)


def check(channel: Channel) -> None:
    """Whether it can be made. Raises ValidationError."""
    for bound in (channel.team, channel.project):
        if bound is not None and bound.organization_id != channel.organization_id:
            raise ValidationError("A channel is for something of its organization.")
    channel.full_clean(exclude=["created_at"])
    _check_target(channel)
    same = Channel.objects.filter(
        organization=channel.organization,
        team=channel.team,
        project=channel.project,
        user=channel.user,
        kind=channel.kind,
        target=channel.target,
        disabled_at=None,
    )
    if same.exclude(pk=channel.pk).exists():
        raise ValidationError({"target": "There is such a channel already."})


def _check_target(channel: Channel) -> None:
    try:
        if channel.kind == Channel.Kind.EMAIL:
            validate_email(channel.target)
        elif channel.kind == Channel.Kind.PAGERDUTY:
            _check_routing_key(channel.target)
        else:
            outgoing.parse(channel.target, allow=settings.OUTGOING_ALLOW)
    except outgoing.NotSent as refused:
        raise ValidationError({"target": f"Not usable: {refused}."}) from None
    except ValidationError as error:
        raise ValidationError({"target": error.messages}) from None


def _check_routing_key(target: str) -> None:
    if not _ROUTING_KEY.fullmatch(target):
        raise ValidationError("A routing key is 32 letters and digits.")


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
    if channel.kind in (Channel.Kind.EMAIL, Channel.Kind.PAGERDUTY):
        return channel.shown_place
    parts = urlsplit(channel.target)
    return f"{parts.scheme}://{parts.netloc}/…"
