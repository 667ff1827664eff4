"""Receivers of webhooks on the loopback interface: real servers, each with one habit."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What it was sent; `connections` counts also those that said nothing."""

    port: int
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}/hook"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver
    habit: "Habit"
    over: threading.Event

    def setup(self) -> None:
        self.receiver.connections += 1
        super().setup()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.requests.append(Request(self.path, headers, body))
        self.close_connection = True
        self.habit(self)

    def do_GET(self) -> None:
        self.receiver.requests.append(Request(self.path, {}, b""))
        self.close_connection = True
        self.habit(self)

    def log_message(self, *args: object) -> None: ...


Habit = Callable[[Handler], None]


def answers(status: int, body: bytes = b"", **headers: str) -> Habit:
    """Reply at once. Of a body that nobody reads to its end, the rest is not sent."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        try:
            handler.wfile.write(body)
        except ConnectionError:
            return

    return answer


def hangs(handler: Handler) -> None:
    """Take the request and say nothing."""
    handler.over.wait()


def resets(handler: Handler) -> None:
    """Take the request and cut the connection with RST."""
    handler.connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    handler.connection.close()


def hangs_up(handler: Handler) -> None:
    """Take the request and close the connection."""


def speaks_otherwise(handler: Handler) -> None:
    handler.wfile.write(b"220 mail.example.com ESMTP, token=hunter2\r\n")


def drips(prefix: bytes) -> Habit:
    """Send the prefix, then a byte now and then for as long as anybody listens."""

    def drip(handler: Handler) -> None:
        try:
            handler.wfile.write(prefix)
            while not handler.over.wait(0.02):
                handler.wfile.write(b"x")
        except ConnectionError:
            return

    return drip


def in_turn(*habits: Habit) -> Habit:
    """Of one message the first attempt meets the first habit, and so on; all after them
    meet the last."""

    def habit(handler: Handler) -> None:
        message = handler.receiver.requests[-1].headers["webhook-id"]
        seen = sum(
            one.headers["webhook-id"] == message for one in handler.receiver.requests
        )
        habits[min(seen, len(habits)) - 1](handler)

    return habit


@contextmanager
def receiving(habit: Habit, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    over = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.block_on_close = True
    server.daemon_threads = False
    receiver = Receiver(server.server_port)
    made = {"receiver": receiver, "habit": staticmethod(habit), "over": over}
    server.RequestHandlerClass = type("Habitual", (Handler,), made)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()
