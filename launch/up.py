"""`make up`: from a fresh checkout to a service that answers, and down again."""

import contextlib
import errno
import http.client
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from launch import processes, purser, variables
from launch.environment import VirtualEnvironment
from launch.failures import CannotStart
from launch.home import read_json, write_json
from launch.interrupts import interrupts
from launch.locks import FileLock
from launch.postgres import EmbeddedServer, find_binaries
from launch.progress import Progress
from launch.seeding import Seeding
from launch.supervisor import Child, ChildService, Supervisor, stop_leftovers

ANSWER_SECONDS = 60
# How long a port may take to come free.
PORT_SECONDS = 2
# How long another `make up` may take to answer or to end until we give up on it.
OTHER_SECONDS = 120


class Launch:
    """One `make up`: a checkout, the variables that were given, a voice."""

    def __init__(
        self, checkout: Path, given: Mapping[str, str], progress: Progress
    ) -> None:
        self._checkout = checkout
        self._given = given
        self._progress = progress
        self._home = variables.home(checkout, given)
        self._port = variables.port(given)
        self._demo_records = variables.demo_records(given)
        self._prepare_log = self._home.log / "prepare.log"
        install_log = self._home.log / "install.log"
        self._environment = VirtualEnvironment(checkout, install_log)

    def up(self) -> int:
        """Run until a stop is asked for; if it runs already, only say where."""
        self._home.prepare()
        lock = FileLock(self._home.lock)
        if not self._claim(lock):
            self._announce()
            self._progress.say("It was started elsewhere; Ctrl-C there stops it.")
            return 0
        with contextlib.ExitStack() as down:
            down.callback(lock.release)
            self._clear_up()
            require_free(self._port)
            url = self._given.get("DATABASE_URL")
            self._environment.ensure("base" if url else "local", self._progress)
            server = None if url else self._start_server(down)
            env = self._variables(server)
            if server is None:
                self._check_database(env)
            self._prepare(env)
            self._serve(server, env, down)
        self._progress.say("Stopped.")
        return 0

    def _claim(self, lock: FileLock) -> bool:
        """Whether this run is the one; if not, another one answers."""
        deadline = time.monotonic() + OTHER_SECONDS
        while not lock.acquire():
            if self._home.demo.exists():
                return False
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"Another `make up` has been starting or stopping in"
                    f" {self._home.path} for {OTHER_SECONDS} seconds: stop it first."
                )
            interrupts.pause(0.1)
        return True

    def _clear_up(self) -> None:
        """End what a killed supervisor left, all but the database server."""
        self._home.demo.unlink(missing_ok=True)
        stop_leftovers(self._home.children, marker=f"PURSER_HOME={self._home.path}")

    def _start_server(self, down: contextlib.ExitStack) -> EmbeddedServer:
        server = EmbeddedServer(
            self._home.path,
            find_binaries(self._environment.path),
            run_as=self._given.get("PURSER_PG_AS"),
        )
        with self._progress.step("Starting PostgreSQL"):
            server.start()
        down.callback(server.stop, interrupts.hastened)
        return server

    def _variables(self, server: EmbeddedServer | None) -> dict[str, str]:
        given = dict(self._given)
        if server is not None:
            given = variables.without_libpq(given) | {"DATABASE_URL": server.url()}
        return variables.for_processes(given, self._home)

    def _check_database(self, env: Mapping[str, str]) -> None:
        """Raises CannotStart with a sentence on what is wrong with DATABASE_URL."""

        def refusal(lines: Sequence[str]) -> CannotStart:
            *details, sentence = lines or ("DATABASE_URL cannot be checked.",)
            return CannotStart(sentence, details)

        argv = [str(self._environment.python), "-m", "launch.reach_database"]
        self._run("Reaching the database", argv, env, refusal)

    def _prepare(self, env: Mapping[str, str]) -> None:
        """Raises CannotStart with the last that the preparation said."""

        def refusal(lines: Sequence[str]) -> CannotStart:
            return CannotStart(
                "`manage.py prepare` could not prepare the database; all that it said"
                f" is in {self._prepare_log}.",
                lines,
            )

        argv = purser.preparation(self._environment.python, self._home)
        env = {**env, "DATABASE_ROLE": "owner"}
        self._run("Preparing the database", argv, env, refusal)

    def _run(
        self,
        title: str,
        argv: list[str],
        env: Mapping[str, str],
        refusal: Callable[[Sequence[str]], CannotStart],
    ) -> None:
        with self._progress.step(title) as step:
            outcome = processes.run(
                argv,
                env=env,
                cwd=self._checkout,
                log=self._prepare_log,
                on_line=step.show,
            )
            if outcome.code != 0:
                raise refusal(outcome.last_lines)

    def _serve(
        self,
        server: EmbeddedServer | None,
        env: Mapping[str, str],
        down: contextlib.ExitStack,
    ) -> None:
        """Run the children; publish demo.json for as long as they answer."""
        python, home = self._environment.python, self._home
        children = [
            self._service(child) for child in purser.children(python, home, self._port, env)
        ]
        first = [server] if server else []
        keeper = Supervisor(
            [*first, *children], state=home.children, say=self._progress.say
        )
        down.callback(keeper.stop)
        down.callback(home.demo.unlink, missing_ok=True)
        with self._progress.step("Starting web, worker and beat"):
            self._await_answer(keeper)
        url = variables.address(self._given)
        write_json(home.demo, {"url": url, **home.read_credentials()})
        self._announce()
        self._progress.say(f"Logs are in {home.log}. Ctrl-C stops it.")
        if self._demo_records:
            child = purser.seeding(python, home, self._demo_records, env)
            keeper.run_once(Seeding(self._service(child), self._progress))
        keeper.watch()
        self._progress.say("\nStopping; Ctrl-C again hastens it.")

    def _service(self, child: Child) -> ChildService:
        log = self._home.log / f"{child.name}.log"
        return ChildService(child, cwd=self._checkout, log=log)

    def _await_answer(self, keeper: Supervisor) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        keeper.tend()
        while not answers(self._port):
            keeper.tend()
            keeper.require_hope()
            if time.monotonic() > deadline:
                log = self._home.log / "web.log"
                raise CannotStart(
                    f"The web server has not answered for {ANSWER_SECONDS} seconds; all"
                    f" that it said is in {log}.",
                    processes.tail(log),
                )
            interrupts.pause(0.02)

    def _announce(self) -> None:
        demo = read_json(self._home.demo)
        say = self._progress.say
        say(f"\nPurser answers at {demo.get('url')}\n")
        for user in demo.get("users", []):
            say(f"  {user['username']:<12} {user['password']}   ({user['role']})")
        say(f"  {'API key':<12} {demo.get('api_key')}\n")


def require_free(port: int) -> None:
    """Find out before any slow work that the web server could not listen.

    A server that was killed has its port until its last thread is gone, a moment after
    it looks dead: a port in use gets that moment.
    """
    deadline = time.monotonic() + PORT_SECONDS
    while (refusal := refused(port)) is not None:
        if refusal.errno != errno.EADDRINUSE:
            raise CannotStart(
                f"Port {port} cannot be used ({refusal.strerror}): choose another one,"
                " as in `make up PORT=8000`."
            )
        if time.monotonic() > deadline:
            raise CannotStart(
                f"Port {port} is in use: stop what listens there, or choose another"
                f" one, as in `make up PORT={port + 1}`."
            )
        interrupts.pause(0.05)


def refused(port: int) -> OSError | None:
    """Why the port cannot be listened on; None when it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((purser.HOST, port))
        except OSError as error:
            return error
    return None


def answers(port: int) -> bool:
    """Whether GET /livez brings 200; asked directly, past any configured proxy."""
    connection = http.client.HTTPConnection(purser.HOST, port, timeout=2)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
