"""The queries in a statement: which tables each names, and which teams it is held to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.guards.sql_text import (
    Items,
    Token,
    after,
    before,
    deep,
    names,
    position,
    says,
    split,
)

VERBS = ("select", "insert", "update", "delete", "merge")

# What a table name, or a comma in front of the next one, can follow.
_OPENERS = ("from", "join", "into", "update", "using")
# What ends a list of tables.
_CLOSERS = (
    *("where", "set", "values", "select", "returning", "conflict", "do"),
    *("group", "order", "having", "limit", "offset", "fetch", "window", "for"),
    *("union", "except", "intersect"),
)
# What follows a table and is no alias of it.
_NOT_AN_ALIAS = (
    *_CLOSERS,
    *_OPENERS,
    *("on", "inner", "left", "right", "full", "cross", "natural", "default"),
    *("overriding", "tablesample", "when", "as"),
)
_AFTER_WHERE = (
    *("group", "order", "having", "limit", "offset", "fetch", "window", "for"),
    *("union", "except", "intersect", "returning", "on"),
)


class Named(NamedTuple):
    """A table in a query, and the name that its columns go by there."""

    table: str
    alias: str


@dataclass(frozen=True)
class Query:
    """A statement, or a query in parentheses inside it."""

    items: Items
    introduced_by: str
    outer: "Query | None"

    @property
    def verb(self) -> str:
        return str(next(item.text for item in self.items if says(item, *VERBS)))

    @property
    def tables(self) -> list[Named]:
        return list(_tables(self.items))

    @property
    def where(self) -> Items:
        return before(after(self.items, "where"), *_AFTER_WHERE)

    @property
    def locks(self) -> bool:
        """FOR [NO KEY] UPDATE, FOR [KEY] SHARE."""
        return self.verb == "select" and says(
            next(iter(after(self.items, "for")), None), "update", "share", "no", "key"
        )

    def enclosing(self) -> Iterator["Query"]:
        query = self.outer
        while query is not None:
            yield query
            query = query.outer


def queries(items: Items, outer: Query | None = None, word: str = "") -> Iterator[Query]:
    query = outer
    if _is_query(items):
        query = Query(items, word, outer)
        yield query
    for at, item in enumerate(items):
        if isinstance(item, tuple):
            previous = items[at - 1] if at else None
            text = previous.text if isinstance(previous, Token) else ""
            yield from queries(item, query, text)


def _is_query(items: object) -> bool:
    if not (isinstance(items, tuple) and items and says(items[0], "with", *VERBS)):
        return False
    return any(says(item, *VERBS) for item in items)


# --- Tables -------------------------------------------------------------------------


def _tables(items: Items) -> Iterator[Named]:
    expected = listing = False
    for at, item in enumerate(items):
        if _opens(items, at):
            expected = listing = True
        elif says(item, *_CLOSERS):
            expected = listing = False
        elif listing and says(item, ","):
            expected = True
        elif expected and not says(item, "only", "lateral"):
            expected = False
            yield _named(items, at)


def _opens(items: Items, at: int) -> bool:
    """FROM and UPDATE, but not DISTINCT FROM, FOR UPDATE or DO UPDATE."""
    previous = items[at - 1] if at else None
    return says(items[at], *_OPENERS) and not says(previous, "distinct", "for", "key", "do")


def _named(items: Items, at: int) -> Named:
    table = items[at].text if isinstance(items[at], Token) else ""
    while at + 2 < len(items) and says(items[at + 1], "."):
        at += 2
        table = items[at].text
    rest = items[at + 1 :]
    if rest and isinstance(rest[0], tuple):  # the arguments of a function
        rest = rest[1:]
    if rest and says(rest[0], "as"):
        rest = rest[1:]
    has_alias = rest and isinstance(rest[0], Token) and rest[0].is_name
    if has_alias and not says(rest[0], *_NOT_AN_ALIAS):
        return Named(table, rest[0].text)
    return Named(table, table)


# --- Teams --------------------------------------------------------------------------


def required_teams(condition: Items) -> list[Token] | None:
    """What `team_id` has to equal for this to be true; None if it may be anything."""
    found: list[Token] = []
    for alternative in split(condition, "or"):
        required = [_required(part) for part in split(alternative, "and")]
        teams = next((one for one in required if one is not None), None)
        if teams is None:
            return None
        found += teams
    return found


def _required(condition: Items) -> list[Token] | None:
    """`team_id = …`, `= ANY (…)` or `IN (…)`, alone or as part of a row."""
    if len(condition) == 1 and isinstance(condition[0], tuple):
        return None if _is_query(condition[0]) else required_teams(condition[0])
    at = position(condition, lambda item: says(item, "=", "in"))
    if at is None:
        return None
    column, values = condition[:at], condition[at + 1 :]
    if not values or not _is_given(values):
        return None
    if len(column) in (1, 3) and names(column[-1], "team_id"):
        return _values(values)
    if len(column) == 1 and isinstance(column[0], tuple):
        return _required_of_rows(column[0], values[0], one=says(condition[at], "="))
    return None


def _is_given(values: Items) -> bool:
    """Values that stand in the statement, not another column and not a query."""
    first = values[1] if says(values[0], "any") and len(values) > 1 else values[0]
    if isinstance(first, tuple):
        return not _is_query(first)
    return not first.is_name


def _required_of_rows(columns: Items, values: Items, *, one: bool) -> list[Token] | None:
    at = _team_column(columns)
    if at is None or not isinstance(values, tuple):
        return None
    rows = [values] if one else [row for (row,) in split(values, ",")]
    return [token for row in rows for token in _values(split(row, ",")[at])]


def _team_column(columns: Items) -> int | None:
    listed = [part[-1] for part in split(columns, ",")]
    return position(tuple(listed), lambda item: names(item, "team_id"))


def inserted_teams(items: Items) -> list[Token]:
    """What an INSERT gives to `team_id`, as far as the statement says it."""
    target = after(items, "into")
    columns = next((item for item in target if isinstance(item, tuple)), ())
    at = _team_column(columns) if columns else None
    if at is None:
        return []
    return [token for row in _inserted_rows(target) for token in _values(row[at])]


def _inserted_rows(target: Items) -> Iterator[list[Items]]:
    """The expressions of each row: of VALUES, of a SELECT, or of its UNNEST."""
    for item in before(after(target, "values"), "on", "returning"):
        if isinstance(item, tuple):
            yield split(item, ",")
    selected = after(target, "select")
    expressions = split(before(selected, "from"), ",")
    if expressions == [(Token("mark", "*"),)]:
        arrays = after(selected, "unnest")
        expressions = split(arrays[0], ",") if arrays else []
    if expressions and expressions != [()]:
        yield expressions


def _values(items: Items) -> list[Token]:
    return [token for token in deep(items) if token.kind in ("parameter", "literal")]
