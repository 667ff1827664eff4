"""Channels that deliver nothing any more: told by the others.

A channel fails when one of its deliveries was given up, or three attempts came to nothing,
and nothing was sent since. That of a test is seen by whoever tries the channel.
"""

from datetime import datetime
from typing import NamedTuple

from django.db import connection

from billing.actions import channels
from billing.actions.alerts import Occasion
from billing.models import Alert, Channel, Delivery
from teams.models import Organization

_ATTEMPTS = 3

_TABLE = Delivery._meta.db_table

# Of each channel no more is read than came after what was sent last.
_SINCE_THE_LAST_SENT = f"""
SELECT channel.id, count(*), min(one.id), bool_or(one.state = 'dead'), sum(one.attempts),
    (array_agg(one.last_error ORDER BY one.id DESC))[1]
FROM unnest(%(channels)s::bigint[]) AS channel(id)
CROSS JOIN LATERAL (
    SELECT coalesce((
        SELECT sent.id FROM {_TABLE} AS sent
        WHERE sent.channel_id = channel.id AND sent.state = 'sent'
        ORDER BY sent.id DESC LIMIT 1
    ), 0) AS last_sent
) AS known
JOIN {_TABLE} AS one ON one.channel_id = channel.id AND one.id > known.last_sent
JOIN {Alert._meta.db_table} AS alert ON alert.id = one.alert_id
WHERE one.last_error <> '' AND alert.kind <> '{Alert.Kind.TEST}'
GROUP BY channel.id
"""


class _Failed(NamedTuple):
    """What a channel did not take since the last that it took."""

    channel_id: int
    alerts: int
    first: int
    given_up: bool
    attempts: int
    error: str


def holding(organization: Organization, now: datetime) -> list[Occasion]:
    its = Channel.objects.filter(organization=organization, disabled_at=None)
    listed = its.select_related("team", "project", "user").order_by("pk")
    by_id = {channel.pk: channel for channel in listed}
    return [
        _occasion(by_id[failed.channel_id], failed)
        for failed in _failed_since_the_last_sent(list(by_id))
        if failed.given_up or failed.attempts >= _ATTEMPTS
    ]


def _failed_since_the_last_sent(channel_ids: list[int]) -> list[_Failed]:
    with connection.cursor() as cursor:
        cursor.execute(_SINCE_THE_LAST_SENT, {"channels": channel_ids})
        return [_Failed(*row) for row in cursor.fetchall()]


def _occasion(channel: Channel, failed: _Failed) -> Occasion:
    return Occasion(
        subject=f"channel {channel.pk}",
        occurrence=f"delivery {failed.first}",
        team=channel.team,
        project=channel.project,
        not_by=channel.pk,
        details={
            "channel": str(channel.pk),
            "target": channels.shown_target(channel),
            "kind": channel.get_kind_display(),
            "waiting": failed.alerts,
            "error": failed.error,
        },
    )
