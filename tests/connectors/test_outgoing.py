"""Outgoing calls: public addresses only, pinned, once, bounded, and on time."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
import trustme

from billing.connectors import outgoing
from billing.connectors.outgoing import Network, NotSent, Reply
from tests.receivers import (
    Receiver,
    answers,
    drips,
    hangs,
    hangs_up,
    receiving,
    resets,
    speaks_otherwise,
)

NOBODY: frozenset[str] = frozenset()
PUBLIC = "93.184.215.14"
SHORT = 0.4


def post(url: str, *allowed: str, **more) -> Reply:
    headers = {"Content-Type": "application/json", "X-Test": "yes"}
    return outgoing.post(url, b'{"a":1}', headers, allow=frozenset(allowed), **more)


@pytest.fixture
def canary() -> Iterator[Receiver]:
    """What must not be reached: a server that only this machine can reach."""
    with receiving(answers(200)) as receiver:
        yield receiver
        assert receiver.connections == 0


class Wires:
    """A network whose every connection ends at one local server, whatever it is for.

    It notes what was asked of it. `names` are the answers of the resolver in turn.
    """

    def __init__(
        self,
        server: Receiver,
        *names: Sequence[str],
        trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self._server = server
        self._names = list(names)
        self.resolved: list[tuple[str, int]] = []
        self.connected: list[tuple[str, int]] = []
        self.network = Network(self._resolve, self._connect, trust)

    def _resolve(self, host: str, port: int) -> Sequence[str]:
        self.resolved.append((host, port))
        return self._names.pop(0)

    def _connect(self, address: tuple[str, int], seconds: float) -> socket.socket:
        self.connected.append(address)
        return socket.create_connection(("127.0.0.1", self._server.port), seconds)


# --- Nothing of ours is reached -----------------------------------------------------

LITERALS = [
    # IPv4 as it is usually written
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "168.63.129.16",
    "192.0.0.8",
    "192.0.0.9",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    # IPv4 in other spellings, public addresses too: nobody writes them so by chance
    "2130706433",
    "1572395022",
    "0x7f000001",
    "0x7f.0.0.1",
    "127.0.0.0x1",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.01",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "256.0.0.1",
    "1.2.3.4.5",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    # IPv6
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:93.184.215.14]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001::1]",
    "[2001:0:a9fe:a9fe::]",
    "[2001:10::1]",
    "[2001:20::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[100::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[2606:2800::1%25eth0]",
    "[fec0::1]",
    "[ff02::1]",
    "[ff0e::1]",
]


@pytest.mark.parametrize("host", LITERALS)
@pytest.mark.parametrize("port", ["", ":443", ":8443"])
def test_an_address_that_is_not_public_is_refused_before_connecting(
    canary: Receiver, host: str, port: str
):
    wires = Wires(canary)

    with pytest.raises(NotSent):
        post(f"https://{host}{port}/", network=wires.network)

    assert wires.connected == wires.resolved == []


def is_address(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, UnicodeError):
        return False
    return True


ADDRESSES = [host.strip("[]") for host in LITERALS if is_address(host.strip("[]"))]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_name_that_resolves_to_one_is_refused(canary: Receiver, address: str):
    wires = Wires(canary, [address])

    with pytest.raises(NotSent, match="the host is not on the public Internet"):
        post("https://hooks.example.com/", network=wires.network)

    assert wires.connected == []


def test_a_name_with_one_public_and_one_private_address_is_refused(canary: Receiver):
    wires = Wires(canary, [PUBLIC, "2606:2800:21f::1", "10.0.0.7"])

    with pytest.raises(NotSent, match="not on the public Internet"):
        post("https://hooks.example.com/", network=wires.network)

    assert wires.connected == []


def test_a_link_local_address_with_its_interface_is_refused(canary: Receiver):
    wires = Wires(canary, ["fe80::1%eth0"])

    with pytest.raises(NotSent, match="not on the public Internet"):
        post("https://hooks.example.com/", network=wires.network)


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "1.1.1.1", "2606:2800:21f::1", "2a00:1450:4001::64"]
)
def test_public_addresses_are_public(address: str):
    assert outgoing.is_public(address)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example.com/", "https://"),
        ("ftp://hooks.example.com/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("gopher://hooks.example.com:443/", "https://"),
        ("hooks.example.com/", "https://"),
        ("//hooks.example.com/", "https://"),
        ("https:///path", "https://"),
        ("https://?a", "https://"),
        ("", "ASCII"),
        ("https://hooks.example.com:22/", "port"),
        ("https://hooks.example.com:80/", "port"),
        ("https://hooks.example.com:0/", "port"),
        ("https://hooks.example.com:65536/", "no URL"),
        ("https://hooks.example.com:x/", "no URL"),
        ("https://[::1/", "no URL"),
        ("https://[v1.a]/", "no URL"),
        ("https://[]/", "no URL"),
        ("https://user@hooks.example.com/", "user name"),
        ("https://user:secret@hooks.example.com/", "user name"),
        ("https://@hooks.example.com/", "user name"),
        ("https://hooks.example.com@127.0.0.1/", "user name"),
        ("https://hooks.example.com\\@127.0.0.1/", "ASCII"),
        ("https://hooks.example.com\t/", "ASCII"),
        ("https://hooks.example.com/\r\nHost: localhost", "ASCII"),
        (" https://hooks.example.com/", "ASCII"),
        ("https://hooks.exämple.com/", "ASCII"),
        ("https://hooks.example.com/ä", "ASCII"),
        ("https://127.0.0.1%2f.example.com/", "neither"),
        ("https://-hooks.example.com/", "neither"),
        ("https://hooks..example.com/", "neither"),
        ("https://.example.com/", "neither"),
        ("https://hooks.example.com./", "neither"),
        (f"https://{'a' * 64}.com/", "neither"),
        (f"https://{'a.' * 127}com/", "neither"),
        (f"https://hooks.example.com/{'a' * 2000}", "ASCII"),
    ],
)
def test_what_is_no_plain_https_url_is_refused(canary: Receiver, url: str, why: str):
    with pytest.raises(NotSent, match=why):
        post(url, network=Wires(canary).network)


@pytest.mark.parametrize("host", ["localhost", "hooks.internal", "a_b.example.com"])
def test_a_name_is_judged_by_its_addresses(host: str):
    assert outgoing.parse(f"https://{host}/x?y=1", allow=NOBODY) == (
        *("https", host, 443, "/x?y=1"),
        False,
    )


def test_the_real_resolver_is_asked_and_its_loopback_answer_refused():
    with pytest.raises(NotSent, match="not on the public Internet"):
        post("https://localhost:8443/")


# --- Pinned -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trust(authority: trustme.CA) -> Callable[[], ssl.SSLContext]:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return lambda: context


@pytest.fixture
def served(authority: trustme.CA) -> Iterator[tuple[Receiver, list[str | None]]]:
    """A TLS server that is hooks.example.com, and the names it was asked for."""
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example.com", "1.1.1.1").configure_cert(context)
    context.sni_callback = lambda sock, name, of: asked.append(name)
    with receiving(answers(204), tls=context) as receiver:
        yield receiver, asked


@pytest.mark.parametrize(("port", "shown"), [(443, ""), (8443, ":8443")])
def test_the_checked_address_is_called_by_the_name(served, trust, port: int, shown: str):
    server, asked = served
    wires = Wires(server, [PUBLIC], trust=trust)

    reply = post(f"https://Hooks.Example.com{shown}/a?b#c", network=wires.network)

    assert reply.status == 204
    assert wires.resolved == [("hooks.example.com", port)]
    assert wires.connected == [(PUBLIC, port)]
    assert asked == ["hooks.example.com"]
    [request] = server.requests
    assert request.path == "/a?b"
    assert request.body == b'{"a":1}'
    assert request.headers["host"] == f"hooks.example.com{shown}"
    assert request.headers["x-test"] == "yes"


def test_a_name_that_changes_its_mind_is_asked_only_once(served, trust):
    server, _ = served
    wires = Wires(server, [PUBLIC], ["169.254.169.254"], trust=trust)

    assert post("https://hooks.example.com/", network=wires.network).status == 204

    assert wires.connected == [(PUBLIC, 443)]
    assert len(wires.resolved) == 1


def test_a_public_literal_is_not_resolved_and_proves_its_address(served, trust):
    server, _ = served
    wires = Wires(server, trust=trust)

    assert post("https://1.1.1.1/", network=wires.network).status == 204
    assert (wires.resolved, wires.connected) == ([], [("1.1.1.1", 443)])


def test_a_certificate_for_another_name_is_not_accepted(served, trust):
    server, _ = served
    wires = Wires(server, [PUBLIC], trust=trust)

    with pytest.raises(NotSent, match="certificate is not accepted: Hostname mismatch"):
        post("https://other.example.com/", network=wires.network)

    assert server.requests == []


def test_a_certificate_of_an_unknown_authority_is_not_accepted(served):
    server, _ = served

    with pytest.raises(NotSent, match="certificate is not accepted"):
        post("https://hooks.example.com/", network=Wires(server, [PUBLIC]).network)

    assert server.requests == []


def test_a_receiver_without_tls_gets_nothing():
    with receiving(answers(200)) as receiver:
        wires = Wires(receiver, [PUBLIC])

        with pytest.raises(NotSent, match="TLS"):
            post("https://hooks.example.com/", network=wires.network, timeout=5)

        assert receiver.requests == []


def test_the_next_address_is_tried_when_one_refuses(served, trust):
    server, _ = served
    wires = Wires(server, ["8.8.8.8", PUBLIC], trust=trust)

    def connect(address: tuple[str, int], seconds: float) -> socket.socket:
        if address[0] == "8.8.8.8":
            raise ConnectionRefusedError(111, "Connection refused")
        return wires.network.connect(address, seconds)

    network = Network(wires.network.resolve, connect, trust)

    assert post("https://hooks.example.com/", network=network).status == 204
    assert wires.connected == [(PUBLIC, 443)]


def test_a_name_without_addresses_does_not_resolve(canary: Receiver):
    with pytest.raises(NotSent, match="does not resolve"):
        post("https://hooks.example.com/", network=Wires(canary, []).network)


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label")])
def test_a_name_that_is_not_found_does_not_resolve(error: Exception):
    def resolve(host: str, port: int) -> Sequence[str]:
        raise error

    with pytest.raises(NotSent, match="does not resolve"):
        post("https://hooks.example.com/", network=Network(resolve=resolve))


# --- The exception for development --------------------------------------------------


def test_an_allowed_place_may_be_private_and_plain():
    with receiving(answers(200, b"ok")) as receiver:
        reply = post(receiver.url, receiver.place)

    assert (reply.status, reply.body) == (200, b"ok")


def test_an_allowed_name_may_resolve_to_what_is_private():
    with receiving(answers(200)) as receiver:
        place = f"sink.test:{receiver.port}"
        wires = Wires(receiver, ["10.1.2.3"])

        assert post(f"http://{place}/", place, network=wires.network).status == 200
        assert wires.connected == [("10.1.2.3", receiver.port)]
        assert receiver.requests[0].headers["host"] == place


@pytest.mark.parametrize(
    "spelled", ["localhost", "127.0.0.2", "127.1", "2130706433", "[::1]"]
)
def test_an_allowed_place_is_exactly_that_host(canary: Receiver, spelled: str):
    with pytest.raises(NotSent):
        post(f"http://{spelled}:{canary.port}/", canary.place)


def test_an_allowed_place_is_exactly_that_port(canary: Receiver):
    with pytest.raises(NotSent):
        post(canary.url, f"127.0.0.1:{canary.port - 1}", "127.0.0.1")


def test_an_allowed_ipv6_address_is_written_in_brackets():
    target = outgoing.parse("http://[::1]:9000/", allow=frozenset(["[::1]:9000"]))

    assert target == ("http", "::1", 9000, "/", True)


def test_an_allowed_place_is_no_way_in_for_a_user_name(canary: Receiver):
    with pytest.raises(NotSent, match="user name"):
        post(f"http://user@{canary.place}/", canary.place)


# --- What a receiver may do ---------------------------------------------------------


@pytest.mark.parametrize("status", [200, 202, 204, 400, 404, 410, 429, 500, 503])
def test_the_status_is_told(status: int):
    with receiving(answers(status, Retry_After="7")) as receiver:
        reply = post(receiver.url, receiver.place)

    assert (reply.status, reply.headers["retry-after"]) == (status, "7")
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(canary: Receiver, status: int):
    with receiving(answers(status, Location=canary.url)) as receiver:
        assert post(receiver.url, receiver.place, canary.place).status == status


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "all_proxy"])
def test_proxies_of_the_process_are_not_used(canary, monkeypatch, name: str):
    monkeypatch.setenv(name, f"http://{canary.place}")
    monkeypatch.setenv(name.upper(), f"http://{canary.place}")

    with receiving(answers(200)) as receiver:
        assert post(receiver.url, receiver.place).status == 200


def test_of_a_huge_reply_the_beginning_is_read():
    with receiving(answers(200, b"a" * 10_000_000)) as receiver:
        reply = post(receiver.url, receiver.place)

    assert (reply.status, reply.body) == (200, b"a" * 64 * 1024)


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "habit",
    [
        hangs,
        drips(b""),
        drips(b"HTTP/1.1 2"),
        drips(HEAD + b"X-Drip: "),
        drips(HEAD + b"Content-Length: 1000000\r\n\r\n"),
        drips(HEAD + b"Connection: close\r\n\r\n"),
        drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n"),
        drips(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    ],
    ids=["hang", "nothing", "status", "header", "length", "close", "chunk", "continue"],
)
def test_one_deadline_ends_every_wait(habit):
    with receiving(habit) as receiver:
        started = time.monotonic()
        with pytest.raises(NotSent, match=r"no complete reply within 0\.4 seconds"):
            post(receiver.url, receiver.place, timeout=SHORT)

        assert time.monotonic() - started < SHORT * 5


def test_the_deadline_ends_a_resolver_that_hangs(canary: Receiver):
    over = threading.Event()

    def resolve(host: str, port: int) -> Sequence[str]:
        over.wait()
        return [PUBLIC]

    network = Network(resolve, Wires(canary).network.connect)
    with pytest.raises(NotSent, match="no complete reply within"):
        post("https://hooks.example.com/", timeout=SHORT, network=network)
    over.set()


def test_the_deadline_ends_a_handshake_that_hangs():
    """A server that accepts, and then waits for what TLS does not send."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"

        with pytest.raises(NotSent, match="no complete reply within"):
            post(f"https://{place}/", place, timeout=SHORT)


