"""Channels that deliver nothing any more: told by the others.

A channel fails when one of its deliveries was given up, or three attempts came to nothing,
and nothing was sent since. That of a test is seen by whoever tries the channel.
"""

from collections import defaultdict
from datetime import datetime

from django.db.models import Max, Q

from billing.actions import channels
from billing.actions.alerts import Occasion
from billing.models import Alert, Channel, Delivery
from teams.models import Organization

_ATTEMPTS = 3


def holding(organization: Organization, now: datetime) -> list[Occasion]:
    its = Channel.objects.filter(organization=organization, disabled_at=None)
    failed = _failed_since_the_last_sent(list(its.values_list("pk", flat=True)))
    return [
        _occasion(channel, failed[channel.pk])
        for channel in its.select_related("team", "project").order_by("pk")
        if _is_failing(failed[channel.pk])
    ]


def _failed_since_the_last_sent(
    channel_ids: list[int],
) -> defaultdict[int, list[Delivery]]:
    of_them = Delivery.objects.filter(channel__in=channel_ids).order_by("pk")
    sent = of_them.filter(state=Delivery.State.SENT).order_by()
    last = dict(sent.values_list("channel").annotate(Max("pk")))
    failed: defaultdict[int, list[Delivery]] = defaultdict(list)
    tried = of_them.exclude(alert__kind=Alert.Kind.TEST)
    for one in tried.filter(~Q(last_error="")).exclude(state=Delivery.State.SENT):
        if one.pk > last.get(one.channel_id, 0):
            failed[one.channel_id].append(one)
    return failed


def _is_failing(failed: list[Delivery]) -> bool:
    given_up = any(one.state == Delivery.State.DEAD for one in failed)
    return given_up or sum(one.attempts for one in failed) >= _ATTEMPTS


def _occasion(channel: Channel, failed: list[Delivery]) -> Occasion:
    return Occasion(
        subject=f"channel {channel.pk}",
        occurrence=f"delivery {failed[0].pk}",
        team=channel.team,
        project=channel.project,
        not_by=channel.pk,
        details={
            "channel": str(channel.pk),
            "target": channels.shown_target(channel),
            "kind": channel.get_kind_display(),
            "waiting": len(failed),
            "error": failed[-1].last_error,
        },
    )
