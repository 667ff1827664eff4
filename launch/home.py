"""PURSER_HOME: the one directory that a running Purser writes to."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch.failures import CannotStart


@dataclass(frozen=True)
class Home:
    """Where things are in it; `path` is absolute.

    The directory itself keeps the mode it was made with, because an unprivileged
    server may have to pass through it. What is secret in it has mode 0600 or 0700.
    """

    path: Path

    def prepare(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        for private in (self.log, self.run):
            private.mkdir(mode=0o700, exist_ok=True)

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as it lives."""
        return self.run / "supervisor.lock"

    @property
    def children(self) -> Path:
        """The processes of the supervisor, for the one that comes after a kill -9."""
        return self.run / "children.json"

    @property
    def credentials(self) -> Path:
        """Written by `manage.py prepare`: the demo organization's logins and key."""
        return self.path / "credentials.json"

    @property
    def demo(self) -> Path:
        """The credentials and the URL: written once it answers, removed when it stops."""
        return self.path / "demo.json"

    def secret_key(self) -> str:
        """The random key of this home, made when first asked for."""
        path = self.path / "secret-key"
        if not path.exists():
            write_atomically(path, secrets.token_urlsafe(50))
        return path.read_text().strip()

    def read_credentials(self) -> dict[str, Any]:
        credentials = read_json(self.credentials)
        if not credentials:
            raise CannotStart(
                f"`manage.py prepare` left no credentials in {self.credentials}."
            )
        return credentials


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by one with mode 0600; a reader sees the old or the new one."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    new.replace(path)


def write_json(path: Path, value: object) -> None:
    write_atomically(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty when there is none or it cannot be read as one."""
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
