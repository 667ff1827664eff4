"""Row-level security: which teams' rows the current transaction may touch.

The scoped querysets are the first fence; this is the second, and it holds for raw SQL
as well. The role `purser_app` sees a row of a team only while that team is named in
`purser.teams`. It is set with SET LOCAL, which ends with the transaction (a pooled
connection carries nothing over) and reaches the shards of a distributed table, as
`set_config()` does not.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def visible_teams(team_ids: Iterable[int]) -> Iterator[None]:
    """A transaction in which the rows of these teams, and no others, are visible.

    Inside another one it narrows (or widens) what is visible until it ends.
    """
    before = _setting() if connection.in_atomic_block else None
    with transaction.atomic():
        _set(_listed(team_ids))
        yield
        if before is not None:
            # The setting outlives a savepoint that is released (not one rolled back).
            _set(before)


def setting(team_ids: Iterable[int]) -> str:
    """The statement that makes the rows of these teams visible."""
    # SET takes no bound parameter; this is digits and commas by construction.
    return f"SET LOCAL purser.teams = '{_listed(team_ids)}'"


def _listed(team_ids: Iterable[int]) -> str:
    return ",".join(str(int(team_id)) for team_id in team_ids)


def _setting() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_setting('purser.teams', true), '')")
        return str(cursor.fetchone()[0])


def _set(listed: str) -> None:
    with connection.cursor() as cursor:
        # SET takes no bound parameter; this is digits and commas by construction.
        cursor.execute(f"SET LOCAL purser.teams = '{listed}'")
