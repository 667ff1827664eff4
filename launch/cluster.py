"""The files of one embedded server: where they are and whose they are.

Everything is in `<home>/postgres` when the server's account can reach that. When it
cannot (a checkout in root's own home, the server as nobody), data and a copy of the
binaries are in a directory of their own that `server.json` names:

    server.json   way, place and socket directory, for the next start
    lock          held by every process of the server, see `launch.postgres`
    data/         the cluster; `making/` until initdb has succeeded
    sockets/      mode 0700; in the temporary directory when its path is too long
    binaries/     only where the environment's own cannot be reached
"""

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Collection
from pathlib import Path

from launch import accounts, identities
from launch.accounts import Account
from launch.failures import CannotStart
from launch.home import read_json, write_json

# A socket's path ends at 103 bytes (macOS) or 107 and `/.s.PGSQL.5432` takes 14.
SOCKET_PATH_BYTES = 89

# Where root keeps what nobody has to reach; systemd empties /var/tmp after 30 days.
ELSEWHERE = ("/var/lib", "/var/tmp")  # noqa: S108 - mkdtemp: no name to lie in wait for


class Cluster:
    """Reads its record when made; `settle` makes whatever is missing."""

    def __init__(self, path: Path, binaries: Path) -> None:
        self.path = path
        self.binaries = binaries
        self._record = read_json(path / "server.json")

    @property
    def place(self) -> Path:
        return Path(self._record.get("place") or self.path)

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def making(self) -> Path:
        return self.place / "making"

    @property
    def sockets(self) -> Path:
        return Path(self._record.get("sockets") or self.place / "sockets")

    @property
    def complete(self) -> bool:
        """Whether the role and the database were made in it."""
        return bool(self._record.get("complete"))

    def mark_complete(self) -> None:
        self._note(complete=True)

    def settle(self, wanted: str | None) -> tuple[Account, Path]:
        """The account to run under and the binaries it can reach.

        Only for the holder of the lock. Raises CannotStart when existing data cannot
        be used that way.
        """
        account = accounts.choose(wanted, self._record.get("way"))
        if self.data.exists():
            self._keep_data(account)
        else:
            self._find_place(account)
        binaries = self._reachable_binaries(account)
        self._settle_sockets(account)
        self._note(way=account.way)
        return account, binaries

    def remove(self) -> None:
        """Everything, data included; the server has to be stopped."""
        for directory in (self.sockets, self.place, self.path):
            shutil.rmtree(directory, ignore_errors=True)

    def sockets_are_private(self, uids: Collection[int]) -> bool:
        """Whether nobody else can have put a server of theirs there."""
        try:
            found = self.sockets.lstat()
        except FileNotFoundError:
            return False
        private = stat.S_ISDIR(found.st_mode) and found.st_mode & 0o077 == 0
        return private and found.st_uid in uids

    def pid_file(self) -> tuple[int, str]:
        """The postmaster and its state (`starting`, `ready` …) as noted; or 0."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
        except (OSError, ValueError, IndexError):
            return 0, ""

    def is_postmaster(self, pid: int) -> bool:
        """Whether it works in the data directory; without /proc the pid is believed.

        A process whose directory is hidden from us is another user's, so not ours.
        """
        if pid and not identities.HAS_PROC:
            return identities.look_up(pid) is not None
        try:
            return os.path.samefile(identities.PROC / str(pid) / "cwd", self.data)
        except OSError:
            return False

    def forget_recycled_pid(self) -> None:
        """Remove a pid file whose pid has gone to a stranger; for the lock's holder.

        PostgreSQL sees for itself that a pid is dead, but takes any living process for
        the earlier postmaster and refuses to start, which after a reboot is for good.
        """
        pid, _ = self.pid_file()
        if identities.look_up(pid) and not self.is_postmaster(pid):
            (self.data / "postmaster.pid").unlink()
            for left in self.sockets.glob(".s.PGSQL.*"):
                left.unlink()

    def _note(self, **facts: object) -> None:
        self._record |= facts
        write_json(self.path / "server.json", self._record)

    def _keep_data(self, account: Account) -> None:
        """Let the account have the data as they are, or as root hands them over."""
        way = self._record.get("way")
        if not account.reaches(self.place):
            raise CannotStart(
                f"PostgreSQL run as {account.way} cannot reach its data in {self.data}:"
                f" set PURSER_PG_AS={way}, or remove {self.path} to start empty."
            )
        owner = self.data.stat().st_uid
        if owner == account.uid:
            return
        if account.way == "direct" or way == "direct":
            raise CannotStart(
                f"The data in {self.data} belong to user {_user_name(owner)}: start"
                f" Purser as that user, or remove {self.path} to start empty."
            )
        _give(self.data, account)

    def _find_place(self, account: Account) -> None:
        if "place" in self._record and not self.place.is_dir():
            raise CannotStart(
                f"The data of this Purser were in {self.place}, which is gone: put it"
                f" back, or remove {self.path} to start empty."
            )
        if not account.reaches(self.place):
            self._note(place=str(_elsewhere(account)))

    def _reachable_binaries(self, account: Account) -> Path:
        if account.reaches(self.binaries / "postgres"):
            return self.binaries
        copy = self.place / "binaries"
        # <package>/<installation>/bin, and beside the package its libraries.
        packages = self.binaries.parents[2]
        copied = copy / self.binaries.relative_to(packages)
        if not _same_file(self.binaries / "postgres", copied / "postgres"):
            new = self.place / "binaries.new"
            for directory in (new, copy):
                shutil.rmtree(directory, ignore_errors=True)
            _copy_programs(self.binaries.parent, packages, new)
            new.rename(copy)
        return copied

    def _settle_sockets(self, account: Account) -> None:
        if self.sockets_are_private([account.uid]):
            return
        usual = self.place / "sockets"
        if len(os.fsencode(usual)) <= SOCKET_PATH_BYTES:
            usual.mkdir(exist_ok=True)
            usual.chmod(0o700)
            self._note(sockets=None)
        else:
            self._note(sockets=_short_directory())
        os.chown(self.sockets, account.uid, account.gid)


def _elsewhere(account: Account) -> Path:
    for base in map(Path, ELSEWHERE):
        if os.access(base, os.W_OK) and account.reaches(base):
            place = Path(tempfile.mkdtemp(prefix="purser-", dir=base))
            place.chmod(0o711)  # passed through, not listed; what is secret is below
            return place
    raise CannotStart(
        f"PostgreSQL run as {account.way} can reach none of {', '.join(ELSEWHERE)}:"
        " run as an ordinary user, or set DATABASE_URL to a server of your own."
    )


def _short_directory() -> str:
    usual = tempfile.gettempdir()
    base = usual if len(os.fsencode(usual)) <= SOCKET_PATH_BYTES - 20 else "/tmp"  # noqa: S108
    return tempfile.mkdtemp(prefix="purser-", dir=base)


def _give(directory: Path, account: Account) -> None:
    """Change the owner of a tree, its top last: a change broken off is redone."""
    for parent, directories, files in os.walk(directory, topdown=False):
        for name in (*directories, *files):
            os.lchown(os.path.join(parent, name), account.uid, account.gid)
    os.lchown(directory, account.uid, account.gid)


def _copy_programs(installation: Path, packages: Path, target: Path) -> None:
    """Copy an installation and its libraries so that every user can run them."""
    headers = shutil.ignore_patterns("include", "*.a")
    place = installation.relative_to(packages)
    shutil.copytree(installation, target / place, ignore=headers)
    libraries = f"{place.parts[0]}.libs"
    if (packages / libraries).is_dir():
        shutil.copytree(packages / libraries, target / libraries)
    for path in (target, *target.rglob("*")):
        runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if runs else 0o644)


def _same_file(original: Path, copy: Path) -> bool:
    try:
        one, other = original.stat(), copy.stat()
    except FileNotFoundError:
        return False
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
