"""Some days of one team, through the door and counted.

A job is plain data, so that a second process can do it (`helper`).
"""

import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from django.db import connection

from billing.actions import post, receive
from billing.actions.receive import Status
from billing.demo import usage
from billing.demo.plan import Plan, Wanted
from billing.demo.usage import Posted
from teams.models import ApiKey

# By which way the records came; it tells them from those that are posted later.
ROUTE = "demo"
# What the door takes in one request.
_AT_ONCE = 1_000
# A day that is counted in parts has so many at most, and none for less records.
_PARTS = 2
_RECORDS_IN_A_PART = 100
_SECONDS_LATER = timedelta(seconds=3)
_LOOK_AGAIN_SECONDS = 0.05


class SeedingFailed(Exception):
    """The door did not take a record of the demo."""


class Job(NamedTuple):
    """Days of a team, in their order; in parts: counted several times a day."""

    wanted: Wanted
    key_id: int
    team: str
    team_id: int
    dates: tuple[date, ...]
    in_parts: bool


def run(job: Job) -> int:
    """Do it; the number of records. Raises SeedingFailed."""
    with connection.cursor() as cursor:
        # What a crash of the server takes away again is posted again: nobody was told
        # that it is there. The end of the seeding is committed as everything else is.
        cursor.execute("SET synchronous_commit = off")
        done = _run(job)
        cursor.execute("RESET synchronous_commit")
    return done


def _run(job: Job) -> int:
    plan = _plan(job.wanted)
    key = ApiKey.objects.select_related("organization").get(pk=job.key_id)
    done, moment = 0, None
    for day in plan.days:
        if day.date in job.dates:
            for part in _parts(usage.records(plan, job.team, day), job.in_parts):
                moment = _post(part, key, job.wanted.now)
                done += len(part)
                if job.in_parts:
                    count(job.team_id, moment)
    if moment is not None and not job.in_parts:
        count(job.team_id, moment)
    return done


def count(team_id: int, now: datetime) -> None:
    """Until nothing of the team waits; a running worker may count some of it."""
    while True:
        if not post.count(team_id=team_id, now=now):
            if team_id not in post.batches_waiting():
                return
            time.sleep(_LOOK_AGAIN_SECONDS)


@lru_cache(maxsize=1)
def _plan(wanted: Wanted) -> Plan:
    return Plan(wanted)


def _post(records: Sequence[Posted], key: ApiKey, end: datetime) -> datetime:
    """A moment after the last of these calls; that moment."""
    moment = min(records[-1].at + _SECONDS_LATER, end)
    outcomes = receive.receive(
        key=key, raws=[one.raw for one in records], now=moment, route=ROUTE
    )
    for outcome in outcomes:
        if outcome.status not in (Status.ACCEPTED, Status.DUPLICATE):
            raise SeedingFailed(f"{outcome.id}: {outcome.code}, {outcome.detail}")
    return moment


def _parts(records: list[Posted], in_parts: bool) -> Iterator[list[Posted]]:
    """A day's records, in parts if so wished, and none too large for the door."""
    parts = min(_PARTS, len(records) // _RECORDS_IN_A_PART) if in_parts else 1
    size = min(-(-len(records) // max(parts, 1)), _AT_ONCE)
    for start in range(0, len(records), max(size, 1)):
        yield records[start : start + size]
