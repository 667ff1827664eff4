"""What a person sees: one line for each step, with the seconds it took.

On a terminal the line of the running step is redrawn in place; elsewhere (a log, a
pipe) each step is one plain line that is begun at once and ended when it is done. What
goes on while others have their say has a line of its own below them.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator
from typing import TextIO

REDRAW_SECONDS = 0.1
# Where nothing can be redrawn, what goes on for long is a line this often.
SPARSE_SECONDS = 10


class Step:
    """A running step; `show` tells what it is at."""

    def __init__(self, stream: TextIO, title: str) -> None:
        self._stream = stream
        self._title = title
        self._detail = ""
        self._started = time.monotonic()
        self._drawn = 0.0

    def show(self, detail: str = "") -> None:
        """Redraw with this detail, or with the last one and a newer time."""
        self._detail = detail.strip() or self._detail
        now = time.monotonic()
        if self._stream.isatty() and now - self._drawn >= REDRAW_SECONDS:
            self._drawn = now
            self._draw(f"{self._title} {self._seconds()}  {self._detail}")

    def begin(self) -> None:
        if self._stream.isatty():
            self.show()
        else:
            self._write(f"{self._title} ... ")

    def end(self, outcome: str) -> None:
        if self._stream.isatty():
            self._draw(f"{self._title} {self._seconds()}{outcome}")
            self._write("\n")
        else:
            self._write(f"{self._seconds().strip()}{outcome}\n")

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._started:6.1f} s"

    def _draw(self, line: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._write(f"\r\x1b[K{line[:width]}")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a closed terminal must not stop the stop
            self._stream.write(text)
            self._stream.flush()


class Line:
    """What goes on for a while below everything else that is said."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = time.monotonic()
        self._text = ""
        self._drawn = False

    def show(self, text: str) -> None:
        """Redraw it with this text, if it is time; elsewhere say it now and then."""
        terminal, now = self._stream.isatty(), time.monotonic()
        due = now - self._shown >= (REDRAW_SECONDS if terminal else SPARSE_SECONDS)
        if due and text and (terminal or text != self._text):
            self._shown, self._text, self._drawn = now, text, terminal
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[K{text[:width]}" if terminal else f"{text}\n")

    def wipe(self) -> None:
        """Make room for another line; the next `show` draws it again below that."""
        if self._drawn:
            self._drawn = False
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


class Progress:
    """The launcher's voice."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.line = Line(stream)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Step]:
        step = Step(self._stream, f"{title:<38}")
        step.begin()
        try:
            yield step
        except BaseException:
            step.end("  failed")
            raise
        step.end("")

    def say(self, text: str = "") -> None:
        self.line.wipe()
        with contextlib.suppress(OSError):
            self._stream.write(f"{text}\n")
            self._stream.flush()
