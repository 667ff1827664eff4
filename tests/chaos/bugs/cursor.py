"""Counting remembers how far it has come, and takes the postings beyond that.

A posting is named before its transaction commits. One that commits after a later one has
been counted lies behind the mark for good.
"""

from types import ModuleType
from typing import Any

TARGET = "billing.actions.post"
SQL = """
CREATE TABLE chaos_cursor (team_id bigint PRIMARY KEY, uid uuid NOT NULL);
GRANT ALL ON chaos_cursor TO purser_app, purser_worker
"""

_BEYOND = """
SELECT uid, record_uids, months FROM billing_posting
WHERE team_id = %s
AND uid > coalesce((SELECT uid FROM chaos_cursor WHERE team_id = %s),
                   '00000000-0000-0000-0000-000000000000')
ORDER BY uid LIMIT 500
"""
_MARK = """
INSERT INTO chaos_cursor VALUES (%s, %s)
ON CONFLICT (team_id) DO UPDATE SET uid = excluded.uid
"""


def plant(post: ModuleType) -> None:
    true_finish = post._finish

    def claim(team_id: int, only: Any) -> Any:
        with post.connection.cursor() as cursor:
            cursor.execute(_BEYOND, [team_id, team_id])
            rows = cursor.fetchall()
        return post._Claim(
            posting_uids=[uid for uid, _, _ in rows],
            record_uids=[uid for _, uids, _ in rows for uid in uids],
            months=sorted({month for _, _, months in rows for month in months}),
        )

    def finish(team_id: int, posting_uids: list[Any]) -> None:
        with post.connection.cursor() as cursor:
            cursor.execute(_MARK, [team_id, max(posting_uids)])
        true_finish(team_id, posting_uids)

    post._claim, post._finish = claim, finish
