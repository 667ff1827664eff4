"""What became of deliveries: each with its attempts; each channel with its last one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from billing.models import Channel, Delivery, DeliveryAttempt


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    FAILED = "failed"
    # It is being made, or its sender ended before it could say what came of it.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attempt:
    number: int
    started_at: datetime | None
    ended_at: datetime | None
    outcome: Outcome
    error: str

    @property
    def milliseconds(self) -> int | None:
        if self.started_at is None or self.ended_at is None:
            return None
        return round((self.ended_at - self.started_at).total_seconds() * 1000)


def attempts(delivery: Delivery) -> list[Attempt]:
    """All that were begun, in order; prefetch `log` for many deliveries."""
    known = {row.number: row for row in delivery.log.all()}
    return [
        _attempt(number, known.get(number)) for number in range(1, delivery.attempts + 1)
    ]


def _attempt(number: int, row: DeliveryAttempt | None) -> Attempt:
    if row is None:
        return Attempt(number, None, None, Outcome.UNKNOWN, "")
    outcome = Outcome.FAILED if row.error else Outcome.ACCEPTED
    return Attempt(number, row.started_at, row.ended_at, outcome, row.error)


class Health(StrEnum):
    """How a channel does."""

    UNUSED = "unused"
    WORKS = "works"
    WAITING = "waiting"
    FAILING = "failing"
    DEAD = "given up"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel with its newest deliveries, the newest first, and those given up since
    something last arrived."""

    channel: Channel
    latest: Sequence[Delivery]
    dead: Sequence[Delivery]
    health: Health

    @property
    def last(self) -> Delivery | None:
        return next(iter(self.latest), None)

    @property
    def is_red(self) -> bool:
        return self.health in (Health.FAILING, Health.DEAD)


def of_channels(channels: Iterable[Channel], *, newest: int = 5) -> list[ChannelState]:
    """Each with its state, in a few queries."""
    listed = list(channels)
    found: dict[int, list[Delivery]] = {channel.pk: [] for channel in listed}
    for delivery in _newest(found, newest):
        found[delivery.channel_id].append(delivery)
    return [_state(channel, found[channel.pk]) for channel in listed]


_TABLE = Delivery._meta.db_table
_NEWEST = f"""
SELECT one.* FROM unnest(%s::bigint[]) AS channel(id), LATERAL (
    SELECT * FROM {_TABLE} WHERE channel_id = channel.id ORDER BY id DESC LIMIT %s
) AS one ORDER BY one.id DESC
"""


def _newest(channel_ids: Iterable[int], newest: int) -> Iterable[Delivery]:
    return Delivery.objects.raw(_NEWEST, [list(channel_ids), newest]).prefetch_related(
        "alert__organization", "log"
    )


def _state(channel: Channel, latest: Sequence[Delivery]) -> ChannelState:
    dead = []
    for delivery in latest:
        if delivery.state == Delivery.State.SENT:
            break
        if delivery.state == Delivery.State.DEAD:
            dead.append(delivery)
    return ChannelState(channel, latest, dead, _health(channel, latest, dead))


def _health(
    channel: Channel, latest: Sequence[Delivery], dead: Sequence[Delivery]
) -> Health:
    if channel.disabled_at is not None:
        return Health.ENDED
    if not latest:
        return Health.UNUSED
    if dead:
        return Health.DEAD
    if any(one.is_under_way and one.last_error for one in latest):
        return Health.FAILING
    return Health.WAITING if latest[0].is_under_way else Health.WORKS
