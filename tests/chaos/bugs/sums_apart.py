"""Counting commits the charges and adds them to the hourly sums in a transaction after."""

from threading import local
from types import ModuleType
from typing import Any

TARGET = "billing.actions.post"
SQL = ""


def plant(post: ModuleType) -> None:
    sums = post.charges.sums
    true_count, true_add = post.count, sums._add
    mine = local()  # of each thread of the web server

    def add(team_id: int, model: Any, period: str, *rest: Any) -> None:
        if period == "hour":
            mine.later.append((team_id, model, period, *rest))
        else:
            true_add(team_id, model, period, *rest)

    def count(*, team_id: int, **given: Any) -> int:
        mine.later = []
        done: int = true_count(team_id=team_id, **given)
        while mine.later:
            with post.isolation.visible_teams([team_id]):
                true_add(*mine.later.pop())
        return done

    sums._add, post.count = add, count
