"""HTTP to where strangers said, without reaching anything of ours.

A webhook's URL comes from outside. So only public addresses are called: the host is
resolved once, every address it has is checked, and the connection goes to one of those
very addresses; a name that answers differently a moment later gains nothing. Redirects
and proxies are not followed, and one deadline ends every wait.

`allow` is the exception for development: a "host:port" in it may be private and may
speak plain HTTP.
"""

import http.client
import io
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

SECONDS = 15.0
MAX_REPLY = 64 * 1024
MAX_URL = 2000

_PORTS = (443, 8443)
_DEFAULT_PORTS = {"https": 443, "http": 80}
_ADDRESSES_TRIED = 4


class NotSent(Exception):
    """There is no complete reply; the receiver may have got the request all the same.

    The text says why and can be shown: nothing in it is from the path, the headers or
    the reply, and it does not tell what a private name resolves to.
    """


class Reply(NamedTuple):
    """What the receiver answered. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Target(NamedTuple):
    """A URL that may be called, if its addresses are public or it is `exempt`."""

    scheme: str
    host: str
    port: int
    path: str
    exempt: bool


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Network:
    """Where names, connections and trust come from. Tests bring their own."""

    resolve: Callable[[str, int], Sequence[str]] = _resolve
    connect: Callable[[tuple[str, int], float], socket.socket] = socket.create_connection
    trust: Callable[[], ssl.SSLContext] = _trust


INTERNET = Network()


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allow: frozenset[str],
    timeout: float = SECONDS,
    max_reply: int = MAX_REPLY,
    network: Network = INTERNET,
) -> Reply:
    """Send one POST; the reply whatever its status, a redirect too.

    `timeout` (seconds) covers everything from the name to the last byte. Of the body
    at most `max_reply` bytes are read, the rest is dropped.

    Raises NotSent.
    """
    request = _Request("POST", body, headers)
    return _send(url, request, allow, timeout, max_reply, network)


def get(
    url: str,
    *,
    allow: frozenset[str],
    timeout: float = SECONDS,
    max_reply: int = MAX_REPLY,
    network: Network = INTERNET,
) -> Reply:
    """One GET, under the same rules. Raises NotSent."""
    request = _Request("GET", None, {"User-Agent": "Purser"})
    return _send(url, request, allow, timeout, max_reply, network)


class _Request(NamedTuple):
    method: str
    body: bytes | None
    headers: Mapping[str, str]


def _send(
    url: str,
    request: _Request,
    allow: frozenset[str],
    timeout: float,
    max_reply: int,
    network: Network,
) -> Reply:
    target = parse(url, allow=allow)
    deadline = _Deadline(time.monotonic() + timeout)
    try:
        return _exchange(target, request, max_reply, deadline, network)
    except (OSError, http.client.HTTPException) as error:
        raise NotSent(_sentence(error, timeout)) from None


def _sentence(error: Exception, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no complete reply within {timeout:g} seconds"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "the TLS connection failed"
    if isinstance(error, socket.gaierror):
        return "the host name does not resolve"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without a reply"
    if isinstance(error, OSError):
        return f"the connection failed: {error.strerror or type(error).__name__}"
    return "the reply is not HTTP"


def _exchange(
    target: Target,
    request: _Request,
    max_reply: int,
    deadline: "_Deadline",
    network: Network,
) -> Reply:
    addresses = _addresses(target, deadline, network)
    with ExitStack() as opened:
        sock = _connected(addresses, target.port, deadline, network)
        # A TLS socket takes over the plain one, which has nothing left to close then.
        opened.callback(sock.close)
        if target.scheme == "https":
            sock.settimeout(deadline.left())
            sock = network.trust().wrap_socket(sock, server_hostname=target.host)
            opened.callback(sock.close)
        return _speak(_Paced(sock, deadline), target, request, max_reply)


def _speak(
    paced: "_Paced",
    target: Target,
    request: _Request,
    max_reply: int,
) -> Reply:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.default_port = _DEFAULT_PORTS[target.scheme]
    connection.auto_open = 0  # it speaks on this connection and never opens another
    connection.sock = cast(socket.socket, paced)
    headers = {**request.headers, "Connection": "close"}
    connection.request(request.method, target.path, request.body, headers)
    with connection.getresponse() as response:
        said = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, said, response.read(max_reply))


# --- Which URLs ---------------------------------------------------------------------

_URL = re.compile(r"[\x21-\x5b\x5d-\x7e]+")  # printable ASCII; no space, no backslash
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
# What browsers and libc read as a number: such a host is an IPv4 address to them.
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


def parse(url: str, *, allow: frozenset[str]) -> Target:
    """Check a URL as far as its text says.

    Raises NotSent for anything but https (http too where allowed) on port 443 or 8443,
    for user names in it, and for an address that is not public or oddly spelled.
    """
    scheme, netloc, host, port, path = _split(url)
    exempt = f"{f'[{host}]' if ':' in host else host}:{port}" in allow
    if "@" in netloc:
        raise NotSent("a URL with a user name or password is refused")
    if scheme != "https" and not exempt:
        raise NotSent("the URL has to start with https://")
    if port not in _PORTS and not exempt:
        raise NotSent("the port has to be 443 or 8443")
    address = _literal(host)
    if address is not None and not exempt:
        _refuse_private([address])
    return Target(scheme, host, port, path, exempt)


def _split(url: str) -> tuple[str, str, str, int, str]:
    if len(url) > MAX_URL or not _URL.fullmatch(url):
        raise NotSent("a URL is ASCII without spaces, and not too long")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise NotSent("this is no URL") from None
    if "[" in parts.netloc and ":" not in (host or ""):  # "[v1.x]", and no IPv6 address
        raise NotSent("this is no URL")
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise NotSent("the URL has to start with https:// and a host")
    if port is None:
        port = _DEFAULT_PORTS[parts.scheme]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, parts.netloc, host, port, path


def _literal(host: str) -> str | None:
    """The address that a host is when it is no name."""
    try:
        if ":" in host:
            return str(ipaddress.IPv6Address(host))
        if _NUMBER.fullmatch(host.rpartition(".")[2]):
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise NotSent("an IP address is written in its usual form") from None
    if not _NAME.fullmatch(host):
        raise NotSent("the host is neither a name nor an address")
    return None


# --- Which addresses ----------------------------------------------------------------

# The only part of IPv6 that is routed. Outside of it are loopback, link-local, unique
# local, multicast, and what stands for an IPv4 address: mapped, compatible and NAT64.
_ROUTED = ipaddress.IPv6Network("2000::/3")

# What `is_global` lets through, or has let through in some release of Python.
_DENIED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "100.64.0.0/10",  # carriers' NAT
        "168.63.129.16/32",  # Azure's own services, as seen from inside
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarks
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # protocol assignments, with Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)


def is_public(address: str) -> bool:
    """Whether an address is somebody's out there, and nothing of ours in disguise."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 6 and (parsed.scope_id is not None or parsed not in _ROUTED):
        return False
    return parsed.is_global and not any(parsed in network for network in _DENIED)