@pytest.mark.parametrize(
    ("habit", "why"),
    [
        (resets, "the connection failed: Connection reset by peer"),
        (hangs_up, "the connection was closed without a reply"),
        (speaks_otherwise, "the reply is not HTTP"),
        (drips(HEAD + b"A: b\r\n" * 200), "the reply is not HTTP"),
        (drips(HEAD + b"A: " + b"b" * 70_000), "the reply is not HTTP"),
        (
            drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "the reply is not HTTP",
        ),
    ],
)
def test_what_is_no_reply_is_an_error_that_repeats_nothing(habit, why: str):
    with receiving(habit) as receiver, pytest.raises(NotSent) as caught:
        post(f"{receiver.url}?token=hunter2", receiver.place, timeout=10)

    assert str(caught.value) == why
    assert caught.value.__cause__ is None


def test_nobody_there_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"

    with pytest.raises(NotSent, match="Connection refused"):
        post(f"http://{place}/", place)


def test_a_header_that_would_add_another_is_refused():
    bad = {"X-Test": "a\r\nX-Other: b"}

    with receiving(answers(200)) as receiver, pytest.raises(ValueError, match="header"):
        outgoing.post(receiver.url, b"", bad, allow=frozenset([receiver.place]))

    assert receiver.requests == []


# --- Only fetched -------------------------------------------------------------------


def test_what_is_fetched_keeps_the_same_rules():
    with receiving(answers(200, b"ok")) as receiver:
        reply = outgoing.get(receiver.url, allow=frozenset([receiver.place]))

        with pytest.raises(NotSent, match="https"):
            outgoing.get(receiver.url, allow=NOBODY)

    assert (reply.status, reply.body) == (200, b"ok")
    [request] = receiver.requests
    assert (request.path, request.body) == ("/hook", b"")
