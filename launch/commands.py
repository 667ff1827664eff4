"""The commands of the launcher: `python3 -m launch up`, `manage`, `test` and `run`."""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from launch import temporary, variables
from launch.environment import VirtualEnvironment
from launch.failures import CannotStart
from launch.interrupts import Interrupted, interrupts
from launch.manage import manage
from launch.postgres import find_binaries
from launch.progress import Progress
from launch.up import Launch

CHECKOUT = Path(__file__).resolve().parent.parent

CANNOT_START = 2
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """The exit code: the command's own, or 2 with one sentence on stderr."""
    chosen = _parser().parse_args(arguments)
    interrupts.listen()
    try:
        return _perform(chosen)
    except Interrupted:
        return INTERRUPTED
    except CannotStart as refusal:
        return _refuse(str(refusal))
    except PermissionError as error:
        return _refuse(
            f"Permission denied: {error.filename}. If another user started Purser here"
            " before, start it as that user or set another PURSER_HOME."
        )
    except OSError as error:
        return _refuse(f"The system refused: {error}.")


def _perform(chosen: argparse.Namespace) -> int:
    given = variables.given(CHECKOUT, os.environ)
    if chosen.subcommand == "up":
        return Launch(CHECKOUT, given, Progress(sys.stdout)).up()
    if chosen.subcommand == "manage":
        return manage(CHECKOUT, given, chosen.arguments, Progress(sys.stderr))
    if chosen.subcommand == "test":
        # The server goes with the run; dropping its databases one by one first would
        # only wait for connections that are on their way.
        parallel = ("-n", "auto", "--dist", "loadgroup")
        run = ["pytest", *parallel, "--reuse-db", *chosen.arguments]
        return _run(run, "dev", with_database=True)
    return _run(chosen.command, chosen.lock, with_database=not chosen.without_database)


def _run(command: Sequence[str], lock: str, *, with_database: bool) -> int:
    """Run a command on the development environment, with a database of its own.

    Another lock than that of development has an environment of its own. Only the
    environment counts here: what `.env` says is for `up`, not for tests.
    """
    progress = Progress(sys.stderr)
    log = CHECKOUT / "var" / "log" / "install.log"
    directory = ".venv" if lock == "dev" else f"var/{lock}"
    environment = VirtualEnvironment(CHECKOUT, log, directory)
    environment.ensure(lock, progress)
    env = environment.variables(os.environ)
    with contextlib.ExitStack() as down:
        if with_database:
            binaries = find_binaries(environment.path)
            run_as = os.environ.get("PURSER_PG_AS")
            server = down.enter_context(temporary.server(binaries, run_as))
            env = temporary.variables_for(env, server)
        return temporary.run(command, env, CHECKOUT)


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return CANNOT_START


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m launch", description="Start Purser, its tests or a command."
    )
    subcommands = parser.add_subparsers(dest="subcommand", required=True)
    subcommands.add_parser("up", help="run everything on this machine, until Ctrl-C")
    test = subcommands.add_parser("test", help="run pytest on a server of its own")
    test.add_argument("arguments", nargs="*", help="for pytest, after --")
    command = subcommands.add_parser("manage", help="manage.py on what `up` runs")
    command.add_argument("arguments", nargs="*", help="for manage.py, after --")
    run = subcommands.add_parser(
        "run", help="run a command with the tools, and a server that lasts as long"
    )
    run.add_argument("--without-database", action="store_true", help="tools only")
    run.add_argument(
        "--lock", choices=["dev", "bench"], default="dev", help="requirements/LOCK.txt"
    )
    run.add_argument("command", nargs="+", help="after --")
    return parser
