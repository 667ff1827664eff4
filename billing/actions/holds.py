"""Holds: an amount is reserved before a call, so that callers at once pass no cap.

Of every hard budget above the project, in every period that the call may count in:
what is spent + what is held + the amount ≤ the cap. It is decided by one statement, which
sees all that was committed before it began; and of two holds against one budget the
second one's begins when the first has committed (`_LOCK`). Counting adds what is spent
and ends the hold in one transaction, so no snapshot has both of them, or neither.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import OperationalError, connection
from uuid_utils.compat import uuid7

from billing.formats import expected
from billing.formats.expected import ExpectedCall
from billing.models import Hold, HoldPart, levels, rate_book, server_clock
from billing.models.levels import Call, Chain, Level, Slot
from billing.models.recorded import Recorded
from billing.pricing import money
from billing.pricing.usage import Processing
from teams import ownership, trips
from teams.models import ApiKey, Project
from teams.trips import Statement

# How often the budgets may turn out to be others than a moment ago.
_ATTEMPTS = 5
_FORGOTTEN_AT_ONCE = 20_000


class Reused(ValueError):
    """The idempotency key was sent before with another request."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may be made: with its hold, or why not."""

    hold: Hold | None
    amount: Decimal | None
    bound: str  # why it is only an upper bound
    levels: Sequence[Level]  # of now, with the hold if there is one
    refused_by: Level | None = None
    resets_at: datetime | None = None  # the period of that one ends
    ended: str = ""  # the hold of this idempotency key was released, or expired

    @property
    def reason(self) -> str | None:
        """Why it is refused."""
        if self.ended:
            return f"The hold of this idempotency key has {self.ended}: ask with a new one."
        if self.refused_by is None:
            return None
        budget, slot = self.refused_by.slot.budget, self.refused_by.slot
        has = f"The hard {budget.period} budget of {budget.scope} has"
        if self.amount is None:
            return f"{has} to be kept, and nobody knows what this costs: {self.bound}"
        return (
            f"{has} {money.plain(self.refused_by.used)} of {money.plain(slot.cap)} spent "
            f"or held: {money.plain(self.amount)} more would pass the cap."
        )


def make(
    *, key: ApiKey, call: ExpectedCall, now: datetime, idempotency_key: str = ""
) -> Decision:
    """Hold what a call will cost at most, if every hard budget above it has room.

    A retry under the same idempotency key gets the same hold; a refusal is not kept, and
    is decided anew. Raises RecordError for a call that cannot be read, NotCovered for a
    project that the key does not cover, Reused.
    """
    owner = ownership.owner(key, call.project, now)
    chain = Chain.recent(owner)
    for _ in range(_ATTEMPTS):
        decision = _Request(key, call, now, idempotency_key, chain).decide()
        if decision is not None:
            return decision
        chain = Chain.current(owner)
    raise OperationalError("the budgets change faster than they can be read")


# In the order of their ids, so that nobody waits for who waits for him.
_LOCK = """
SELECT pg_advisory_xact_lock(hashtext('billing hold'), budget_id::int)
FROM unnest(%b::bigint[]) AS budget_id
"""

_DECIDE = f"""
WITH {levels.LEVELS}, chain AS (
    SELECT {levels.SIGNATURE} = %b::text AS is_current
), known AS (
    SELECT 1 FROM {Hold._meta.db_table}
    WHERE api_key = %b::bigint AND key = %b::text AND key <> ''
), made AS (
    INSERT INTO {Hold._meta.db_table} (id, team_id, project_id, api_key, key, fingerprint,
        provider, model_name, amount, bound, made_at, expires_at, state)
    SELECT %b::uuid, %b::bigint, %b::bigint, %b::bigint, %b::text, %b::bytea, %b::text,
        %b::text, %b::numeric, %b::text, statement_timestamp(),
        statement_timestamp() + %b::int * interval '1 second', 'held'
    FROM chain
    WHERE chain.is_current AND NOT EXISTS (SELECT FROM known) AND NOT EXISTS (
        SELECT FROM level
        WHERE reserves AND (spent + held + %b::numeric <= cap) IS NOT TRUE)
    ON CONFLICT DO NOTHING
    RETURNING id, amount, made_at, expires_at
), part AS (
    INSERT INTO {HoldPart._meta.db_table} (hold_id, budget_id, period_start, amount, until)
    SELECT made.id, budget_id, period_start, made.amount, made.expires_at
    FROM made CROSS JOIN asked WHERE reserves
)
SELECT budget_id, period_start, spent, held, made.made_at, made.expires_at,
    chain.is_current, EXISTS (SELECT FROM known)
FROM chain LEFT JOIN level ON true LEFT JOIN made ON true
"""


