"""The rules of docs/adr/0003 and of teams/isolation.py, held for every statement.

R7   One transaction writes to the ledger of one team: the one that `SET LOCAL
     purser.teams` names in it.
R8   An UPDATE, a DELETE and a locking SELECT on a distributed table say which team:
     `team_id =`, `= ANY` or `IN` in their WHERE.
R9   No correlated subquery, EXISTS or LATERAL from a table that is copied to every
     server into a distributed one.
R10  No trigger, and no clock in ON CONFLICT DO UPDATE.
RLS  `purser.teams` is set with SET LOCAL only.

What is meant for all teams (upkeep by the owner) says so: `/*fanout*/` lifts R7 and R8.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from django.apps import apps
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.transaction import Atomic

from billing.models import placement
from tests.guards.sql_queries import Query, inserted_teams, queries, required_teams
from tests.guards.sql_text import Items, Token, after, deep, names, says, statements

FANOUT = "/*fanout*/"
_CLOCKS = (
    *("now", "clock_timestamp", "statement_timestamp", "transaction_timestamp"),
    *("current_timestamp", "current_date", "current_time", "localtimestamp", "localtime"),
)


class Tables(NamedTuple):
    distributed: frozenset[str]
    others: frozenset[str]

    @classmethod
    def of_models(cls) -> "Tables":
        def tables(labels: frozenset[str]) -> frozenset[str]:
            return frozenset(apps.get_model(label)._meta.db_table for label in labels)

        return cls(
            tables(placement.DISTRIBUTED), tables(placement.REFERENCE | placement.LOCAL)
        )


class Write(NamedTuple):
    verb: str
    table: str
    teams: tuple[Token, ...]


@dataclass(frozen=True)
class Reading:
    """What a statement means to the rules, whatever its parameters are."""

    complaints: tuple[str, ...] = ()
    names_teams: frozenset[int] | None = None
    writes: tuple[Write, ...] = ()


@lru_cache(maxsize=10_000)
def read(sql: str, tables: Tables) -> Reading:
    """Read a text once; statements come again and again."""
    parts = [_read_one(items, tables) for items in statements(sql)]
    if FANOUT in sql:
        parts = [_lifted(part) for part in parts]
    named = [part.names_teams for part in parts if part.names_teams is not None]
    return Reading(
        complaints=tuple(one for part in parts for one in part.complaints),
        names_teams=named[-1] if named else None,
        writes=tuple(write for part in parts for write in part.writes),
    )


def _lifted(part: Reading) -> Reading:
    kept = tuple(one for one in part.complaints if not one.startswith("R8"))
    return Reading(kept, part.names_teams)


def _read_one(items: Items, tables: Tables) -> Reading:
    if says(items[0], "set"):
        return _read_setting(items)
    if says(items[0], "create"):
        return _read_definition(items)
    if not says(items[0], "with", "select", "insert", "update", "delete", "merge"):
        return Reading()
    inside = list(queries(items))
    complaints = [_sets_config(items), *(_unbound(one, tables) for one in inside)]
    complaints += [_correlated(one, tables) for one in inside]
    complaints += [_reads_clock(one) for one in inside]
    writes = [_write(one) for one in inside if one.verb != "select"]
    return Reading(
        tuple(one for one in complaints if one),
        writes=tuple(one for one in writes if one.table in tables.distributed),
    )


# --- One rule each: a sentence, or nothing ------------------------------------------


def _read_setting(items: Items) -> Reading:
    """SET LOCAL purser.teams = '1,2'."""
    local = says(items[1], "local")
    setting, value = items[1 + local : 4 + local], items[-1]
    if [getattr(item, "text", "") for item in setting] != ["purser", ".", "teams"]:
        return Reading()
    if not local:
        return Reading(("RLS: purser.teams is set for longer than the transaction",))
    return Reading(names_teams=frozenset(map(int, re.findall(r"\d+", value.text))))


def _sets_config(items: Items) -> str | None:
    arguments = after(items, "set_config")
    if any(token.text == "'purser.teams'" for token in deep(arguments)):
        return "RLS: purser.teams is set with set_config(), which reaches no shard"
    return None


def _read_definition(items: Items) -> Reading:
    """CREATE [OR REPLACE] [CONSTRAINT | EVENT] TRIGGER."""
    if any(says(item, "trigger") for item in items[1:5]):
        return Reading(("R10: a trigger is made",))
    return Reading()


def _unbound(query: Query, tables: Tables) -> str | None:
    if query.verb == "insert" or (query.verb == "select" and not query.locks):
        return None
    touched = [one.table for one in query.tables if one.table in tables.distributed]
    if not touched or required_teams(query.where) is not None:
        return None
    verb = "SELECT … FOR" if query.verb == "select" else query.verb.upper()
    return f"R8: {verb} on {touched[0]} without team_id in its WHERE"


def _correlated(query: Query, tables: Tables) -> str | None:
    inner = [one.table for one in query.tables if one.table in tables.distributed]
    if not inner:
        return None
    own = {one.alias for part in queries(query.items) for one in part.tables}
    for outer in query.enclosing():
        if {one.table for one in outer.tables} & tables.distributed:
            continue
        for table, alias in outer.tables:
            depends = query.introduced_by in ("exists", "lateral")
            depends = depends or (alias not in own and _mentions(query.items, alias))
            if table in tables.others and depends:
                return f"R9: a correlated subquery from {table} into {inner[0]}"
    return None


def _mentions(items: Items, alias: str) -> bool:
    """Whether a column of this alias is used: `alias.column`."""
    tokens = list(deep(items))
    return any(
        names(token, alias) and says(following, ".")
        for token, following in pairwise(tokens)
    )


def _reads_clock(query: Query) -> str | None:
    if query.verb != "insert":
        return None
    update = after(after(query.items, "conflict"), "update")
    if any(says(token, *_CLOCKS) for token in deep(update)):
        return "R10: ON CONFLICT DO UPDATE reads the clock"
    return None


def _write(query: Query) -> Write:
    if query.verb == "insert":
        teams = inserted_teams(query.items)
    else:
        teams = required_teams(query.where) or []
    target = query.tables[0].table if query.tables else ""
    return Write(query.verb, target, tuple(teams))


# --- The guard ----------------------------------------------------------------------


class Scope(NamedTuple):
    """The teams that an atomic block named."""

    block: Atomic
    teams: frozenset[int]


class SqlGuard:
    """For `connection.execute_wrapper`. Raises AssertionError, and remembers it: code
    under test may catch what a record breaks.
    """

    def __init__(self, tables: Tables | None = None) -> None:
        self._tables = tables or Tables.of_models()
        self._scopes: WeakKeyDictionary[BaseDatabaseWrapper, list[Scope]]
        self._scopes = WeakKeyDictionary()
        self.violations: list[str] = []

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: Any,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        text = sql if isinstance(sql, str) else sql.as_string(None)
        connection = context["connection"]
        params = list(params) if many else params
        for complaint in self._complaints(text, params if many else [params], connection):
            self.violations.append(f"{complaint}: {' '.join(text.split())}")
            raise AssertionError(self.violations[-1])
        return execute(sql, params, many, context)

    def _complaints(
        self, sql: str, rows: Any, connection: BaseDatabaseWrapper
    ) -> Iterator[str]:
        reading = read(sql, self._tables)
        if reading.names_teams is not None and connection.atomic_blocks:
            block = connection.atomic_blocks[-1]
            scopes = [*self._running(connection), Scope(block, reading.names_teams)]
            self._scopes[connection] = scopes
        yield from reading.complaints
        if reading.writes:
            named = self._named_teams(connection)
            for write in reading.writes:
                yield from _strays(write, rows, named)

    def _named_teams(self, connection: BaseDatabaseWrapper) -> frozenset[int]:
        """What the innermost running block that named teams has named."""
        running = self._running(connection)
        return running[-1].teams if running else frozenset()

    def _running(self, connection: BaseDatabaseWrapper) -> list[Scope]:
        scopes = self._scopes.get(connection, [])
        return [scope for scope in scopes if scope.block in connection.atomic_blocks]


def _strays(write: Write, rows: Any, named: frozenset[int]) -> Iterator[str]:
    what = f"R7: {write.verb.upper()} on {write.table}"
    if len(named) != 1:
        listed = ", ".join(map(str, sorted(named))) or "none"
        yield f"{what} while the transaction names teams: {listed}"
        return
    for params in rows:
        others = {team for token in write.teams for team in _team(token, params)} - named
        if others:
            yield f"{what} for team {min(others)} in a transaction of team {min(named)}"


def _team(token: Token, params: Any) -> list[int]:
    if token.kind == "literal":
        return [int(digits) for digits in re.findall(r"\d+", token.text)]
    value = params[token.text] if isinstance(params, Mapping) else params[int(token.text)]
    values = value if isinstance(value, list | tuple) else [value]
    return [one for one in values if isinstance(one, int)]


@contextmanager
def guarding() -> Iterator[SqlGuard]:
    """Guard every connection, also those that threads open meanwhile.

    At the end it fails for what was caught on the way: code that swallows exceptions
    does not swallow a violation.
    """
    guard = SqlGuard()
    guarded: list[BaseDatabaseWrapper] = []

    def watch(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        if guard not in connection.execute_wrappers:
            connection.execute_wrappers.append(guard)
            guarded.append(connection)

    for connection in connections.all(initialized_only=True):
        watch(connection)
    connection_created.connect(watch, weak=False)
    try:
        yield guard
    finally:
        connection_created.disconnect(watch)
        for connection in guarded:
            if guard in connection.execute_wrappers:
                connection.execute_wrappers.remove(guard)
    if guard.violations:
        raise AssertionError("\n".join(guard.violations))
