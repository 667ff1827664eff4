"""Ctrl-C, SIGTERM and a closed terminal, noted when they come, obeyed where it is safe.

A handler that raised would raise anywhere, also between the birth of a child and the
line that remembers it. So a signal is only counted, and every wait of the launcher
goes through `pause`, which raises. Without `listen` nothing is counted: Python's own
KeyboardInterrupt stays in force (tests use the server without the launcher).
"""

import signal
import time
from types import FrameType


class Interrupted(Exception):
    """A stop was asked for; raised by `pause`, never out of nowhere."""


class Interrupts:
    """The number of times a stop was asked for."""

    def __init__(self) -> None:
        self.count = 0
        # Whether by a signal that, unlike Ctrl-C, the terminal does not give to all.
        self.ours_alone = False

    def listen(self) -> None:
        """Count from now on; a SIGHUP that `nohup` has silenced stays silent."""
        signal.signal(signal.SIGINT, self._note)
        signal.signal(signal.SIGTERM, self._note)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._note)

    def pause(self, seconds: float) -> None:
        """Sleep for at most a fraction of a second; raise Interrupted if asked to."""
        if self.count:
            raise Interrupted
        time.sleep(seconds)

    def hastened(self) -> bool:
        """Whether a stop was asked for again while the first one was obeyed."""
        return self.count > 1

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.count += 1
        self.ours_alone = self.ours_alone or signum == signal.SIGTERM


# One for the process, as its signal handlers are.
interrupts = Interrupts()
