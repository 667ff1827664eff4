"""What a deploy does to those who are posting: SIGTERM, and a new process."""

import http.client
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.conftest import await_priced, recorded
from tests.chaos.service import Client, Reply, Service, await_that
from tests.journeys.test_prices import call

pytestmark = pytest.mark.xdist_group("broken")


def refuses(service: Service) -> bool:
    try:
        socket.create_connection(("127.0.0.1", service.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_body_whose_last_byte_comes_after_sigterm(service: Service, demo: Client) -> None:
    record = call("last-byte")

    def terminate() -> None:
        service.web.signal_all(service.web.pid, signal.SIGTERM)
        await_that(lambda: refuses(service), 20, "no further connection is taken")

    first = posted(demo, record, terminate)
    stored = recorded(service, "last-byte")
    service.start_all()
    again = demo.post("usage?verbose=1", record)

    if first is None or first.status == 503:
        assert again.status == 202
    else:
        assert (first.status, stored) == (202, 1)
        assert again.body["duplicates"] == 1
    await_priced(service, demo, "last-byte")


def posted(
    demo: Client, record: dict[str, Any], before_last_byte: Callable[[], None]
) -> Reply | None:
    """The answer; None when the connection ended without one."""
    try:
        return demo.post("usage?verbose=1", record, before_last_byte=before_last_byte)
    except (OSError, http.client.HTTPException):
        return None