# Who waits for the locks does not wait for the disk, too. Who is told of a hold has waited
# for it, also he who asks again while the first answer is still on its way.
_FLUSH = f"""
SELECT {trips.FLUSH} FROM {Hold._meta.db_table}
WHERE id = %b::uuid OR (api_key = %b::bigint AND key = %b::text AND key <> '')
"""


class _Request:
    """One request for a hold, against the budgets as this process knows them."""

    def __init__(
        self,
        key: ApiKey,
        call: ExpectedCall,
        now: datetime,
        idempotency_key: str,
        chain: Chain,
    ) -> None:
        self._key = key
        self._call = call
        self._idempotency_key = idempotency_key
        self._chain = chain
        book = rate_book.recent(chain.organization.pk)
        cost = expected.cost(call, book.rates, now)
        self._amount = None if cost.cost is None else money.exact(cost.cost)
        self._bound = cost.bound
        its = Call(
            model_ids=book.models_called(call.provider, call.model),
            processing=call.processing or Processing.STANDARD,
            tags=call.tags,
        )
        until = now + timedelta(seconds=call.expires_in)
        self._slots = list(chain.slots(its, now, until))
        # An amount of nothing is no model that costs nothing.
        is_free = cost.is_free and expected.is_free(
            model=call.model,
            provider=call.provider,
            processing=call.processing,
            book=book.rates,
            at=now,
        )
        self._reserves = [_reserves(slot, is_free) for slot in self._slots]
        self._fingerprint = expected.fingerprint(call, chain.owner.project_id)

    def decide(self) -> Decision | None:
        """None: the budgets are others by now."""
        hold = Hold(
            id=uuid7(),
            team_id=self._chain.owner.team_id,
            project_id=self._chain.owner.project_id,
            api_key=self._key.pk,
            key=self._idempotency_key,
            fingerprint=self._fingerprint,
            provider=self._call.provider or "",
            model_name=self._call.model,
            amount=self._amount,
            bound=self._bound,
            state=Hold.State.HELD,
        )
        rows = self._ask(hold)
        *_, hold.made_at, hold.expires_at, is_current, is_known = rows[0]
        if not is_current:
            return None
        if is_known:
            return self._again(rows)
        if hold.made_at is None:
            return self._refused(rows)
        return Decision(hold, hold.amount, hold.bound, self._levels(rows, hold.amount))

    def _refused(self, rows: Sequence[tuple[Any, ...]]) -> Decision | None:
        """By the first budget without room. None: a retry was made just now instead."""
        its = self._levels(rows)
        for level, reserves in zip(its, self._reserves, strict=True):
            if reserves and (self._amount is None or level.remaining < self._amount):
                resets_at = self._chain.days.start(level.slot.period.until)
                return Decision(None, self._amount, self._bound, its, level, resets_at)
        return None

    def _again(self, rows: Sequence[tuple[Any, ...]]) -> Decision | None:
        """The hold that was made under the key. None: it has been forgotten just now."""
        made = Hold.objects.filter(api_key=self._key.pk, key=self._idempotency_key)
        hold = made.first()
        if hold is None:
            return None
        if bytes(hold.fingerprint) != self._fingerprint:
            raise Reused("This idempotency key was sent before with another request.")
        ended = _ended(hold)
        return Decision(
            None if ended else hold,
            hold.amount,
            hold.bound,
            self._levels(rows),
            ended=ended,
        )

    def _levels(
        self, rows: Sequence[tuple[Any, ...]], amount: Decimal | None = None
    ) -> list[Level]:
        """In the order of the slots; with the amount in those that now reserve it."""
        found = levels.of_rows(self._slots, rows)
        if amount is None:
            return found
        return [
            replace(level, held=level.held + amount) if reserves else level
            for level, reserves in zip(found, self._reserves, strict=True)
        ]

    def _ask(self, hold: Hold) -> list[tuple[Any, ...]]:
        """Lock and decide in one go: who has the locks waits for no one but the server."""
        reserved = {
            slot.budget.pk
            for slot, reserves in zip(self._slots, self._reserves, strict=True)
            if reserves
        }
        lock = [Statement(_LOCK, [sorted(reserved)])] if reserved else []
        decide = Statement(_DECIDE, self._parameters(hold))
        flush = Statement(_FLUSH, [hold.pk, hold.api_key, hold.key])
        *_, rows = trips.at_once(self._chain.team_ids, [*lock, decide], flush=flush)
        return rows

    def _parameters(self, hold: Hold) -> list[Any]:
        return [
            *levels.parameters(self._slots, self._reserves),
            *(*self._chain.place, self._chain.signature),
            *(hold.api_key, hold.key),
            *(hold.id, hold.team_id, hold.project_id, hold.api_key, hold.key),
            *(hold.fingerprint, hold.provider, hold.model_name, hold.amount, hold.bound),
            *(self._call.expires_in, hold.amount),
        ]


