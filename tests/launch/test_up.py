"""`make up`, with real servers and a stand-in for the application."""

import os
import signal
import socket
import stat
import subprocess

import psycopg
import pytest

from launch.home import read_json
from launch.identities import Identity
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


def commands_in(checkout: Checkout) -> list[str]:
    return list(processes_in(checkout.path).values())


def remembered(checkout: Checkout) -> list[int]:
    """The pids that the next supervisor would find."""
    state = read_json(checkout.home / "run" / "children.json")
    return [child["pid"] for child in state.get("children", [])]


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


def test_demo_is_seeded_once_beside_the_service(checkout: Checkout) -> None:
    run = up(checkout, DEMO_RECORDS="500")
    (options,) = eventually(checkout.seedings)
    seeding = child(checkout, "seed_demo")
    assert checkout.get()

    checkout.write("enough", "")

    eventually(lambda: Identity.of(seeding) is None)
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=30)
    assert options == f"--credentials {checkout.home / 'credentials.json'} --records 500"
    assert said.index("Ctrl-C") < said.index("Demo usage 100 %  500 records, in 1 s\n")
    assert "secrets in a file" not in said
    assert len(checkout.seedings()) == 1


def test_seeding_that_fails_is_told_once_and_not_started_again(checkout: Checkout) -> None:
    checkout.write("seed.py", "open('seedings', 'a').write('x\\n')\nraise SystemExit('no')")
    run = up(checkout, DEMO_RECORDS="500")
    eventually(checkout.seedings)
    worker = child(checkout, "worker-1@%h")

    os.kill(worker, signal.SIGKILL)

    # As long as it takes to start a service again, the seeding is not.
    eventually(lambda: Identity.of(worker) is None)
    eventually(lambda: any("worker-1@%h" in one for one in commands_in(checkout)))
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=30)
    assert said.count(f"what was said is in {checkout.home / 'log' / 'demo.log'}") == 1
    assert (checkout.home / "log" / "demo.log").read_text() == "no\n"
    assert len(checkout.seedings()) == 1


def test_seeding_that_is_stopped_goes_on_with_the_next_up(checkout: Checkout) -> None:
    run = up(checkout, DEMO_RECORDS="500")
    eventually(checkout.seedings)

    run.send_signal(signal.SIGINT)

    said, complaint = run.communicate(timeout=30)
    assert (run.returncode, complaint) == (0, "")
    assert "demo.log" not in said
    assert processes_in(checkout.path) == {}
    up(checkout, DEMO_RECORDS="500")
    eventually(lambda: len(checkout.seedings()) == 2)


def test_up_ends_the_seeding_of_a_killed_supervisor(checkout: Checkout) -> None:
    killed = up(checkout, DEMO_RECORDS="500")
    eventually(checkout.seedings)
    left = Identity.of(child(checkout, "seed_demo"))
    assert left
    eventually(lambda: left.pid in remembered(checkout))

    killed.kill()
    killed.wait()
    up(checkout, DEMO_RECORDS="500")

    assert not left.alive()
    eventually(lambda: len(checkout.seedings()) == 2)


def test_without_demo_records_nothing_is_seeded(checkout: Checkout) -> None:
    run = up(checkout, DEMO_RECORDS="0")

    run.send_signal(signal.SIGINT)

    run.communicate(timeout=30)
    assert not (checkout.home / "log" / "demo.log").exists()
    assert checkout.seedings() == []


def test_busy_port_is_told_before_any_work(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", checkout.port)):
        sentence = refusal(checkout.launch("up"))

    assert f"Port {checkout.port} is in use" in sentence
    assert not (checkout.home / "postgres").exists()


@pytest.mark.parametrize("port", ["no", "0", "65536", "-1"])
def test_wrong_port_is_told(checkout: Checkout, port: str) -> None:
    assert f"PORT={port} is not a port" in refusal(checkout.launch("up", PORT=port))


@pytest.mark.parametrize("records", ["many", "-1", "100000001", "3,000"])
def test_wrong_number_of_records_is_told(checkout: Checkout, records: str) -> None:
    sentence = refusal(checkout.launch("up", DEMO_RECORDS=records))

    assert f"DEMO_RECORDS={records} is not a number of records" in sentence


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
