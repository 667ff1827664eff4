"""The door notes which records it has seen, commits that, and then stores them.

A request that fails in between is sent again, and answered as a duplicate.
"""

from types import ModuleType
from typing import Any

TARGET = "billing.actions.receive"
SQL = """
CREATE TABLE chaos_seen (team_id bigint, project_id bigint, record_id text, month date,
    PRIMARY KEY (team_id, project_id, record_id, month));
GRANT ALL ON chaos_seen TO purser_app, purser_worker
"""

_NOTE = "INSERT INTO chaos_seen VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"


def plant(receive: ModuleType) -> None:
    true_store = receive._store

    def store(team_id: int, arrivals: list[Any], rejected: int, **given: Any) -> Any:
        first = {one.identity: one for one in reversed(arrivals)}
        with receive.isolation.visible_teams([team_id]):
            new = [one for one in first.values() if note(team_id, one)]
        held = true_store(team_id, new, rejected, **given) if new else {}
        seen = {
            identity: receive.Stored(None, one.fingerprint, given["route"])
            for identity, one in first.items()
            if identity not in held
        }
        return held | seen

    def note(team_id: int, arrival: Any) -> bool:
        with receive.bound.cursor() as cursor:
            cursor.execute(_NOTE, [team_id, *arrival.identity])
            return bool(cursor.rowcount)

    receive._store = store
