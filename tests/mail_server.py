"""A mail server on the loopback interface: it takes what it is sent, and keeps it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer


@dataclass
class MailServer:
    port: int
    messages: list[EmailMessage] = field(default_factory=list)
    # So many are turned away before the first is taken.
    refuses: int = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"


class _Session(StreamRequestHandler):
    """As much of SMTP (RFC 5321) as a client needs that sends one message after another."""

    kept: MailServer

    def handle(self) -> None:
        self._say("220 mail.example.com ESMTP")
        while line := self.rfile.readline():
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                self._take()
            elif verb == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 OK")

    def _take(self) -> None:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        if not line:
            return
        if self.kept.refuses:
            self.kept.refuses -= 1
            self._say("451 not now")
            return
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.kept.messages.append(message)
        self._say("250 taken")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class _Server(ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def taking_mail(refuses: int = 0) -> Iterator[MailServer]:
    server = _Server(("127.0.0.1", 0), _Session)
    kept = MailServer(server.server_address[1], refuses=refuses)
    server.RequestHandlerClass = type("Session", (_Session,), {"kept": kept})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
