"""A disk of a few hundred megabytes that can be filled and emptied: a tmpfs."""

import contextlib
import subprocess
from pathlib import Path


class SmallDisk:
    """At `path`; without a size there is none, and nothing happens."""

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        self._megabytes = megabytes
        self._ballast = path / "ballast"

    def mount(self) -> None:
        """Raises CalledProcessError where that is not allowed."""
        if self._megabytes:
            self.path.mkdir(exist_ok=True)
            options = f"size={self._megabytes}m,mode=0755"
            mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)]
            subprocess.run(mount, check=True)

    def unmount(self) -> None:
        """At once; what still has files open there keeps them until it ends."""
        if self.path.is_mount():
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def fill(self) -> None:
        """Leave not a byte."""
        megabyte = bytes(1 << 20)
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(megabyte):
                pass

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)
