"""A database server for one command: `make test`, and whatever needs a database.

Several can run at once: each has a directory of its own, where its server, its socket
and its PURSER_HOME are, and which goes with it.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from launch.failures import CannotStart
from launch.interrupts import interrupts
from launch.locks import FileLock
from launch.postgres import EmbeddedServer
from launch.variables import without_libpq

PREFIX = "purser-test-"
# A directory younger than this may not have its lock yet.
SETTLED_SECONDS = 60


@contextlib.contextmanager
def server(binaries: Path, run_as: str | None = None) -> Iterator[EmbeddedServer]:
    """A fresh server without durability, removed at the end, however that comes.

    What a killed launcher could not remove, the next one does.
    """
    _remove_abandoned(binaries)
    home = Path(tempfile.mkdtemp(prefix=PREFIX))
    home.chmod(0o711)  # as root, the server may be nobody and has to pass through
    with FileLock(home / "launcher.lock"):
        fleeting = EmbeddedServer(home, binaries, durable=False, run_as=run_as)
        try:
            fleeting.start()
            yield fleeting
        finally:
            fleeting.destroy()
            shutil.rmtree(home, ignore_errors=True)


def _remove_abandoned(binaries: Path) -> None:
    for home in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            found = home.lstat()
            settled = time.time() - found.st_mtime > SETTLED_SECONDS
            lock = FileLock(home / "launcher.lock")
            if found.st_uid == os.geteuid() and settled and lock.acquire():
                EmbeddedServer(home, binaries).destroy()
                shutil.rmtree(home)
                lock.release()


def variables_for(given: Mapping[str, str], fleeting: EmbeddedServer) -> dict[str, str]:
    """The command's environment: the same on every machine, whatever was given."""
    return without_libpq(given) | {
        "DATABASE_URL": fleeting.url(),
        "DATABASE_ROLE": "owner",
        "PURSER_HOME": str(fleeting.home),
        "SECRET_KEY": secrets.token_urlsafe(50),
        "DEBUG": "false",
        "HTTPS_ONLY": "false",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
    }


def run(command: Sequence[str], env: Mapping[str, str], cwd: Path) -> int:
    """Run a command in the foreground; its exit code, 128 + n after signal n.

    The terminal sends Ctrl-C to the command too, so it is for the command to end; a
    SIGTERM reaches only us and is handed on.
    """
    interrupts.pause(0)
    try:
        process = subprocess.Popen(command, env=env, cwd=cwd)
    except FileNotFoundError:
        raise CannotStart(f"There is no command {command[0]}.") from None
    handed_on = False
    while process.poll() is None:
        if interrupts.ours_alone and not handed_on:
            process.terminate()
            handed_on = True
        time.sleep(0.02)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode
