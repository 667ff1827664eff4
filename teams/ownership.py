"""Which team owned a project at a moment, for what an API key covers."""

from bisect import bisect_right
from collections import defaultdict
from datetime import datetime, timedelta
from typing import NamedTuple

from teams.models import ApiKey, Ownership
from teams.recent import Recent

# How far ahead of our clock a record may say it happened.
RECORDS_AHEAD = timedelta(minutes=10)

# A move must lie beyond every record that can have been taken, or is being taken now:
# else a retry would find another owner than the first posting did, and count twice.
MOVES_AHEAD = RECORDS_AHEAD + timedelta(minutes=5)

# How old the index of a key may be. What is left of the five minutes above is for clocks
# that differ, and for moves and records that are on their way.
HELD_SECONDS = 30


class NotCovered(LookupError):
    """No project of this name that the key may act for at that moment.

    The sentence does not tell whether another team has such a project.
    """


class Owner(NamedTuple):
    project_id: int
    team_id: int


class _History(NamedTuple):
    """Who owned a project from when; None where the key may not act for the owner."""

    starts: list[datetime]
    owners: list[Owner | None]


class OwnerIndex:
    """Answers for one key; reads each project's history once.

    A move lies so far ahead that an index may be some seconds old. Only a project that
    was made meanwhile is missing in it.
    """

    def __init__(self, key: ApiKey) -> None:
        self._key = key
        self._histories = self._read()

    @classmethod
    def recent(cls, key: ApiKey) -> "OwnerIndex":
        """One that this process has read a moment ago, or a new one."""
        return _recent.get(key.pk) or cls.current(key)

    @classmethod
    def current(cls, key: ApiKey) -> "OwnerIndex":
        return _recent.keep(key.pk, cls(key))

    def owner(self, slug: str | None, at: datetime) -> Owner:
        """The project and its owner at this moment. Without a slug, the key's own one.

        Raises NotCovered.
        """
        history = self._histories.get(self._slug(slug))
        if history is not None:
            position = bisect_right(history.starts, at)
            owner = history.owners[position - 1] if position else None
            if owner is not None:
                return owner
        raise NotCovered(f"This API key covers no project {slug!r} at that time.")

    def _slug(self, slug: str | None) -> str:
        if slug is not None:
            return slug
        known = list(self._histories)
        if len(known) == 1:
            return known[0]
        raise NotCovered(
            "Name the project: this API key covers several."
            if known
            else "This API key covers no project yet."
        )

    def _read(self) -> dict[str, _History]:
        rows: dict[str, _History] = {}
        histories: dict[str, list[Ownership]] = defaultdict(list)
        for ownership in (
            Ownership.objects.filter(project__in=self._key.projects())
            .select_related("project")
            .order_by("project", "effective_from")
        ):
            histories[ownership.project.slug].append(ownership)
        for slug, history in histories.items():
            rows[slug] = _History(
                starts=[ownership.effective_from for ownership in history],
                owners=[self._owner(ownership) for ownership in history],
            )
        return rows

    def _owner(self, ownership: Ownership) -> Owner | None:
        if not self._key.may_act_for(ownership.team_id):
            return None
        return Owner(ownership.project_id, ownership.team_id)


_recent: Recent[int, OwnerIndex] = Recent(HELD_SECONDS)


def owner(key: ApiKey, slug: str | None, at: datetime) -> Owner:
    """The project and its owner, also where it was made a moment ago. Raises NotCovered."""
    try:
        return OwnerIndex.recent(key).owner(slug, at)
    except NotCovered:
        return OwnerIndex.current(key).owner(slug, at)
