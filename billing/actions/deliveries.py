"""Deliveries: made with their alert, followed up, sent again, and, where a channel gives
nothing on, taken over by e-mail."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from uuid_utils.compat import uuid7

from billing.actions import listening, personal_channels
from billing.models import Alert, Channel, Delivery
from teams.actions import audit

# What came of an alert is sent where something is open until it is closed again.
_FOLLOWING = (Channel.Kind.PAGERDUTY,)


def address(
    alerts: Iterable[int],
    channels: Sequence[Channel],
    now: datetime,
    *,
    event: Delivery.Event = Delivery.Event.FIRED,
    firing: int = 1,
    instead_of: Delivery | None = None,
) -> None:
    """One delivery per alert (by id) and channel that has none yet of this event."""
    Delivery.objects.bulk_create(
        (
            Delivery(
                alert_id=alert_id,
                channel=channel,
                event=event,
                firing=firing,
                instead_of=instead_of,
                message_id=uuid7(),
                due_at=now,
            )
            for alert_id in alerts
            for channel in channels
        ),
        ignore_conflicts=True,
    )


def follow(*, alert: Alert, event: Delivery.Event, now: datetime) -> None:
    """Say that it was acknowledged or resolved, or fires again, where it was said that it
    fires.

    Each is said once of each time that it fires, after what came before it; called in the
    transaction that changes the alert.
    """
    told = Channel.objects.filter(
        deliveries__alert__in=_of_its_level(alert), kind__in=_FOLLOWING, disabled_at=None
    )
    channels = list(told.distinct().order_by("pk"))
    address([alert.pk], channels, now, event=event, firing=alert.firings)


def _of_its_level(alert: Alert) -> QuerySet[Alert]:
    """It, or what was said of the same level of a budget under other terms."""
    if alert.threshold is None:
        return Alert.objects.filter(pk=alert.pk)
    return Alert.objects.filter(
        budget=alert.budget_id, period_start=alert.period_start, threshold=alert.threshold
    )


# --- Given up -----------------------------------------------------------------------


def give_up(waiting: Iterable[Delivery], *, error: str, now: datetime) -> None:
    """Deliveries that nobody makes any more. In the transaction of whoever decides so."""
    given_up = list(waiting)
    Delivery.objects.filter(pk__in=[one.pk for one in given_up]).update(
        state=Delivery.State.DEAD, last_error=error
    )
    for one in given_up:
        fall_back(one, now=now)


def fall_back(dead: Delivery, *, now: datetime) -> None:
    """Send by e-mail what another channel could not deliver.

    To the mail channels that listen; where there are none, to the people who may do
    something about it. A test, and what came of an alert later, is not taken over.
    """
    alert = dead.alert
    is_news = dead.event == Delivery.Event.FIRED and alert.kind != Alert.Kind.TEST
    if dead.channel.kind == Channel.Kind.EMAIL or not is_news:
        return
    address([alert.pk], _mail_channels(dead, now), now, instead_of=dead)


def _mail_channels(dead: Delivery, now: datetime) -> list[Channel]:
    alert, team_id = dead.alert, dead.channel.team_id
    teams = listening.teams_of(alert) | ({team_id} if team_id else set())
    channels = listening.channels_of(
        organization=alert.organization, teams=teams, project=alert.project
    )
    by_mail = [one for one in channels if one.kind == Channel.Kind.EMAIL]
    return by_mail or [
        personal_channels.reaching(user, alert.organization, now=now)
        for user in listening.may_act_on(alert)
    ]


# --- Once more ----------------------------------------------------------------------


@transaction.atomic
def send_again(*, delivery: Delivery, by: str, now: datetime) -> None:
    """Begin anew with one that was given up, under the same id. Raises ValidationError."""
    held = Delivery.objects.select_for_update().get(pk=delivery.pk)
    if held.state != Delivery.State.DEAD:
        raise ValidationError("Only a delivery that was given up can be sent again.")
    channel = delivery.channel
    if channel.disabled_at is not None:
        raise ValidationError("Its channel is disabled.")
    held.state = Delivery.State.WAITING
    held.attempts_before, held.due_at = held.attempts, now
    held.save(update_fields=["state", "attempts_before", "due_at"])
    delivery.refresh_from_db(fields=["state", "attempts_before", "due_at"])
    audit.record(
        action="delivery.send_again",
        subject=f"delivery {delivery.pk}",
        organization=channel.organization.slug,
        by=by,
        now=now,
        after={"alert": str(delivery.alert_id), "channel": str(channel.pk)},
    )
