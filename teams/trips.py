"""Several statements in one trip to the server, in a transaction of their own.

The driver's own pipeline writes and listens once for each statement, and each time
another thread may take the processor; here there is one message and one wait. A request
that asks the database one thing spends most of its time on just that.
"""

import re
import select
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import InvalidSqlStatementName, error_from_result
from psycopg.pq import ExecStatus, TransactionStatus

from teams import isolation

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

Rows = list[tuple[Any, ...]]


class Statement(NamedTuple):
    """Its parameters are marked as for `bound.cursor`, and their types said:
    `%b::bigint[]`."""

    text: str
    parameters: Sequence[Any]


def at_once(
    team_ids: Iterable[int],
    statements: Sequence[Statement],
    *,
    flush: Statement | None = None,
) -> list[Rows]:
    """The rows of each statement, while the rows of these teams are visible.

    Each sees what was committed before it began, and what those before it did. With
    `flush` the transaction, and every lock in it, ends before the disk has it: that
    statement, executed on its own after it, waits for the disk (`FLUSH`). Raises the
    errors of django.db; the caller does not know then whether anything has happened, but
    when it has happened all of it has. Inside a transaction they are executed one by one.
    """
    if connection.in_atomic_block:
        with isolation.visible_teams(team_ids):
            return [_within(statement) for statement in statements]
    connection.ensure_connection()
    driver: psycopg.Connection[Any] = connection.connection
    trip = _Trip(driver, isolation.setting(team_ids), statements, flush)
    with connection.wrap_database_errors:
        try:
            return trip.make()
        except InvalidSqlStatementName:
            # After a rollback the driver has the server forget all that it has planned.
            _planned.pop(driver, None)
            return trip.make()


# In the list of a SELECT: has each of its rows wait until the disk has what was committed
# before. (A commit waits for all that was written before its own record.)
FLUSH = "pg_logical_emit_message(true, 'purser', '')"


def _within(statement: Statement) -> Rows:
    with connection.cursor() as cursor:
        cursor.execute(statement.text.replace("%b", "%s"), statement.parameters)
        return cursor.fetchall() if cursor.description else []


# On one connection: records come in batches of many shapes, each a statement.
_MOST_PLANNED = 100
# By connection: the statements that the server has planned for it.
_planned: WeakKeyDictionary[psycopg.Connection[Any], set[bytes]] = WeakKeyDictionary()


class _Trip:
    """On one connection, which is in no transaction."""

    def __init__(
        self,
        driver: psycopg.Connection[Any],
        setting: str,
        statements: Sequence[Statement],
        flush: Statement | None,
    ) -> None:
        self._driver = driver
        self._server = driver.pgconn
        self._statements = statements
        self._flush = flush
        self._adapter = Transformer.from_context(driver)
        self._before = [b"BEGIN", setting.encode()]
        if flush:
            self._before.append(b"SET LOCAL synchronous_commit = off")

    def make(self) -> list[Rows]:
        try:
            with self._driver.lock:
                plans, results = self._exchange()
        finally:
            # What failed leaves the transaction open: its end was not executed either.
            if (
                not self._driver.closed
                and self._driver.info.transaction_status != TransactionStatus.IDLE
            ):
                self._driver.rollback()
        self._note(plans)
        for result in (*plans.values(), *results):
            if result.status == ExecStatus.FATAL_ERROR:
                raise error_from_result(result, self._driver.info.encoding)
        first = len(self._before)
        return [
            self._rows(result) for result in results[first : first + len(self._statements)]
        ]

    def _exchange(self) -> tuple[dict[bytes, "PGresult"], list["PGresult"]]:
        """What became of the plans by name, and of each statement."""
        self._server.enter_pipeline_mode()
        try:
            planned = self._send()
            results = list(self._results())
        finally:
            if not self._driver.closed:
                self._server.exit_pipeline_mode()
        plans = dict(zip(planned, results, strict=False))
        return plans, results[len(plans) :]

    def _send(self) -> list[bytes]:
        """Send all; the names of the statements that are planned for it."""
        known = _planned.setdefault(self._driver, set())
        statements = [*self._statements, *([self._flush] if self._flush else [])]
        named = [_named(statement.text) for statement in statements]
        new = {name: text for name, text in named if name not in known}
        if len(known) + len(new) > _MOST_PLANNED:
            new = {}
        for name, text in new.items():
            self._server.send_prepare(name, text)
        for text in self._before:
            self._server.send_query_params(text, None)
        for number, ((name, text), statement) in enumerate(
            zip(named, statements, strict=True), 1
        ):
            its = statement.parameters
            values = self._adapter.dump_sequence(its, [PyFormat.TEXT] * len(its))
            if name in known or name in new:
                self._server.send_query_prepared(name, values, result_format=_BINARY)
            else:
                self._server.send_query_params(text, values, result_format=_BINARY)
            if number == len(self._statements):
                self._server.send_query_params(b"COMMIT", None)
        self._server.pipeline_sync()
        return list(new)

    def _results(self) -> Iterator["PGresult"]:
        while True:
            self._wait()
            result = self._server.get_result()
            if result is None:  # between two of them
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                return
            yield result

    def _wait(self) -> None:
        """Until there is a result to be had; meanwhile other threads go on."""
        unsent = self._server.flush()
        if not (unsent or self._server.is_busy()):
            return
        poll = select.poll()
        poll.register(self._server.socket, _EVENTS[bool(unsent)])
        while unsent or self._server.is_busy():
            poll.poll()
            self._server.consume_input()
            if unsent and not (unsent := self._server.flush()):
                poll.modify(self._server.socket, _EVENTS[False])

    def _note(self, plans: Mapping[bytes, "PGresult"]) -> None:
        made = [name for name, one in plans.items() if one.status == ExecStatus.COMMAND_OK]
        _planned[self._driver].update(made)

    def _rows(self, result: "PGresult") -> Rows:
        if result.status != ExecStatus.TUPLES_OK:
            return []
        self._adapter.set_pgresult(result, format=_BINARY)
        return self._adapter.load_rows(0, result.ntuples, tuple)


_BINARY = pq.Format.BINARY

_EVENTS = {False: select.POLLIN, True: select.POLLIN | select.POLLOUT}


_MARK = re.compile("%[bs]")


@lru_cache(maxsize=_MOST_PLANNED)
def _named(text: str) -> tuple[bytes, bytes]:
    """A name for a statement, and the statement as the server reads it."""
    head, *rest = _MARK.split(text)
    numbered = "".join(f"${number}{part}" for number, part in enumerate(rest, 1))
    name = blake2b(text.encode(), digest_size=8).hexdigest()
    return f"purser_{name}".encode(), f"{head}{numbered}".encode()
