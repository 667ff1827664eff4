"""A real Purser on a PostgreSQL of its own: the processes that `make up` starts."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from launch import processes, purser, variables
from launch.home import Home
from launch.postgres import EmbeddedServer, find_binaries
from launch.supervisor import Child
from tests.chaos import clock
from tests.chaos.proxy import Proxy
from tests.chaos.small_disk import SmallDisk

CHECKOUT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60
LOG_LINES = 40

# What a process may inherit: nothing that says which database or queue to use.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PURSER_PG_AS")

# All of them are given, so that no `.env` of the checkout fills in another.
_URLS = ("DATABASE_URL", "APP_DATABASE_URL", "WORKER_DATABASE_URL")

# Through which proxy who writes what: the door its records, those that count the charges.
WRITES = {"web": "billing_usage_record", "workers": "billing_charge"}

_ISSUE_KEY = """
from django.utils import timezone
from teams.actions import api_keys
from teams.models import Organization
from teams.models.api_keys import Scope
organization = Organization.objects.get(slug="acme")
_, secret = api_keys.issue(organization=organization, name="Chaos", scopes=list(Scope),
                           by="tests", now=timezone.now())
print(secret)
"""

_METRICS = "pgmq.metrics_all() WHERE queue_name = 'count'"
_COUNTING = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name ~ '^worker' AND state <> 'idle' AND query LIKE '%billing_%'
"""
_SITUATION = """
SELECT application_name, state, coalesce(wait_event, ''), now() - state_change,
    left(regexp_replace(query, '[[:space:]]+', ' ', 'g'), 90)
FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()
UNION ALL SELECT 'postings waiting', '', count(*)::text, now() - min(received_at), ''
FROM billing_posting
ORDER BY 1
"""


class TookTooLong(AssertionError):
    """Something that had to come to pass did not, in its time."""


def await_that(
    condition: Callable[[], Any], seconds: float, what: str, pause: float = 0.02
) -> Any:
    """The first true value of `condition`. Raises TookTooLong."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TookTooLong(f"not within {seconds:g} s: {what}")
        time.sleep(pause)
    return value


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


class Client:
    """HTTP as an API key's owner. Every request has a connection of its own.

    Asks 127.0.0.1 itself, past any configured proxy. Raises OSError or HTTPException
    when there is no whole answer in time.
    """

    def __init__(self, port: int, key: str, timeout: float = 10) -> None:
        self._port = port
        self._key = key
        self._timeout = timeout

    def post(
        self,
        path: str,
        body: bytes | Any,
        *,
        before_last_byte: Callable[[], None] | None = None,
        **headers: str,
    ) -> Reply:
        """`before_last_byte` is called when all but the last byte has been sent."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._ask("POST", path, data, headers, before_last_byte)

    def get(self, path: str) -> Reply:
        return self._ask("GET", path, b"", {})

    def patch(self, path: str, body: Any) -> Reply:
        return self._ask("PATCH", path, json.dumps(body).encode(), {})

    def delete(self, path: str) -> Reply:
        return self._ask("DELETE", path, b"", {})

    def _ask(
        self,
        method: str,
        path: str,
        data: bytes,
        headers: dict[str, str],
        before_last_byte: Callable[[], None] | None = None,
    ) -> Reply:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        said |= {"Authorization": f"Bearer {self._key}"}
        said.setdefault("Content-Type", "application/json")
        http_connection = http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=self._timeout
        )
        with closing(http_connection) as connection:
            if data:
                said["Content-Length"] = str(len(data))
            connection.request(method, f"/api/v1/{path}", data[:-1], said)
            if before_last_byte:
                before_last_byte()
            connection.send(data[-1:])
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.headers), _read(answer.read()))


