"""The door: posted records become usage records and one posting per team."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import uuid_utils
from django.db import IntegrityError, InterfaceError, OperationalError, connection
from psycopg_pool import PoolTimeout
from uuid_utils.compat import uuid7

from billing.actions import corrections, voids
from billing.actions.corrections import Identity, Overtaken, Refusal
from billing.formats import posted, registry
from billing.formats.errors import RecordError
from billing.formats.posted import PostedRecord
from billing.models import (
    Hold,
    HoldPart,
    Posting,
    UsageRecord,
    arrays,
    unnest,
)
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import Usage
from teams import isolation, trips
from teams.models import ApiKey
from teams.models.api_keys import Scope
from teams.ownership import RECORDS_AHEAD, NotCovered, Owner, OwnerIndex
from teams.trips import Statement

logger = logging.getLogger(__name__)

OLDEST = timedelta(days=35)


class Status(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"
    TRY_AGAIN = "try_again"


# One per record: a frozen one takes three times as long to make.
@dataclass(slots=True)
class Outcome:
    """What became of one posted record."""

    index: int
    id: str | None
    status: Status
    code: str | None = None
    pointer: str | None = None
    detail: str | None = None
    team_id: int | None = None
    project_id: int | None = None
    month: date | None = None
    uid: str | None = None
    posting: UUID | None = None


@dataclass(slots=True)  # as above
class Arrival:
    """A record that was read without error, and where it belongs."""

    index: int
    posted: PostedRecord
    usage: Usage
    team_id: int
    project_id: int
    month: date
    uid: str
    fingerprint: bytes

    @property
    def identity(self) -> Identity:
        return self.project_id, self.posted.id, self.month


class Stored(NamedTuple):
    """What the ledger holds under an identity, or why it does not take the record."""

    uid: str
    fingerprint: bytes
    route: str
    posting: UUID | None = None
    refusal: Refusal | None = None
    settles: bool = True  # the hold that it names, if it names one


class Inserted(NamedTuple):
    """The uids of records that are new, and of those of them that settle a hold."""

    new: Set[str]
    settling: Set[str]


def receive(
    *,
    key: ApiKey,
    raws: Sequence[msgspec.Raw],
    now: datetime,
    route: str = "api",
    second_clock: Callable[[], datetime] | None = None,
) -> list[Outcome]:
    """Store what can be stored and say of each record what became of it, in order.

    1. Read each record; what cannot be read is rejected, the others go on.
    2. One transaction per team, in team order: the records that are new, and one posting
       for them. What was received besides is noted behind it: who is told to send again
       because of that is told then that they are duplicates.
    3. The outcome is what the database answered, after its commit.

    If a later team's transaction fails, its records are answered `try_again`; if none
    has been committed the failure is raised. A record that lies outside the window by
    `now` is refused only if it does so by `second_clock` too.
    """
    outcomes: dict[int, Outcome] = {}
    by_team: dict[int, list[Arrival]] = defaultdict(list)
    reader = _Reader(key=key, now=now, second_clock=second_clock)
    for index, raw in enumerate(raws):
        try:
            arrival = reader.read(index, raw)
        except RecordError as error:
            outcomes[index] = _rejected(index, raw, error)
        else:
            by_team[arrival.team_id].append(arrival)
    rejected = len(outcomes)
    if not by_team and (home := _home_team(key)):
        by_team[home] = []  # what is rejected is received, too
    for outcome in _store_all(by_team, rejected, key=key, now=now, route=route):
        outcomes[outcome.index] = outcome
    return [outcomes[index] for index in range(len(raws))]


class _Reader:
    """Reads the records of one request for one key."""

    def __init__(
        self, *, key: ApiKey, now: datetime, second_clock: Callable[[], datetime] | None
    ) -> None:
        self._now = now
        self._second_clock = second_clock
        self._oldest = None if key.has_scope(Scope.IMPORT) else OLDEST
        self._key = key
        self._owners = OwnerIndex.recent(key)
        self._are_current = False

    def read(self, index: int, raw: msgspec.Raw) -> Arrival:
        record = posted.decode(raw)
        self._check_window(record.occurred_at)
        usage = registry.read(record)
        owner = self._owner(record)
        return Arrival(
            index=index,
            posted=record,
            usage=usage,
            team_id=owner.team_id,
            project_id=owner.project_id,
            month=date(record.occurred_at.year, record.occurred_at.month, 1),  # of UTC
            uid=str(uuid_utils.uuid7()),
            fingerprint=posted.fingerprint(record, usage),
        )

    def _check_window(self, occurred_at: datetime) -> None:
        try:
            posted.check_window(occurred_at, self._now, self._oldest, RECORDS_AHEAD)
        except RecordError:
            if self._second_clock is None:
                raise
            # One wrong clock must turn nothing away: a refused record is not sent again.
            self._now, self._second_clock = self._second_clock(), None
            posted.check_window(occurred_at, self._now, self._oldest, RECORDS_AHEAD)

    def _owner(self, record: PostedRecord) -> Owner:
        try:
            return self._known_owner(record)
        except NotCovered as error:
            raise RecordError("unknown_project", "/project", str(error)) from error

    def _known_owner(self, record: PostedRecord) -> Owner:
        try:
            return self._owners.owner(record.project, record.occurred_at)
        except NotCovered:
            if self._are_current:
                raise
        # The project may have been made a moment ago.
        self._owners, self._are_current = OwnerIndex.current(self._key), True
        return self._owners.owner(record.project, record.occurred_at)


def _home_team(key: ApiKey) -> int | None:
    """Where it is noted that nothing of a request could be read."""
    return key.teams().order_by("pk").values_list("pk", flat=True).first()


def _store_all(
    by_team: dict[int, list[Arrival]],
    rejected: int,
    *,
    key: ApiKey,
    now: datetime,
    route: str,
) -> list[Outcome]:
    """Store team by team; the first one's receipt has what was rejected before."""
    outcomes: list[Outcome] = []
    committed = False
    for team_id in sorted(by_team):
        arrivals = by_team[team_id]
        try:
            stored = _store_in_partition(
                team_id, arrivals, rejected, key=key, now=now, route=route
            )
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            if not committed:
                raise
            logger.warning("team %s must send again: %s", team_id, error)
            outcomes += [_try_again(arrival) for arrival in arrivals]
        else:
            committed, rejected = True, 0
            outcomes += [
                _outcome(arrival, stored[arrival.identity], route) for arrival in arrivals
            ]
    return outcomes


