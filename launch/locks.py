"""A lock that the kernel gives back when its last holder ends, however it ends."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from launch.interrupts import interrupts


class FileLock:
    """An exclusive lock on a file or a directory.

    It belongs to the open file, not to the process: a child that inherits the
    descriptor goes on holding it after we have closed ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def acquire(self) -> bool:
        """Take it if it is free; False when another process has it."""
        if self.descriptor is None:
            self.descriptor = self._open()
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Close our descriptor; the lock is free when no child has it either."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def _open(self) -> int:
        if self.path.is_dir():
            return os.open(self.path, os.O_RDONLY)
        return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)

    def __enter__(self) -> Self:
        while not self.acquire():
            interrupts.pause(0.1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
