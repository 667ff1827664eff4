"""`make up` for real: in a directory of its own, on a free port, until Ctrl-C.

The first start is stopped when its small demo is seeded; the later one finds it there.
Run by `make smoke`. Prints the seconds of the first and of a later start and exits 1,
with what was said, when a step fails.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
STARTED_SECONDS = 120
STOPPED_SECONDS = 60
DEMO_RECORDS = "200"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cycle(home: Path) -> float:
    """Start, ask, stop; the seconds until it answered."""
    started = time.monotonic()
    passed = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    port = str(free_port())
    up = subprocess.Popen(
        ["make", "--no-print-directory", "up"],
        cwd=CHECKOUT,
        env=passed | {"PURSER_HOME": str(home), "PORT": port, "DEMO_RECORDS": DEMO_RECORDS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = started + STARTED_SECONDS
        await_that((home / "demo.json").exists, up, deadline, "it does not answer")
        seconds = time.monotonic() - started
        check(home / "demo.json", port)
        await_that(partial(is_seeded, home), up, deadline, "the demo is not seeded")
    finally:
        # As the terminal does: to make and to the launcher, which outlives it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(up.pid, signal.SIGINT)
        said, _ = up.communicate(timeout=STOPPED_SECONDS)
        sys.stdout.write(said)
    assert "Stopped." in said
    assert not (home / "demo.json").exists()
    return seconds


def await_that(
    condition: Callable[[], bool], up: subprocess.Popen[str], deadline: float, why: str
) -> None:
    while not condition():
        assert up.poll() is None, f"make up ended with {up.returncode}"
        assert time.monotonic() < deadline, why
        time.sleep(0.02)


def is_seeded(home: Path) -> bool:
    log = home / "log" / "demo.log"
    return log.exists() and "Demo usage 100 %" in log.read_text()


def check(demo: Path, port: str) -> None:
    facts = json.loads(demo.read_text())
    assert facts["url"] == f"http://127.0.0.1:{port}"
    assert facts["api_key"]
    assert facts["users"]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    connection.request("GET", "/livez")
    assert connection.getresponse().status == http.client.OK
    connection.close()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="purser-smoke-") as directory:
        home = Path(directory) / "var"
        first, later = cycle(home), cycle(home)
    sys.stdout.write(f"first start {first:.1f} s, later start {later:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
