"""`make up`, with real servers and a stand-in for the application."""

import os
import signal
import socket
import stat
import subprocess

import psycopg
import pytest

from launch.postgres import EmbeddedServer, find_binaries
from tests.launch.conftest import Checkout, eventually, processes_in


def up(checkout: Checkout, **variables: str) -> subprocess.Popen[str]:
    """Start it and wait until it says that it answers."""
    before = checkout.answering_since()
    run = checkout.launch("up", **variables)
    eventually(lambda: checkout.answering_since() > before or run.poll() is not None, 30)
    assert run.poll() is None, run.communicate()
    return run


def starts(checkout: Checkout) -> int:
    """How often the stand-in was prepared, as its database remembers."""
    binaries = find_binaries(checkout.path / ".venv")
    url = EmbeddedServer(checkout.home, binaries).url()
    with psycopg.connect(url) as connection:
        return len(connection.execute("SELECT FROM starts").fetchall())


def child(checkout: Checkout, word: str) -> int:
    """The pid of the child (the first of its group) with a word in its command."""
    found = processes_in(checkout.path).items()
    return min(pid for pid, command in found if f"\0{word}\0" in command)


def refusal(run: subprocess.Popen[str]) -> str:
    """What a start that exits with 2 says in its one line on stderr."""
    _, said = run.communicate(timeout=30)
    assert run.returncode == 2, said
    *_, sentence = said.splitlines()
    return sentence


def test_up_answers_keeps_its_data_and_leaves_no_process(checkout: Checkout) -> None:
    run = up(checkout)

    assert checkout.get()
    demo = checkout.home / "demo.json"
    assert stat.S_IMODE(demo.stat().st_mode) == 0o600
    assert checkout.demo()["api_key"] == "pk_1"
    run.send_signal(signal.SIGINT)
    said, complaint = run.communicate(timeout=30)
    assert (run.returncode, complaint) == (0, "")
    assert f"http://127.0.0.1:{checkout.port}" in said
    assert "sesame" in said
    assert not demo.exists()
    assert processes_in(checkout.path) == {}

    up(checkout)

    assert starts(checkout) == 2


def test_second_up_tells_where_the_first_one_runs(checkout: Checkout) -> None:
    first = up(checkout)

    second = checkout.launch("up", PORT="1")

    said, _ = second.communicate(timeout=5)
    assert second.returncode == 0
    assert checkout.demo()["url"] in said
    assert "sesame" in said
    assert first.poll() is None


def test_up_takes_over_from_a_killed_supervisor(checkout: Checkout) -> None:
    killed = up(checkout)
    worker, web = child(checkout, "worker-1@%h"), child(checkout, "granian")
    killed.kill()
    os.kill(web, signal.SIGKILL)  # its own worker lives on and holds the port

    up(checkout)

    assert child(checkout, "worker-1@%h") != worker
    assert checkout.get()
    assert starts(checkout) == 2
    commands = processes_in(checkout.path).values()
    assert sum("\0beat\0" in command for command in commands) == 1


def test_up_restarts_what_was_killed(checkout: Checkout) -> None:
    up(checkout)
    web = checkout.get()
    server = EmbeddedServer(checkout.home, find_binaries(checkout.path / ".venv"))
    server.start()
    postmaster = server.pid
    assert postmaster

    os.kill(int(web), signal.SIGKILL)
    os.kill(postmaster, signal.SIGKILL)

    def answers_again() -> bool:
        try:
            return starts(checkout) == 1 and checkout.get() != web
        except OSError:
            return False
        except psycopg.OperationalError:
            return False

    eventually(answers_again)


def test_busy_port_is_told_before_any_work(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", checkout.port)):
        sentence = refusal(checkout.launch("up"))

    assert f"Port {checkout.port} is in use" in sentence
    assert not (checkout.home / "postgres").exists()


@pytest.mark.parametrize("port", ["no", "0", "65536", "-1"])
def test_wrong_port_is_told(checkout: Checkout, port: str) -> None:
    assert f"PORT={port} is not a port" in refusal(checkout.launch("up", PORT=port))


def test_failing_preparation_shows_what_it_said(checkout: Checkout) -> None:
    run = checkout.launch("up", STAND_IN_FAILS="1")

    _, said = run.communicate(timeout=30)

    assert run.returncode == 2
    assert "relation nonsense does not exist" in said
    assert "prepare.log" in said.splitlines()[-1]
    assert processes_in(checkout.path) == {}


def test_child_that_keeps_ending_shows_what_it_said(checkout: Checkout) -> None:
    checkout.write("config/wsgi.py", "raise SystemExit('no such module')\n")
    run = checkout.launch("up")

    _, said = run.communicate(timeout=30)

    assert run.returncode == 2
    assert "no such module" in said
    assert "web ends each time it is started" in said.splitlines()[-1]
    assert processes_in(checkout.path) == {}


def test_unreachable_database_url_starts_nothing(checkout: Checkout) -> None:
    checkout.write(".env", "DATABASE_URL='postgresql://u:secret@127.0.0.1:1/x'\n")

    sentence = refusal(checkout.launch("up"))

    assert "database x on 127.0.0.1:1 as user u: Connection refused" in sentence
    assert "secret" not in sentence
    assert not (checkout.home / "postgres").exists()