def _store_in_partition(
    team_id: int,
    arrivals: list[Arrival],
    rejected: int,
    *,
    key: ApiKey,
    now: datetime,
    route: str,
) -> dict[Identity, Stored]:
    """Store; and once more if the month got its partition just then.

    A row on its way to the default partition is refused when its own one is attached.
    Once more, too, if a correction was recorded meanwhile.
    """
    try:
        return _store(team_id, arrivals, rejected, key=key, now=now, route=route)
    except (IntegrityError, Overtaken):
        pass
    try:
        return _store(team_id, arrivals, rejected, key=key, now=now, route=route)
    except (IntegrityError, Overtaken) as error:
        raise OperationalError("twice overtaken by another request") from error


def _store(
    team_id: int,
    arrivals: list[Arrival],
    rejected: int,
    *,
    key: ApiKey,
    now: datetime,
    route: str,
) -> dict[Identity, Stored]:
    """The new records with their posting, and what became of the others.

    Returns what is held afterwards. Where records correct others, all of it happens in
    one transaction; else the new records are stored in one trip to the server, and mostly
    that is all.
    """
    first: dict[Identity, Arrival] = {}
    for arrival in arrivals:
        first.setdefault(arrival.identity, arrival)
    plain = [arrival for arrival in first.values() if not arrival.posted.corrects]
    correcting = [arrival for arrival in first.values() if arrival.posted.corrects]
    storing = _Storing(team_id, key, now, route)
    if not correcting:
        storing.insert(plain)
        if len(storing.postings) == len(arrivals) and not rejected:
            return storing.held(arrivals)
    with isolation.visible_teams([team_id]):
        if correcting:
            storing.insert(plain)
        corrected = corrections.store(
            team_id=team_id,
            corrections=correcting,
            insert=storing.insert,
            held=lambda ones: _held(team_id, ones),
            by=str(key),
            now=now,
        )
        voids.post(team_id, corrected.voided, now)
        known = [arrival for arrival in first.values() if not storing.has(arrival)]
        held = _held(team_id, known) | storing.held(first.values())
        for arrival in known:
            if refusal := corrected.refused.get(arrival.identity):
                held[arrival.identity] = Stored(
                    arrival.uid, arrival.fingerprint, route, refusal=refusal
                )
        others = [arrival for arrival in arrivals if not storing.has(arrival)]
        statuses = [_outcome(one, held[one.identity], route).status for one in others]
        final = [status for status in statuses if status is not Status.TRY_AGAIN]
        _note(team_id, final + [Status.REJECTED] * rejected, key, now, route)
    return held