def _read(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")


class Process:
    """One of Purser's processes, with everything that it starts itself."""

    def __init__(self, child: Child, log: Path) -> None:
        self.name = child.name
        self.log = log
        self.wanted = False
        self.starts = 0
        self._child = child
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of its first process, which is also the id of its group; 0 without one."""
        return self._process.pid if self._process else 0

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self.wanted = True
        self._sweep()
        self._process = processes.start(
            self._child.argv, env=self._child.env, cwd=CHECKOUT, log=self.log
        )
        self.starts += 1

    def stop(self) -> None:
        """As an operator does: SIGTERM, and time to finish."""
        self.wanted = False
        if self._process is not None:
            processes.stop(self.pid, self.alive, self._child.patience)
            self._sweep()

    def kill(self) -> None:
        """SIGKILL to the whole group at once."""
        if self._process is not None:
            processes.send_to_group(self.pid, signal.SIGKILL)
            self._sweep()

    def signal_all(self, pid: int, signum: int) -> None:
        """A signal to the whole group, if `pid` still leads it."""
        if pid and pid == self.pid:
            processes.send_to_group(pid, signum)

    def children(self) -> list[int]:
        """The pids of the group but its first."""
        return [pid for pid in _group(self.pid) if pid != self.pid] if self.pid else []

    def _sweep(self) -> None:
        """End what outlives its parent (a web server's workers hold its port)."""
        if self._process is not None:
            processes.send_to_group(self.pid, signal.SIGKILL)
            self._process.wait()
            await_that(lambda: not _group(self.pid), 10, f"{self.name}'s group ends")
            self._process = None


def _group(leader: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended while we looked
            continue
        if int(group) == leader and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


class Service:
    """PostgreSQL, web, worker and beat; as a context manager it starts and ends them.

    Not for several threads: who starts, breaks and tends it is one and the same. What
    clients need (`port`, `key`, `database`) does not change.
    """

    def __init__(
        self,
        outgoing_allow: str = "",
        *,
        proxied: bool = False,
        jumping: bool = False,
        plants: Sequence[str] = (),
        before_start: str = "",
        disk_megabytes: int = 0,
        **more: str,
    ) -> None:
        self._outgoing_allow = outgoing_allow  # where webhooks may go besides the Internet
        self._proxied = proxied  # whether its processes reach PostgreSQL through proxies
        self._jumping = jumping  # whether the clock of its processes can be changed
        self._plants = plants  # modules that change them, see tests/chaos/startup
        self._before_start = before_start  # what the owner does to the tables
        self._more = more  # what else stands in the environment of its processes
        self.home = Home(Path(tempfile.mkdtemp(prefix="purser-chaos-")))
        self.home.path.chmod(0o711)  # the server may be another user and passes through
        self._reserved = _reserve_port()
        self.port = int(self._reserved.getsockname()[1])
        self.disk = SmallDisk(self.home.path / "postgres", disk_megabytes)
        self.postgres = EmbeddedServer(
            self.home.path,
            find_binaries(Path(sys.prefix)),
            run_as=os.environ.get("PURSER_PG_AS"),
        )
        self.key = ""  # covers the organization
        self.demo_key = ""  # covers the project `playground`
        self.processes: dict[str, Process] = {}
        self.proxies: dict[str, Proxy] = {}
        self._commands: list[subprocess.Popen[bytes]] = []
        self.while_waiting: Callable[[], None] = lambda: None  # also whenever it is tended

    # --- up and down ------------------------------------------------------------------

    def start(self) -> None:
        """Everything, from an empty directory to a service that answers."""
        self.prepare()
        self.start_all()

    def prepare(self) -> None:
        """PostgreSQL, the tables, the demo organization and a key; no process yet."""
        self.home.prepare()
        self.disk.mount()
        self.postgres.start()
        if self._proxied:
            self.proxies = {name: self._proxy(name) for name in WRITES}
        self.processes = {process.name: process for process in self._processes()}
        self.manage(
            "prepare", "--credentials", str(self.home.credentials), "--records", "0"
        )
        self.demo_key = self.home.read_credentials()["api_key"]
        self.key = self.shell(_ISSUE_KEY).strip()
        if self._before_start:
            with self.sql() as owner:
                owner.execute(self._before_start.encode())

    def start_all(self) -> None:
        """Whatever does not run; return when all of it does its work."""
        for process in self.all:
            if not process.alive():
                process.start()
        self.await_tended(self.answers, START_SECONDS, "the web server answers")
        sent = self.ticks_sent()
        self.await_tended(
            lambda: self.ticks_sent() > sent and not self.ticks_to_be_taken(),
            START_SECONDS,
            "beat sends a tick and a worker takes it",
        )

    def await_tended(self, condition: Callable[[], Any], seconds: float, what: str) -> None:
        """Tend everything until it is so. Raises TookTooLong."""

        def tended() -> Any:
            self.tend()
            return condition()

        await_that(tended, seconds, what)

    def tend(self) -> None:
        """Start again what has ended but should run, without waiting for it."""
        self.while_waiting()
        if not self.postgres.alive():
            self.postgres.launch()
        for process in self.all:
            if process.wanted and not process.alive():
                process.start()

    def end(self) -> None:
        """At once and without a trace; nothing of it is needed any more."""
        for process in self.all:
            process.kill()
        for command in self._commands:
            processes.send_to_group(command.pid, signal.SIGKILL)
            command.wait()
        for proxy in self.proxies.values():
            proxy.end()
        self.postgres.kill()
        self.disk.unmount()
        self.postgres.destroy()
        self._reserved.close()
        shutil.rmtree(self.home.path, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            sys.stderr.write(self.logs())
            self.end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            sys.stderr.write(self.logs())
        self.end()

    # --- talking to it ----------------------------------------------------------------

    @property
    def database(self) -> str:
        return self.postgres.url()

    @property
    def all(self) -> list[Process]:
        return list(self.processes.values())

    @property
    def web(self) -> Process:
        return self.processes["web"]

    @property
    def workers(self) -> list[Process]:
        return [self.processes[name] for name in self.processes if "worker" in name]

    @property
    def beat(self) -> Process:
        return self.processes["beat"]

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def client(self, key: str | None = None, timeout: float = 10) -> Client:
        return Client(self.port, key or self.key, timeout)

    @contextmanager
    def sql(self, database: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        """As the owner, past the product; each statement commits by itself."""
        url = database or self.database
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            yield connection

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.sql() as connection:
            return connection.execute(statement, values or None).fetchall()

    def ticks_sent(self) -> int:
        """How many beat has ever sent."""
        return self._number("SELECT coalesce(max(total_messages), 0) FROM " + _METRICS)

    def ticks_waiting(self) -> int:
        """How many are in the queue, also those that a worker has read and not begun."""
        return self._number("SELECT coalesce(max(queue_length), 0) FROM " + _METRICS)

    def ticks_to_be_taken(self) -> int:
        """How many no worker has read. One that was read by a worker that was killed then
        stays in the queue for two minutes."""
        query = "SELECT coalesce(max(queue_visible_length), 0) FROM " + _METRICS
        return self._number(query)

    def counting(self) -> int:
        """How many transactions of workers are counting at this moment."""
        return self._number(_COUNTING)

    def _number(self, query: str) -> int:
        """0 while there is no server."""
        try:
            return int(self.query(query)[0][0])
        except psycopg.OperationalError:
            return 0

    def manage(
        self,
        *arguments: str,
        role: str = "owner",
        database: str | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a management command. Raises AssertionError with what it said."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            env=self.variables(database) | {"DATABASE_ROLE": role},
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"manage.py {arguments[0]}:\n{done.stdout}{done.stderr}")
        return done

    def begin_to_manage(self, *arguments: str) -> None:
        """Run a management command beside everything; what it says is in its log."""
        command = processes.start(
            [sys.executable, "manage.py", *arguments],
            env=self.variables() | {"DATABASE_ROLE": "owner"},
            cwd=CHECKOUT,
            log=self.home.log / f"{arguments[0]}.log",
        )
        self._commands.append(command)

    def manages(self) -> bool:
        """Whether such a command still runs."""
        return any(command.poll() is None for command in self._commands)

    def shell(self, script: str, role: str = "owner") -> str:
        """What a script printed that ran inside Django."""
        return self.manage("shell", "--no-imports", "-c", script, role=role).stdout

    def logs(self) -> str:
        """The last lines of each process, and what the sessions are doing."""
        parts = [f"--- sessions\n{self._sessions()}"]
        for log in sorted(self.home.log.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            parts.append("\n".join([f"--- {log.name}", *lines]))
        return "\n".join(parts) + "\n"

    def logs_of(self, name: str) -> str:
        """All that the processes whose names begin so have said."""
        logs = sorted(self.home.log.glob(f"{name}*.log"))
        return "".join(log.read_text(errors="replace") for log in logs)

    def _sessions(self) -> str:
        try:
            return "\n".join(map(str, self.query(_SITUATION)))
        except psycopg.OperationalError as error:
            return str(error)

    # --- how it is put together -------------------------------------------------------

    def variables(self, database: str | None = None) -> dict[str, str]:
        """What its processes find in their environment."""
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        given = kept | dict.fromkeys(_URLS, database or self.database)
        if self._outgoing_allow:
            given["OUTGOING_ALLOW"] = self._outgoing_allow
        given |= self._more
        return variables.for_processes(
            given | {"CELERY_BROKER_URL": "pgmq://", "LOG_LEVEL": "WARNING"}, self.home
        )

    def _processes(self) -> Iterator[Process]:
        python = Path(sys.executable)
        env = self.variables()
        for child in purser.children(python, self.home, self.port, env):
            # libpq hands this name to PostgreSQL: whose session it is can be asked there.
            heartbeat = str(self.heartbeat(child.name))
            own = {"PGAPPNAME": child.name, "HEARTBEAT_FILE": heartbeat}
            if proxy := self.proxies.get("web" if child.name == "web" else "workers"):
                own |= dict.fromkeys(_URLS, self._url_through(proxy))
            named = replace(child, env={**child.env, **own, **self._spoiled()})
            yield Process(named, self.home.log / f"{child.name}.log")

    def _spoiled(self) -> dict[str, str]:
        """What changes a process from its start."""
        given = clock.variables(self.home.path) if self._jumping else {}
        modules = [*([clock.PLANT] if self._jumping else []), *self._plants]
        if modules:
            places = f"{CHECKOUT / 'tests/chaos/startup'}{os.pathsep}{CHECKOUT}"
            given |= {"PYTHONPATH": places, "CHAOS_STARTUP": ",".join(modules)}
        return given

    def _proxy(self, name: str) -> Proxy:
        server = Path(str(conninfo_to_dict(self.database)["host"]))
        proxy = Proxy(f"{name}-proxy", self.home.path / f"to-{name}", server, WRITES[name])
        proxy.start()
        return proxy

    def _url_through(self, proxy: Proxy) -> str:
        parts = conninfo_to_dict(self.database)
        sockets = quote(str(proxy.sockets), safe="")
        return f"postgresql://{parts['user']}@/{parts['dbname']}?host={sockets}"

    def heartbeat(self, name: str) -> Path:
        """What a worker or beat touches while it works."""
        return self.home.run / f"{name}.heartbeat"


def _reserve_port() -> socket.socket:
    """A port that stays ours while no web server runs.

    A socket that is bound and does not listen gets no connection; the web server may
    bind beside it, and nobody without SO_REUSEPORT gets the port.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved
