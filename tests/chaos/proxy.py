"""Stands between processes and PostgreSQL, and cuts, delays or swallows what passes.

It reads the messages of the wire protocol, so a connection can be cut at a chosen point
of a transaction: before a statement reaches the server, or after the server has done it
and before anybody hears of it.
"""

import asyncio
import contextlib
import re
import struct
import threading
from collections import deque
from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from random import uniform
from typing import Any, NamedTuple

SOCKET = ".s.PGSQL.5432"


class Point(StrEnum):
    """Where in a transaction that writes a connection can be cut."""

    BEFORE_BEGIN = "before BEGIN"
    AFTER_BEGIN = "after BEGIN"
    BEFORE_INSERT = "before INSERT"
    AFTER_INSERT = "after INSERT"
    BEFORE_COMMIT = "before COMMIT"
    AFTER_COMMIT = "after COMMIT"


class _Armed(NamedTuple):
    """What happens to a connection, and at which point; to the first but `skip`."""

    point: Point
    skip: int
    hold: float


class _Cut(Exception):
    """The connection ends here, on both sides."""


class Proxy(threading.Thread):
    """Listens in a directory of its own as a server would, and forwards to the real one.

    `table` is the one whose INSERT makes a transaction one that can be cut. Connections
    are served by a thread of their own; `arm`, `delay` and `swallow` are for others.
    """

    def __init__(self, name: str, sockets: Path, server: Path, table: str) -> None:
        super().__init__(name=name, daemon=True)
        sockets.mkdir(mode=0o700)
        self.sockets = sockets
        self.cuts = 0
        self._milliseconds_late = 0
        self.inserts = re.compile(rf'INSERT INTO "?{table}\b', re.IGNORECASE)
        self._server = server / SOCKET
        self._armed: _Armed | None = None
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._open = asyncio.Event()
        self._end = asyncio.Event()

    def start(self) -> None:
        """Return when it listens."""
        super().start()
        self._listening.wait()

    def run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    def end(self) -> None:
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self.join(10)

    # --- what it does to connections --------------------------------------------------

    def arm(self, point: Point | None, *, skip: int = 0, hold: float = 0) -> None:
        """Cut the next connection that comes to this point, or a later one of them.

        With `hold` it is not cut but goes on after so many seconds.
        """
        self._armed = None if point is None else _Armed(point, skip, hold)

    def delay(self, seconds: float) -> None:
        """Let each question to the server wait up to so much longer, or shorter."""
        self._milliseconds_late += round(seconds * 1_000)

    def swallow(self, silent: bool) -> None:
        """Nothing passes, in either direction; it does once this is over."""
        change = self._open.clear if silent else self._open.set
        self._loop.call_soon_threadsafe(change)

    # --- connections ------------------------------------------------------------------

    async def _serve(self) -> None:
        self._open.set()
        listener = await asyncio.start_unix_server(
            self._connected, str(self.sockets / SOCKET)
        )
        self._listening.set()
        async with listener:
            await self._end.wait()
        ended = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    async def _connected(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        with contextlib.closing(to_client), contextlib.suppress(OSError):
            server, to_server = await asyncio.open_unix_connection(str(self._server))
            with contextlib.closing(to_server):
                session = _Session(self)
                await _first_to_end(
                    session.ask(client, to_server), session.answer(server, to_client)
                )

    async def late(self) -> None:
        """Come back after a while, if the network is slow."""
        if self._milliseconds_late:
            await asyncio.sleep(uniform(0, self._milliseconds_late / 1_000))  # noqa: S311

    async def passed(self) -> None:
        """Come back when messages may pass."""
        await self._open.wait()

    async def reached(self, point: Point) -> None:
        """Raises _Cut when it has been armed for this moment."""
        armed = self._armed
        if armed is None or armed.point is not point:
            return
        if armed.skip:
            self._armed = armed._replace(skip=armed.skip - 1)
            return
        self._armed = None
        if armed.hold:
            await asyncio.sleep(armed.hold)
            return
        self.cuts += 1
        raise _Cut


class _Session:
    """What is known of one connection: the statements that are under way in it."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._prepared: dict[bytes, str] = {}
        self._bound = ""
        self._under_way: deque[str] = deque()  # "" ends those that fail together
        self._writes = False

    async def ask(self, client: asyncio.StreamReader, server: Any) -> None:
        """From the client to the server. The first message has no kind."""
        length = await client.readexactly(4)
        server.write(length + await client.readexactly(struct.unpack("!I", length)[0] - 4))
        while True:
            kind, head, body = await _message(client)
            if kind in b"QS":  # the end of what is sent at once
                await self._proxy.late()
            await self._proxy.passed()
            await self._asked(kind, body)
            server.write(head + body)
            await server.drain()

    async def answer(self, server: asyncio.StreamReader, client: Any) -> None:
        """From the server to the client."""
        while True:
            kind, head, body = await _message(server)
            await self._proxy.passed()
            await self._answered(kind)
            client.write(head + body)
            await client.drain()

    async def _asked(self, kind: bytes, body: bytes) -> None:
        if kind == b"P":  # parse: a name and a statement
            name, statement, _ = body.split(b"\0", 2)
            self._prepared[name] = statement.decode(errors="replace")
        elif kind == b"B":  # bind: a portal and the name of a statement
            self._bound = self._prepared.get(body.split(b"\0", 2)[1], "")
        elif kind == b"E":  # execute
            await self._begin(self._bound)
        elif kind == b"S":  # sync
            self._under_way.append("")
        elif kind == b"Q":  # a statement by itself
            await self._begin(body.decode(errors="replace"))
            self._under_way.append("")

    async def _begin(self, statement: str) -> None:
        command = self._command(statement)
        if command == "INSERT":
            self._writes = True
        if point := self._point("before", command):
            await self._proxy.reached(point)
        self._under_way.append(command)

    async def _answered(self, kind: bytes) -> None:
        if kind == b"Z":  # ready again
            while self._under_way and self._under_way.popleft():
                pass
        elif kind == b"C" and self._under_way and self._under_way[0]:  # complete
            command = self._under_way.popleft()
            if point := self._point("after", command):
                await self._proxy.reached(point)
            if command == "COMMIT":
                self._writes = False

    def _command(self, statement: str) -> str:
        first = statement.lstrip()[:8].upper()
        if self._proxy.inserts.search(statement):
            return "INSERT"
        return next((word for word in ("BEGIN", "COMMIT") if first.startswith(word)), "?")

    def _point(self, side: str, command: str) -> Point | None:
        if command == "?" or (command == "COMMIT" and not self._writes):
            return None
        return Point(f"{side} {command}")


async def _message(stream: asyncio.StreamReader) -> tuple[bytes, bytes, bytes]:
    """A message's kind, its head (kind and length) and its body."""
    head = await stream.readexactly(5)
    kind, length = struct.unpack("!cI", head)
    return kind, head, await stream.readexactly(length - 4)


async def _first_to_end(*directions: Coroutine[Any, Any, None]) -> None:
    """When one direction ends, so does the other: a connection is cut as a whole."""
    tasks = [asyncio.ensure_future(direction) for direction in directions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    expected = (asyncio.CancelledError, asyncio.IncompleteReadError, OSError, _Cut)
    for error in ended:
        if error is not None and not isinstance(error, expected):
            raise error
