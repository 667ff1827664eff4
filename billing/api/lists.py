"""Lists that are read 200 at a time: by `cursor=`, which the answer before names."""

import re
from collections.abc import Mapping
from typing import TypeVar

from django.db.models import Model, QuerySet

from billing.api.problems import Refused

T = TypeVar("T", bound=Model)
LIMIT = 200
_ID = re.compile(r"[0-9]{1,18}")


def newest(rows: QuerySet[T], asked: Mapping[str, str]) -> tuple[list[T], str | None]:
    """The next of these rows, newest first, and the cursor of those after them; None at
    the end. Raises Refused (400)."""
    return _cut(rows.order_by("-pk"), "pk__lt", asked)


def oldest(rows: QuerySet[T], asked: Mapping[str, str]) -> tuple[list[T], str | None]:
    """Like `newest`, oldest first."""
    return _cut(rows.order_by("pk"), "pk__gt", asked)


def number(name: str, value: str) -> int:
    """A parameter that is the id of something. Raises Refused (400)."""
    if not _ID.fullmatch(value):
        raise Refused(400, "invalid", f"{name}= is a number that an answer named.")
    return int(value)


def _cut(
    rows: QuerySet[T], beyond: str, asked: Mapping[str, str]
) -> tuple[list[T], str | None]:
    if "cursor" in asked:
        rows = rows.filter(**{beyond: number("cursor", asked["cursor"])})
    found = list(rows[: LIMIT + 1])
    shown = found[:LIMIT]
    return shown, str(shown[-1].pk) if len(found) > LIMIT else None
