"""Counting takes a posting away, commits that, and then does its work."""

from threading import local
from types import ModuleType
from typing import Any
from uuid import UUID

TARGET = "billing.actions.post"
SQL = ""


def plant(post: ModuleType) -> None:
    mine = local()  # of each thread of the web server
    true_claim, true_finish, true_count = post._claim, post._finish, post.count

    def count(*, team_id: int, now: Any, only: UUID | None = None) -> int:
        with post.isolation.visible_teams([team_id]):
            claim = true_claim(team_id, only)
            if claim.posting_uids:
                true_finish(team_id, claim.posting_uids)
        if not claim.posting_uids:
            return 0
        mine.claim = claim
        done: int = true_count(team_id=team_id, now=now, only=only)
        return done

    post.count = count
    post._claim = lambda team_id, only: mine.claim
