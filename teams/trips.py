"""Several statements in one trip to the server, in a transaction of their own.

The driver's own pipeline writes and listens once for each statement, and each time
another thread may take the processor; here there is one message and one wait. A request
that asks the database one thing spends most of its time on just that.
"""

import re
import select
from collections.abc import Iterable, Iterator, Sequence, Set
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
    with connection.wrap_database_errors:
        trip = _Trip(driver, isolation.setting(team_ids), statements, flush)
        try:
            return trip.make()
        except InvalidSqlStatementName:
            if trip.has_committed:
                raise
            # Something had the server forget its plans, as the driver does at times.
            _plans_of(driver).forget()
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


class _Plans:
    """The statements that the server has planned for a connection, by name."""

    def __init__(self) -> None:
        self.known: set[bytes] = set()
        self._times_forgotten = 0

    def name(self, statement: str) -> bytes:
        """One that was not used before the last time that plans were forgotten: some of
        them may still be there."""
        return b"purser_%d_%s" % (self._times_forgotten, _digest(statement))

    def forget(self) -> None:
        self.known.clear()
        self._times_forgotten += 1


_plans: WeakKeyDictionary[psycopg.Connection[Any], _Plans] = WeakKeyDictionary()


def _plans_of(driver: psycopg.Connection[Any]) -> _Plans:
    return _plans.setdefault(driver, _Plans())


class _Dumped(NamedTuple):
    """A statement with its parameters as they are sent."""

    text: str
    values: Sequence[Any]


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
        self._adapter = Transformer.from_context(driver)
        self._before = [b"BEGIN", setting.encode()]
        if flush:
            self._before.append(b"SET LOCAL synchronous_commit = off")
        self._statements = [self._dumped(statement) for statement in statements]
        self._behind = [self._dumped(flush)] if flush else []
        self.has_committed = False

    def _dumped(self, statement: Statement) -> _Dumped:
        its = statement.parameters
        values = self._adapter.dump_sequence(its, [PyFormat.TEXT] * len(its))
        return _Dumped(statement.text, values)

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
        _plans_of(self._driver).known.update(
            name for name, one in plans.items() if one.status == ExecStatus.COMMAND_OK
        )
        first = len(self._before)
        commit = first + len(self._statements)
        self.has_committed = results[commit].status == ExecStatus.COMMAND_OK
        for result in (*plans.values(), *results):
            if result.status == ExecStatus.FATAL_ERROR:
                raise error_from_result(result, self._driver.info.encoding)
        return [self._rows(result) for result in results[first:commit]]

    def _exchange(self) -> tuple[dict[bytes, "PGresult"], list["PGresult"]]:
        """What became of the plans by name, and of each statement."""
        self._server.enter_pipeline_mode()
        try:
            planned = self._send()
            results = list(self._results())
            self._server.exit_pipeline_mode()
        except BaseException:
            # Nobody knows what of it the server has read, or will answer yet.
            self._driver.close()
            raise
        plans = dict(zip(planned, results, strict=False))
        return plans, results[len(plans) :]

    def _send(self) -> list[bytes]:
        """Send all; the names of the statements that are planned for it."""
        plans = _plans_of(self._driver)
        all_of_them = [*self._statements, *self._behind]
        named = {plans.name(one.text): _numbered(one.text) for one in all_of_them}
        new = {name: text for name, text in named.items() if name not in plans.known}
        if len(plans.known) + len(new) > _MOST_PLANNED:
            new = {}
        for name, text in new.items():
            self._server.send_prepare(name, text)
        for text in self._before:
            self._server.send_query_params(text, None)
        usable = plans.known | new.keys()
        self._execute(self._statements, usable)
        self._server.send_query_params(b"COMMIT", None)
        self._execute(self._behind, usable)
        self._server.pipeline_sync()
        return list(new)

    def _execute(self, statements: Sequence[_Dumped], usable: Set[bytes]) -> None:
        for one in statements:
            name = _plans_of(self._driver).name(one.text)
            if name in usable:
                self._server.send_query_prepared(name, one.values, result_format=_BINARY)
            else:
                text = _numbered(one.text)
                self._server.send_query_params(text, one.values, result_format=_BINARY)

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

    def _rows(self, result: "PGresult") -> Rows:
        if result.status != ExecStatus.TUPLES_OK:
            return []
        self._adapter.set_pgresult(result, format=_BINARY)
        return self._adapter.load_rows(0, result.ntuples, tuple)


_BINARY = pq.Format.BINARY

_EVENTS = {False: select.POLLIN, True: select.POLLIN | select.POLLOUT}


_MARK = re.compile("%[bs]")


@lru_cache(maxsize=_MOST_PLANNED)
def _numbered(statement: str) -> bytes:
    """As the server reads it."""
    head, *rest = _MARK.split(statement)
    return (
        head + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))
    ).encode()


@lru_cache(maxsize=_MOST_PLANNED)
def _digest(statement: str) -> bytes:
    return blake2b(statement.encode(), digest_size=8).hexdigest().encode()