def _refuse_private(addresses: Sequence[str]) -> None:
    if not all(is_public(address) for address in addresses):
        raise NotSent("the host is not on the public Internet")


def _addresses(target: Target, deadline: "_Deadline", network: Network) -> Sequence[str]:
    """All addresses of the host, each of them allowed."""
    literal = _literal(target.host)
    if literal is not None:
        return [literal]
    addresses = _resolved(target, deadline, network)
    if not addresses:
        raise NotSent("the host name does not resolve")
    if not target.exempt:
        _refuse_private(addresses)
    return addresses


# --- Time ---------------------------------------------------------------------------


class _Deadline(NamedTuple):
    at: float

    def left(self) -> float:
        """Seconds, more than none. Raises TimeoutError."""
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


def _resolved(target: Target, deadline: _Deadline, network: Network) -> Sequence[str]:
    """Ask for the addresses once. The resolver knows no timeout: it is left behind."""
    answer: Future[Sequence[str]] = Future()

    def ask() -> None:
        try:
            answer.set_result(network.resolve(target.host, target.port))
        except Exception as error:  # noqa: BLE001  (raised again where it is awaited)
            answer.set_exception(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        return answer.result(deadline.left())
    except ValueError:  # a name that the resolver cannot encode
        return []


def _connected(
    addresses: Sequence[str], port: int, deadline: _Deadline, network: Network
) -> socket.socket:
    """A connection to the first address that takes it, each given its share of time."""
    tried = addresses[:_ADDRESSES_TRIED]
    for position, address in enumerate(tried, start=1):
        share = deadline.left() / (len(tried) - position + 1)
        try:
            return network.connect((address, port), share)
        except OSError:
            if position == len(tried):
                raise
    raise NotSent("the host name does not resolve")


class _Reader(io.RawIOBase):
    """Reads a socket until the deadline, however slowly it drips."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.left())
        return self._sock.recv_into(buffer)


class _Paced:
    """What http.client needs of a socket, with every wait ended by one deadline."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        unsent = memoryview(data)
        while unsent:
            self._sock.settimeout(self._deadline.left())
            unsent = unsent[self._sock.send(unsent) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline))

    def close(self) -> None:
        """The socket is closed by who opened it, when the body has been read."""