def _ended(hold: Hold) -> str:
    """Why it reserves nothing any more, without having been used; else nothing."""
    if hold.state == Hold.State.RELEASED:
        return "been released"
    has_expired = hold.expires_at <= server_clock.now()
    return "expired" if hold.state == Hold.State.HELD and has_expired else ""


def _reserves(slot: Slot, is_free: bool) -> bool:
    return slot.budget.hard and not (is_free and slot.budget.exempt_free)


# --- Ended --------------------------------------------------------------------------


def release(*, key: ApiKey, hold_id: UUID) -> bool:
    """Give back what is held. What has ended, or is settling, stays what it is.

    Whether the key covers such a hold.
    """
    its = [hold_id, key.organization_id, key.team_id, key.project_id]
    ((is_covered,),) = trips.at_once([], [Statement(_RELEASE, its)])[0]
    return bool(is_covered)


_RELEASE = f"""
WITH covered AS (
    SELECT hold.id FROM {Hold._meta.db_table} hold
    JOIN {Project._meta.db_table} project ON project.id = hold.project_id
    WHERE hold.id = %b::uuid AND project.organization_id = %b::bigint
        AND hold.team_id = coalesce(%b::bigint, hold.team_id)
        AND hold.project_id = coalesce(%b::bigint, hold.project_id)
), released AS (
    UPDATE {Hold._meta.db_table} SET state = 'released'
    WHERE id IN (SELECT id FROM covered) AND state = 'held' RETURNING id
), part AS (
    DELETE FROM {HoldPart._meta.db_table} WHERE hold_id IN (SELECT id FROM released)
)
SELECT EXISTS (SELECT FROM covered)
"""

# A hold ends with the one record that it settles with.
_SETTLE = f"""
WITH settled AS (
    UPDATE {Hold._meta.db_table} SET state = 'settled'
    WHERE id = ANY(%s::uuid[]) AND record_uid = ANY(%s::uuid[]) AND state = 'settling'
    RETURNING id
)
DELETE FROM {HoldPart._meta.db_table} WHERE hold_id IN (SELECT id FROM settled)
"""


def settle(records: Iterable[Recorded]) -> None:
    """End the holds of records that are counted, or void, in the same transaction."""
    its = sorted((record.hold, record.uid) for record in records if record.hold)
    if its:
        with connection.cursor() as cursor:
            cursor.execute(_SETTLE, [[hold for hold, _ in its], [uid for _, uid in its]])


# Until then retries find it, and records that come late.
_FORGET = f"""
WITH old AS (
    SELECT id FROM {Hold._meta.db_table}
    WHERE expires_at < statement_timestamp() - interval '1 day' AND state <> 'settling'
    ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED
), part AS (
    DELETE FROM {HoldPart._meta.db_table} WHERE hold_id IN (SELECT id FROM old)
)
DELETE FROM {Hold._meta.db_table} WHERE id IN (SELECT id FROM old)
"""


def forget() -> int:
    """Delete some of the holds that ended a day ago; how many."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [_FORGOTTEN_AT_ONCE])
        return int(cursor.rowcount)
