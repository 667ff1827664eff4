"""Corrections at the door: a record that says which one it stands in the place of.

The one it corrects is void from then on, in the transaction that stores the new one. Both
are facts of their own, and each record is corrected, or taken back, once.
"""

from collections.abc import Callable, Container, Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple, Protocol, TypeVar

from billing.actions import voids
from billing.actions.voids import Voided
from billing.formats.posted import PostedRecord
from billing.models import UsageRecord, Void, bound

Identity = tuple[int, str, date]
"""Project, id and UTC month: with the team, what makes two postings one record."""

REASON = "Corrected"

# In one request: each link costs a round of statements.
_LONGEST_CHAIN = 16


class Correction(Protocol):
    """A record that arrived and names the one it corrects."""

    uid: str
    posted: PostedRecord
    project_id: int

    @property
    def identity(self) -> Identity: ...


AnyCorrection = TypeVar("AnyCorrection", bound=Correction)


class Refusal(NamedTuple):
    """Why a correction is not stored: a conflict, unless there is nothing to correct."""

    code: str
    detail: str


@dataclass(slots=True)
class Stored:
    """What became of some corrections: those that are not refused are recorded."""

    voided: list[Voided] = field(default_factory=list)
    refused: dict[Identity, Refusal] = field(default_factory=dict)


class Overtaken(Exception):
    """Another request stored the same record just now: look again."""


def store(
    *,
    team_id: int,
    corrections: Sequence[AnyCorrection],
    insert: Callable[[list[AnyCorrection]], Set[str]],
    held: Callable[[list[AnyCorrection]], Container[Identity]],
    by: str,
    now: datetime,
) -> Stored:
    """Store those of these records that can be, and void what they correct.

    `insert` stores and posts records and returns the uids of the new ones; `held` says
    which are recorded already. The caller posts what is voided. What they correct may
    be among these, or recorded before.

    Raises Overtaken when one of them is recorded meanwhile; nothing may be committed then.
    """
    stored = Stored()
    for its in _one_after_the_other(corrections):
        known = held(its)
        new = [one for one in its if one.identity not in known]
        _store(team_id, new, insert, held, by, now, stored)
    return stored


def _one_after_the_other(
    corrections: Sequence[AnyCorrection],
) -> Iterator[list[AnyCorrection]]:
    """Those that correct each other, in turn; together where it is a circle, or too long.

    What they correct is not here then.
    """
    left = list(corrections)
    for _ in range(_LONGEST_CHAIN):
        to_come = {(one.project_id, one.posted.id) for one in left}
        now = [one for one in left if _target(one) not in to_come]
        if not now:
            break
        yield now
        left = [one for one in left if _target(one) in to_come]
    if left:
        yield left


def _store(
    team_id: int,
    corrections: list[AnyCorrection],
    insert: Callable[[list[AnyCorrection]], Set[str]],
    held: Callable[[list[AnyCorrection]], Container[Identity]],
    by: str,
    now: datetime,
    stored: Stored,
) -> None:
    if not corrections:
        return
    corrected = _corrected(team_id, corrections)
    rows: dict[str, Voided] = {}
    for one in corrections:
        found = corrected.get(_target(one))
        if found is None:
            stored.refused[one.identity] = _unknown(one)
        else:
            rows.setdefault(found.uid, _row(one, found, by, now))
    taken = voids.insert(team_id, list(rows.values()))
    accepted: list[AnyCorrection] = []
    too_late: list[AnyCorrection] = []
    for one in corrections:
        if one.identity in stored.refused:
            continue
        row = rows[corrected[_target(one)].uid]
        is_ours = row.record_uid in taken and row.corrected_by == one.uid
        (accepted if is_ours else too_late).append(one)
    _insert(accepted, insert)
    stored.voided += [row for row in rows.values() if row.record_uid in taken]
    _refuse(team_id, too_late, corrected, held, stored)


def _insert(
    accepted: list[AnyCorrection], insert: Callable[[list[AnyCorrection]], Set[str]]
) -> None:
    if accepted and len(insert(accepted)) < len(accepted):
        raise Overtaken


class _Corrected(NamedTuple):
    """A record that one corrects: the latest of its id."""

    project_id: int
    record_id: str
    uid: str
    month: date


_CORRECTED = f"""
SELECT DISTINCT ON (project_id, record_id) project_id, record_id, uid::text, month
FROM {UsageRecord._meta.db_table}
JOIN unnest(%b::bigint[], %b::text[]) AS asked (project_id, record_id)
USING (project_id, record_id)
WHERE team_id = %b::bigint
ORDER BY project_id, record_id, month DESC
"""


def _corrected(
    team_id: int, corrections: Sequence[Correction]
) -> dict[tuple[int, str], _Corrected]:
    asked = sorted({_target(one) for one in corrections})
    columns = [list(values) for values in zip(*asked, strict=True)]
    with bound.cursor() as cursor:
        cursor.execute(_CORRECTED, [*columns, team_id])
        rows = [_Corrected(*row) for row in cursor.fetchall()]
    return {(row.project_id, row.record_id): row for row in rows}


def _target(one: Correction) -> tuple[int, str]:
    return one.project_id, one.posted.corrects or ""


def _row(one: Correction, found: _Corrected, by: str, now: datetime) -> Voided:
    return Voided(
        record_uid=found.uid,
        month=found.month,
        project_id=found.project_id,
        record_id=found.record_id,
        voided_at=now,
        voided_by=by,
        reason=REASON,
        corrected_by=one.uid,
        correction_id=one.posted.id,
    )


# --- Refused ------------------------------------------------------------------------


def _unknown(one: Correction) -> Refusal:
    return Refusal(
        "unknown_record", f"No record {one.posted.corrects!r} of this project is here."
    )


def _refuse(
    team_id: int,
    too_late: list[AnyCorrection],
    corrected: dict[tuple[int, str], _Corrected],
    held: Callable[[list[AnyCorrection]], Container[Identity]],
    stored: Stored,
) -> None:
    """What they correct is void. One that is recorded by now was the one to do it."""
    known = held(too_late) if too_late else ()
    its = [corrected[_target(one)] for one in too_late]
    found = Void.objects.filter(
        team_id=team_id,
        month__in={one.month for one in its},
        record_uid__in={one.uid for one in its},
    )
    standing = {str(row.record_uid): row for row in found}
    for one in too_late:
        if one.identity not in known:
            row = standing[corrected[_target(one)].uid]
            stored.refused[one.identity] = _too_late(one, row)


def _too_late(one: Correction, row: Void) -> Refusal:
    if row.corrected_by is None:
        return Refusal("already_void", f"{one.posted.corrects!r} was taken back.")
    return Refusal(
        "already_corrected",
        f"{one.posted.corrects!r} was corrected by {row.correction_id!r}.",
    )