class _Storing:
    """Inserts records of one team, and knows which of them were new."""

    def __init__(self, team_id: int, key: ApiKey, now: datetime, route: str) -> None:
        self._team_id = team_id
        self._key = key
        self._now = now
        self._route = route
        self._settling: set[str] = set()
        self.postings: dict[str, UUID] = {}

    def has(self, arrival: Arrival) -> bool:
        return arrival.uid in self.postings

    def insert(self, arrivals: list[Arrival]) -> Set[str]:
        """The uids of those that are new."""
        if not arrivals:
            return set()
        posting = uuid7()
        inserted = _insert(
            self._team_id, arrivals, posting, self._key, self._now, self._route
        )
        self.postings.update(dict.fromkeys(inserted.new, posting))
        self._settling.update(inserted.settling)
        return inserted.new

    def held(self, arrivals: Iterable[Arrival]) -> dict[Identity, Stored]:
        """Those of them that were new."""
        return {
            arrival.identity: Stored(
                arrival.uid,
                arrival.fingerprint,
                self._route,
                self.postings[arrival.uid],
                settles=arrival.posted.hold is None or arrival.uid in self._settling,
            )
            for arrival in arrivals
            if self.has(arrival)
        }


def _note(
    team_id: int, statuses: Sequence[Status], key: ApiKey, now: datetime, route: str
) -> None:
    """Have it counted what was received and not accepted."""
    if statuses:
        became = Counter(statuses)
        Posting.objects.create(
            team_id=team_id,
            uid=uuid7(),
            received_at=now,
            record_uids=[],
            records=0,
            months=[],
            api_key=key.pk,
            route=route,
            received=len(statuses),
            duplicates=became[Status.DUPLICATE],
            conflicts=became[Status.CONFLICT],
            rejected=became[Status.REJECTED],
        )


_RECORD_COLUMNS: unnest.Columns = {
    "uid": "uuid",
    "project_id": "bigint",
    "record_id": "text",
    "month": "date",
    "occurred_at": "timestamptz",
    "received_at": "timestamptz",
    "route": "text",
    "api_key": "bigint",
    "provider": "text",
    "model_name": "text",
    "usage_format": "text",
    "processing": "text",
    "speed": "text",
    "geo": "text",
    "endpoint": "text",
    **{token_class.value: "bigint" for token_class in TokenClass},
    "unbilled": "text",
    "thinking": "bigint",
    "flags": "text::text[]",
    "verbatim": "text::jsonb",
    "tags": "text::jsonb",
    "fingerprint": "bytea",
    "hold": "uuid",
}


# What the first statement stores the second one posts, and both are one. The uids are
# said only when some were stored before.
_STORE = f"""
WITH stored AS ({{insertion}}), posted AS (
    INSERT INTO {Posting._meta.db_table}
        (team_id, uid, received_at, api_key, route,
        record_uids, records, months, received, accepted)
    SELECT %b::bigint, %b::uuid, %b::timestamptz, %b::bigint, %b::text,
        array_agg(uid), count(*), array_agg(DISTINCT month), count(*), count(*)
    FROM stored HAVING count(*) > 0
){{settling}}
SELECT count(*), CASE WHEN count(*) < %b::bigint THEN array_agg(uid::text) END,
    {{settled}}
FROM stored
"""

# Records that name holds settle them with that: the first one each. From then on it is
# reserved without an end, until the record is counted.
_SETTLE = f""", named AS (
    SELECT hold, project_id, min(uid::text)::uuid AS uid FROM stored
    WHERE hold IS NOT NULL GROUP BY hold, project_id
), taken AS (
    SELECT hold.id, named.uid FROM {Hold._meta.db_table} hold
    JOIN named ON named.hold = hold.id AND named.project_id = hold.project_id
    WHERE hold.team_id = %b::bigint AND hold.state = 'held'
    ORDER BY hold.id FOR UPDATE OF hold
), settling AS (
    UPDATE {Hold._meta.db_table} hold SET state = 'settling', record_uid = taken.uid
    FROM taken WHERE hold.id = taken.id RETURNING hold.record_uid
), part AS (
    UPDATE {HoldPart._meta.db_table} part SET until = NULL
    FROM taken WHERE part.hold_id = taken.id
)"""
_SETTLED = "(SELECT array_agg(record_uid::text) FROM settling)"


