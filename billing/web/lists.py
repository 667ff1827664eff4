"""Lists on pages, newest first, that are read on by the address: `before=` an id."""

import re
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import QueryDict

T = TypeVar("T", bound=Model)
SHOWN = 20
_BEFORE = "before"
_ID = re.compile("[0-9]{1,18}")


def newest(rows: QuerySet[T], query: QueryDict) -> tuple[list[T], str]:
    """The next 20 of these rows, and the query string of those before them; empty where
    these are the last."""
    before = query.get(_BEFORE, "")
    if _ID.fullmatch(before):
        rows = rows.filter(pk__lt=int(before))
    found = list(rows.order_by("-pk")[: SHOWN + 1])
    shown = found[:SHOWN]
    if len(found) == len(shown):
        return shown, ""
    older = query.copy()
    older[_BEFORE] = str(shown[-1].pk)
    return shown, f"?{older.urlencode()}"
