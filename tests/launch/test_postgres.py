"""The embedded server, in each way of running it that this machine allows."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from launch import accounts
from launch.failures import CannotStart
from launch.postgres import EmbeddedServer
from tests.launch.conftest import REPOSITORY, processes_in

Start = Callable[..., EmbeddedServer]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a choice")


def opens(way: str) -> bool:
    try:
        return accounts.choose(way, None).works()
    except CannotStart:
        return False


WAYS = [way for way in accounts.WAYS if opens(way)]
needs_namespaces = pytest.mark.skipif("userns" not in WAYS, reason="denied here")


@pytest.fixture
def make(binaries: Path) -> Iterator[Start]:
    """Servers whose files are gone after the test."""
    made = []

    def make(home: Path, found: Path = binaries, **how: Any) -> EmbeddedServer:
        server = EmbeddedServer(home, found, **how)
        made.append(server)
        return server

    yield make
    for server in made:
        server.destroy()


def ask(server: EmbeddedServer, query: str, user: str = "purser") -> Any:
    with psycopg.connect(server.url(user=user)) as connection:
        row = connection.execute(query).fetchone()
    assert row
    return row[0]


def tell(server: EmbeddedServer, statement: str) -> None:
    with psycopg.connect(server.url()) as connection:
        connection.execute(statement)


def directory(server: EmbeddedServer, setting: str) -> Path:
    """A directory among the settings, which only the superuser may read."""
    return Path(str(ask(server, f"SHOW {setting}", user="postgres")).strip('"'))


@pytest.mark.parametrize("way", WAYS)
def test_server_keeps_its_data(make: Start, open_directory: Path, way: str) -> None:
    server = make(open_directory, run_as=way)
    server.start()
    tell(server, "CREATE TABLE kept (what text)")

    tell(server, "INSERT INTO kept VALUES ('before a stop')")
    server.restart()
    tell(server, "INSERT INTO kept VALUES ('before a crash of everything')")
    server.kill()
    server.start()
    tell(server, "INSERT INTO kept VALUES ('before a kill of the postmaster')")
    os.kill(server.pid or 0, 9)
    server.start()

    assert ask(server, "SELECT count(*) FROM kept") == 3
    server.stop()
    assert not server.alive()
    assert processes_in(open_directory) == {}


def test_server_is_durable_private_and_the_same_everywhere(
    make: Start, tmp_path: Path
) -> None:
    server = make(tmp_path)
    server.start()

    def setting(name: str) -> str:
        return str(ask(server, f"SHOW {name}"))

    assert setting("fsync") == "on"
    assert setting("synchronous_commit") == "on"
    assert setting("data_checksums") == "on"
    assert setting("listen_addresses") == ""
    assert setting("timezone") == "UTC"
    assert setting("default_toast_compression") == "pglz"
    assert setting("server_encoding") == "UTF8"
    assert ask(server, "SELECT lower('Ä') || current_user") == "äpurser"
    for setting_name in ("unix_socket_directories", "data_directory"):
        mode = directory(server, setting_name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o700


def test_role_makes_databases_and_roles_but_rules_nothing(
    make: Start, tmp_path: Path
) -> None:
    server = make(tmp_path, durable=False)
    server.start()

    can = ask(
        server,
        "SELECT ARRAY[rolsuper, rolcreatedb, rolcreaterole, rolcanlogin]"
        " FROM pg_roles WHERE rolname = current_user",
    )

    assert can == [False, True, True, True]


def test_second_start_adopts_the_server_that_runs(make: Start, tmp_path: Path) -> None:
    first, second = make(tmp_path, durable=False), make(tmp_path, durable=False)
    first.start()

    second.start()

    assert second.pid == first.pid
    second.stop()
    assert not first.alive()


def test_start_survives_a_pid_that_went_to_a_stranger(make: Start, tmp_path: Path) -> None:
    server = make(tmp_path, durable=False)
    server.start()
    noted = (tmp_path / "postgres" / "data" / "postmaster.pid").read_text()
    pid, *rest = noted.splitlines(keepends=True)
    server.stop()
    stranger = subprocess.Popen(["sleep", "60"])
    (tmp_path / "postgres" / "data" / "postmaster.pid").write_text(
        "".join((f"{stranger.pid}\n", *rest))
    )

    server.start()

    assert server.pid not in (stranger.pid, int(pid))
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_socket_of_a_long_path_is_in_a_short_private_directory(
    make: Start, tmp_path: Path
) -> None:
    home = tmp_path / ("long" * 20)
    server = make(home, durable=False)
    server.start()
    sockets = directory(server, "unix_socket_directories")

    again = make(home, durable=False)
    again.start()

    assert sockets.parent == Path(tempfile.gettempdir())
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert again.url() == server.url()
    again.destroy()
    assert not sockets.exists()


def test_socket_directory_that_another_user_could_own_is_not_used(
    make: Start, tmp_path: Path
) -> None:
    home = tmp_path / ("long" * 20)
    server = make(home, durable=False)
    server.start()
    before = server.url()
    server.stop()
    sockets = Path(str(psycopg.conninfo.conninfo_to_dict(before)["host"]))
    sockets.chmod(0o777)

    server.start()

    assert server.url() != before
    sockets.rmdir()


def test_failing_start_shows_the_log_and_leaves_no_process(
    make: Start, tmp_path: Path
) -> None:
    server = make(tmp_path, durable=False)
    server.start()
    server.stop()
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("11\n")

    with pytest.raises(CannotStart, match="initialized by PostgreSQL version 11"):
        server.start()

    assert processes_in(tmp_path) == {}


# --- ways of running it ---------------------------------------------------------------


@as_root
@pytest.mark.parametrize("way", [way for way in WAYS if way != "direct"])
def test_way_is_remembered(make: Start, open_directory: Path, way: str) -> None:
    make(open_directory, durable=False, run_as=way).start()
    again = make(open_directory, durable=False)
    again.stop()

    again.start()

    owner = (open_directory / "postgres" / "data").owner()
    assert owner == ("nobody" if way == "nobody" else "root")


@as_root
@needs_namespaces
def test_change_of_way_keeps_the_data(make: Start, open_directory: Path) -> None:
    make(open_directory, durable=False, run_as="userns").start()

    for way in ("nobody", "userns"):
        server = make(open_directory, durable=False, run_as=way)
        server.stop()
        server.start()
        tell(server, f"CREATE TABLE by_{way} ()")

    assert ask(server, "SELECT to_regclass('by_nobody') IS NOT NULL")


@as_root
@needs_namespaces
def test_change_of_way_that_cannot_be_says_so(make: Start, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with make(tmp_path, durable=False, run_as="userns"):
        pass

    with pytest.raises(CannotStart, match="PURSER_PG_AS=userns"):
        make(tmp_path, run_as="nobody").start()


@as_root
def test_nobody_gets_a_place_of_its_own_below_a_closed_home(
    make: Start, tmp_path: Path, binaries: Path
) -> None:
    tmp_path.chmod(0o700)
    package = binaries.parent.parent
    for name in (package.name, f"{package.name}.libs"):
        (tmp_path / name).symlink_to(package.parent / name)
    closed = tmp_path / binaries.relative_to(package.parent)
    server = make(tmp_path / "home", closed, durable=False, run_as="nobody")

    with server:
        data = directory(server, "data_directory")
        place = data.parent
        assert not place.is_relative_to(tmp_path)
        assert (place.owner(), stat.S_IMODE(place.stat().st_mode)) == ("root", 0o711)
        assert (data.owner(), stat.S_IMODE(data.stat().st_mode)) == ("nobody", 0o700)
        copied = (place / "binaries").rglob("*")
        assert {path.owner() for path in copied} == {"root"}
    with server:
        assert directory(server, "data_directory") == data
    server.destroy()

    assert not place.exists()


@as_root
def test_lost_place_is_told_instead_of_starting_empty(make: Start, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with make(tmp_path, durable=False, run_as="nobody") as server:
        place = directory(server, "data_directory").parent
    shutil.rmtree(place)

    with pytest.raises(CannotStart, match="which is gone"):
        server.start()


@as_root
def test_nobody_is_used_where_namespaces_are_denied(
    open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tool in ("true", "test"):
        (open_directory / tool).symlink_to(shutil.which(tool) or "")
    monkeypatch.setenv("PATH", str(open_directory))

    assert accounts.choose(None, None).way == "nobody"
    with pytest.raises(CannotStart, match="lets root start PostgreSQL in no way"):
        accounts.choose("userns", None)


@as_root
@pytest.mark.parametrize("way", ["direct", "nonsense"])
def test_way_that_root_cannot_go_is_told(way: str) -> None:
    with pytest.raises(CannotStart, match=f"PURSER_PG_AS={way}"):
        accounts.choose(way, None)


ORDINARY = """
import os, subprocess, sys
from pathlib import Path
from launch.failures import CannotStart
from launch.postgres import EmbeddedServer

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
home, binaries = map(Path, sys.argv[1:])
server = EmbeddedServer(home, binaries)