def _insert(
    team_id: int,
    arrivals: list[Arrival],
    posting: UUID,
    key: ApiKey,
    now: datetime,
    route: str,
) -> Inserted:
    """Store what is not there yet, and post that."""
    has_holds = any(arrival.posted.hold for arrival in arrivals)
    statement, parameters = unnest.of_rows(
        table=UsageRecord._meta.db_table,
        columns=_RECORD_COLUMNS,
        rows=[_record_row(arrival, key, now, route) for arrival in arrivals],
        team_id=team_id,
        order_by=("project_id", "record_id", "month"),
        then=(
            "ON CONFLICT (team_id, project_id, record_id, month) DO NOTHING "
            f"RETURNING uid, month{', hold, project_id' if has_holds else ''}"
        ),
    )
    store = _STORE.format(
        insertion=statement,
        settling=_SETTLE if has_holds else "",
        settled=_SETTLED if has_holds else "NULL::text[]",
    )
    its: list[Any] = [team_id, posting, now, key.pk, route]
    if has_holds:
        its.append(team_id)
    said = Statement(store, [*parameters, *its, len(arrivals)])
    ((stored, uids, settling),) = trips.at_once([team_id], [said])[0]
    if stored == len(arrivals):
        uids = [arrival.uid for arrival in arrivals]
    return Inserted(set(uids or ()), set(settling or ()))


def _record_row(
    arrival: Arrival, key: ApiKey, now: datetime, route: str
) -> tuple[Any, ...]:
    record, usage = arrival.posted, arrival.usage
    return (
        arrival.uid,
        arrival.project_id,
        record.id,
        arrival.month,
        usage.occurred_at,
        now,
        route,
        key.pk,
        usage.provider,
        usage.model,
        registry.name_of(record),
        str(usage.processing),
        str(usage.speed),
        usage.geo,
        usage.endpoint,
        *usage.quantities,
        usage.unbilled,
        usage.thinking,
        "{" + ",".join(usage.flags) + "}",
        registry.verbatim(record, usage),
        msgspec.json.encode(record.tags).decode(),
        arrival.fingerprint,
        posted.hold_of(record),
    )


_HELD = f"""
SELECT project_id, record_id, month, uid::text, fingerprint, route
FROM {UsageRecord._meta.db_table}
JOIN unnest(%s::bigint[], %s::text[], %s::date[]) AS asked(project_id, record_id, month)
USING (project_id, record_id, month)
WHERE team_id = %s::bigint
"""


def _held(team_id: int, arrivals: list[Arrival]) -> dict[Identity, Stored]:
    if not arrivals:
        return {}
    columns = zip(*(arrival.identity for arrival in arrivals), strict=True)
    asked = map(arrays.literal, columns, ("bigint", "text", "date"))
    # Not prepared: how they are best found depends on how many there are by then.
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [*asked, team_id])
        return {
            (project_id, record_id, month): Stored(uid, fingerprint, route)
            for project_id, record_id, month, uid, fingerprint, route in cursor.fetchall()
        }


def _outcome(arrival: Arrival, held: Stored, route: str) -> Outcome:
    if held.refusal:
        if arrival.fingerprint != held.fingerprint:
            # Another record under the same id, which nothing is wrong with by itself.
            return _try_again(arrival)
        return _refused(arrival, held.refusal)
    if held.uid == arrival.uid and held.settles:
        return _say(arrival, Status.ACCEPTED, held=held)
    if held.uid == arrival.uid:
        return _say(
            arrival,
            Status.ACCEPTED,
            "hold_not_settled",
            "The record is taken. The hold it names is not of its project, or has ended.",
            held=held,
            pointer="/hold",
        )
    if held.fingerprint == arrival.fingerprint or held.route != route:
        return _say(
            arrival,
            Status.DUPLICATE,
            "already_recorded",
            "Recorded before; counted once.",
            held=held,
        )
    return _say(
        arrival,
        Status.CONFLICT,
        "id_conflict",
        "This id was recorded before with other content. The first stands.",
        pointer="/id",
    )


def _refused(arrival: Arrival, refusal: Refusal) -> Outcome:
    is_unknown = refusal.code == "unknown_record"
    status = Status.REJECTED if is_unknown else Status.CONFLICT
    return _say(arrival, status, refusal.code, refusal.detail, pointer="/corrects")


def _try_again(arrival: Arrival) -> Outcome:
    return _say(
        arrival,
        Status.TRY_AGAIN,
        "try_again",
        "It could not be stored just now. Send the record again.",
    )


def _say(
    arrival: Arrival,
    status: Status,
    code: str | None = None,
    detail: str | None = None,
    held: Stored | None = None,
    pointer: str | None = None,
) -> Outcome:
    return Outcome(
        index=arrival.index,
        id=arrival.posted.id,
        status=status,
        code=code,
        pointer=pointer,
        detail=detail,
        team_id=arrival.team_id,
        project_id=arrival.project_id,
        month=arrival.month if held else None,
        uid=held.uid if held else None,
        posting=held.posting if held else None,
    )


def _rejected(index: int, raw: msgspec.Raw, error: RecordError) -> Outcome:
    return Outcome(
        index,
        posted.named(raw),
        Status.REJECTED,
        error.code,
        error.pointer,
        error.detail,
    )
