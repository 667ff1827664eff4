"""Usage with sizes, moments and tags, posted and counted, for reports on it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.actions import post, receive, voids
from billing.formats.body import split
from billing.models import UsageRecord
from teams import isolation
from tests.builders import body, record
from tests.conftest import NOW, Cast, issue

MILLION = 1_000_000
NOVEMBER = {
    "since": NOW.date().replace(day=1),
    "until": NOW.date().replace(month=12, day=1),
}
# 10:00 in Berlin, where the organization is.
MORNING = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def call(minutes: float = 0, *, tags: dict[str, str] | None = None, **more: Any) -> Any:
    """One call so many minutes after `MORNING`: other names are those of its usage."""
    changes = {name: more.pop(name) for name in _OF_RECORD & more.keys()}
    return record(
        occurred_at=(MORNING + timedelta(minutes=minutes)).isoformat(),
        tags=tags,
        usage={"input_tokens": 0, "output_tokens": 0, **more},
        **changes,
    )


_OF_RECORD = {"id", "project", "model", "corrects"}


def written(tokens: int) -> dict[str, int]:
    """Of a call: so many tokens written to a cache for 5 minutes."""
    return {"cache_creation_input_tokens": tokens}


def written_for_an_hour(tokens: int) -> dict[str, Any]:
    return {
        "cache_creation_input_tokens": tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 0,
            "ephemeral_1h_input_tokens": tokens,
        },
    }


def read(tokens: int) -> dict[str, int]:
    return {"cache_read_input_tokens": tokens}


def counted(cast: Cast, calls: Iterable[Any]) -> None:
    """Post these calls, and count them."""
    key, _ = issue(cast.acme)
    raws = split(body(*calls), "application/json", 1000)
    received = receive.receive(key=key, raws=raws, now=NOW)
    assert {one.status for one in received} == {"accepted"}, received
    count(cast)


def take_back(cast: Cast, record_id: str) -> None:
    """A record of team search; what it was charged is taken off."""
    with isolation.visible_teams([cast.search.pk]):
        record = UsageRecord.objects.get(record_id=record_id)
    voids.void(
        team=cast.search, uids=[record.uid], reason="posted twice", by="lead", now=NOW
    )
    count(cast)


def count(cast: Cast) -> None:
    for team in (cast.search, cast.support):
        post.count(team_id=team.pk, now=NOW)
