"""The virtual environment: made when missing, filled from a lock, known by a stamp.

A start that finds the stamp equal to the lock spends no time on pip.
"""

import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from launch import processes
from launch.failures import CannotStart
from launch.home import read_json
from launch.locks import FileLock
from launch.processes import Outcome
from launch.progress import Progress

# Each lock, with those that it contains.
LOCKS: Mapping[str, Sequence[str]] = {
    "base": [],
    "local": ["base"],
    "dev": ["base", "local"],
    "bench": ["base"],
}


class VirtualEnvironment:
    """`.venv` of a checkout, or another directory in it."""

    def __init__(self, checkout: Path, log: Path, directory: str = ".venv") -> None:
        self.checkout = checkout
        self.path = checkout / directory
        self.python = self.path / "bin" / "python"
        self._stamp = self.path / "purser-installed.json"
        # There while pip works: what it leaves when it is killed cannot be trusted.
        self._unfinished = self.path / "purser-unfinished"
        self._log = log

    def ensure(self, lock: str, progress: Progress) -> None:
        """Make it hold at least what `requirements/<lock>.txt` asks for.

        Raises CannotStart when this Python can make no environment or pip fails.
        """
        if self._satisfies(lock):
            return
        self.path.mkdir(exist_ok=True, parents=True)
        with FileLock(self.path):  # two starts on a fresh checkout: one installs
            if self._satisfies(lock):
                return
            if not self._usable():
                self._make(progress)
            self._install(lock, progress)

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """The environment of a command that finds this environment's tools first."""
        path = f"{self.path / 'bin'}{os.pathsep}{given.get('PATH', os.defpath)}"
        return dict(given) | {"PATH": path, "VIRTUAL_ENV": str(self.path)}

    def _satisfies(self, lock: str) -> bool:
        stamp = read_json(self._stamp)
        return (
            stamp.get(lock) == self._digest(lock)
            and not self._unfinished.exists()
            and stamp.get("python") == self._version()
        )

    def _digest(self, lock: str) -> str:
        return hashlib.sha256(self._lock_file(lock).read_bytes()).hexdigest()

    def _lock_file(self, lock: str) -> Path:
        return self.checkout / "requirements" / f"{lock}.txt"

    def _version(self) -> str | None:
        """`3.11`, or None when its Python does not run (any more) or is too old."""
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        version = self._answer("-I", "-S", "-c", code)
        packages = self.path / "lib" / f"python{version}" / "site-packages"
        return version if version and packages.is_dir() else None

    def _usable(self) -> bool:
        """Whether packages can be installed into it, as into one just made."""
        version = self._version()
        recent = version is not None and int(version.split(".")[1]) >= 11
        return (
            recent
            and not self._unfinished.exists()
            and self._answer("-m", "pip", "--version") is not None
        )

    def _answer(self, *arguments: str) -> str | None:
        try:
            answer = subprocess.run(
                [self.python, *arguments], capture_output=True, text=True, check=False
            )
        except OSError:
            return None
        return answer.stdout.strip() if answer.returncode == 0 else None

    def _make(self, progress: Progress) -> None:
        _require_venv()
        argv = [sys.executable, "-m", "venv", "--clear", str(self.path)]
        with progress.step("Making the virtual environment") as step:
            outcome = self._run(argv, step.show)
            if outcome.code != 0:
                raise CannotStart(
                    f"`{sys.executable} -m venv` failed: choose another Python with"
                    " PYTHON=, as in `make up PYTHON=python3.12`.",
                    outcome.last_lines,
                )

    def _install(self, lock: str, progress: Progress) -> None:
        """Run pip with the stamp away, and put it back for what was installed."""
        path = self._lock_file(lock)
        names = re.findall(r"^[A-Za-z0-9][\w.-]*(?===)", path.read_text(), re.MULTILINE)
        self._stamp.unlink(missing_ok=True)
        self._unfinished.touch()
        with progress.step("Installing packages") as step:
            outcome = self._run(self._pip(path), PipReader(len(names), step.show))
            self._unfinished.unlink()
            if outcome.code != 0:
                raise CannotStart(
                    f"pip could not install requirements/{path.name}: is the package"
                    f" index reachable? All that pip said is in {self._log}.",
                    outcome.last_lines,
                )
        stamp = {name: self._digest(name) for name in (*LOCKS[lock], lock)}
        self._stamp.write_text(json.dumps(stamp | {"python": self._version()}))

    def _pip(self, lock_file: Path) -> list[str]:
        quiet = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")
        pip = (str(self.python), "-m", "pip", "install", *quiet)
        return [*pip, "--require-hashes", "-r", str(lock_file)]

    def _run(self, argv: list[str], on_line: Callable[[str], None]) -> Outcome:
        return processes.run(
            argv, env=os.environ, cwd=self.checkout, log=self._log, on_line=on_line
        )


def _require_venv() -> None:
    """Some systems package Python without the modules that make an environment."""
    try:
        importlib.import_module("venv")
        importlib.import_module("ensurepip")
    except ImportError:
        raise CannotStart(
            f"This Python ({sys.executable}) comes without venv and ensurepip: install"
            " them (on Debian and Ubuntu `apt install python3-venv`) or choose another"
            " Python with PYTHON=, as in `make up PYTHON=python3.12`."
        ) from None


class PipReader:
    """Turns what pip prints into `12 of 57  django`."""

    def __init__(self, packages: int, show: Callable[[str], None]) -> None:
        self._packages = packages
        self._show = show
        self._seen = 0

    def __call__(self, line: str) -> None:
        found = re.match(r"(?:Collecting|Requirement already satisfied:) (\S+)==", line)
        if found:
            self._seen += 1
            self._show(f"{self._seen} of {self._packages}  {found[1]}")
        elif line.startswith("Installing collected packages"):
            self._show("unpacking")
        else:
            self._show("")