def ask(query):
    psql = [binaries / "psql", "-XAtqc", query, server.url()]
    return subprocess.run(psql, capture_output=True, text=True, check=True).stdout


with server:
    ask("CREATE TABLE kept ()")
    server.kill()
    server.start()
    print(ask("SELECT count(*) FROM kept"), (home / "postgres" / "data").owner())
try:
    EmbeddedServer(home, binaries, run_as="userns").start()
except CannotStart as refusal:
    print(refusal)
"""


@as_root
def test_ordinary_user_runs_it_directly(
    open_directory: Path, binaries: Path, make: Start
) -> None:
    package = binaries.parent.parent
    wheel = open_directory / "wheel"
    shutil.copytree(binaries, wheel / package.name / "pginstall18" / "bin")
    for part in ("lib", "share"):
        target = wheel / package.name / "pginstall18" / part
        shutil.copytree(binaries.parent / part, target)
    shutil.copytree(f"{package}.libs", wheel / f"{package.name}.libs")
    home = open_directory / "home"
    home.mkdir()
    shutil.chown(home, "nobody")

    said = subprocess.run(
        [sys.executable, "-c", ORDINARY, home, wheel / package.name / "pginstall18/bin"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": tempfile.gettempdir()},
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.stdout.split("\n", 2) == [
        "0",
        " nobody",
        "PURSER_PG_AS=userns needs root; leave it out.\n",
    ], said.stderr
    with pytest.raises(CannotStart, match="belong to user nobody"):
        make(home).start()
    assert processes_in(open_directory) == {}
