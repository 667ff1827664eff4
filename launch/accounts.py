"""Under which account PostgreSQL runs, since it refuses to run as root.

direct   An ordinary user runs it as itself.
userns   Root runs it in a user namespace where root's own id reads as nobody's. Its
         files stay root's, so nothing has to change owner.
nobody   Where namespaces are denied (many containers), root starts it as the user
         nobody, whose files it then needs in places that nobody can reach.

No way creates a user, and none touches the mode of a directory it did not make.
"""

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from launch.failures import CannotStart

WAYS = ("direct", "userns", "nobody")


@dataclass(frozen=True)
class Account:
    """One of the ways; `uid` and `gid` own the server's files, seen from outside."""

    way: str
    uid: int
    gid: int
    prefix: tuple[str, ...] = ()
    drops: bool = False

    def popen(
        self,
        argv: Sequence[str | Path],
        output: IO[bytes] | int,
        env: Mapping[str, str] | None = None,
        keep: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a program under this account; it inherits the descriptors `keep`."""
        return subprocess.Popen(
            [*self.prefix, *argv],
            env=env,
            cwd="/",  # ours may be closed to it
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep,
            user=self.uid if self.drops else None,
            group=self.gid if self.drops else None,
            extra_groups=[] if self.drops else None,
        )

    def works(self) -> bool:
        return self._succeeds("true")

    def reaches(self, path: Path) -> bool:
        """Whether it may pass through a directory, or run a program."""
        if self.way == "direct":
            return os.access(path, os.X_OK)
        return self._succeeds("test", "-x", str(path))

    def _succeeds(self, *argv: str) -> bool:
        try:
            return self.popen(argv, subprocess.DEVNULL).wait() == 0
        except (OSError, subprocess.SubprocessError):
            return False


def choose(wanted: str | None, recorded: str | None) -> Account:
    """The account to use: the wanted way, else the recorded one, else what works.

    `wanted` is PURSER_PG_AS. Raises CannotStart when no way is open.
    """
    if wanted is not None and wanted not in WAYS:
        raise CannotStart(f"PURSER_PG_AS={wanted}: it is one of {', '.join(WAYS)}.")
    if os.geteuid() != 0:
        return _without_root(wanted)
    if wanted == "direct":
        raise CannotStart(
            "PURSER_PG_AS=direct is for an ordinary user: PostgreSQL refuses root."
        )
    ways = [wanted] if wanted else sorted(WAYS[1:], key=lambda way: way != recorded)
    for way in ways:
        account = _of_root(way)
        if account.works():
            return account
    raise CannotStart(
        f"This machine lets root start PostgreSQL in no way ({', '.join(ways)} tried):"
        " run as an ordinary user, or set DATABASE_URL to a server of your own."
    )


def possible_owners() -> set[int]:
    """Whose a running server's files can be, as far as we would have started it."""
    return {os.geteuid()} | ({_nobody().pw_uid} if os.geteuid() == 0 else set())


def _without_root(wanted: str | None) -> Account:
    if wanted in (None, "direct"):
        return Account("direct", os.geteuid(), os.getegid())
    raise CannotStart(f"PURSER_PG_AS={wanted} needs root; leave it out.")


def _of_root(way: str) -> Account:
    nobody = _nobody()
    if way == "nobody":
        return Account(way, nobody.pw_uid, nobody.pw_gid, drops=True)
    # initdb looks its own id up, so the id has to be one with a passwd entry.
    ids = (f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    prefix = ("unshare", "--user", *ids, "--")
    return Account(way, os.geteuid(), os.getegid(), prefix)


def _nobody() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise CannotStart(
            "PostgreSQL refuses to run as root and this machine has no user nobody:"
            " run as an ordinary user, or set DATABASE_URL to a server of your own."
        ) from None
