"""How far seeding is: a bar that is redrawn on a terminal, else a line now and then."""

import time
from collections.abc import Callable

from django.core.management.base import OutputWrapper

_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 1.0
_BAR = 24


class Progress:
    def __init__(
        self,
        stream: OutputWrapper,
        total: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._total = total
        self._clock = clock
        self._started = self._shown = clock()
        self._skipped = self._done = 0
        self._terminal = bool(stream.isatty())

    def skip(self, records: int) -> None:
        """These were there already; they say nothing about the speed."""
        self._skipped += records
        self._done += records

    def advance(self, records: int) -> None:
        self._done += records
        every = _REDRAW_SECONDS if self._terminal else _LINE_SECONDS
        if self._clock() - self._shown >= every:
            self._show()

    def end(self) -> None:
        """Everything is there: say what, and how long it took."""
        new, seconds = self._done - self._skipped, self._clock() - self._started
        posted = f", {new:,} of them now" if self._skipped else ""
        self._write(f"Demo usage 100 %  {self._done:,} records{posted}, in {seconds:.0f} s")
        if self._terminal:
            self._stream.write("\n", ending="")
            self._stream.flush()

    def _show(self) -> None:
        self._shown = self._clock()
        self._write(f"Demo usage {self._bar()}{self._percent():3} %  {self._sizes()}")

    def _write(self, line: str) -> None:
        if self._terminal:
            self._stream.write(f"\r\x1b[K{line}", ending="")
        else:
            self._stream.write(line)
        self._stream.flush()

    def _percent(self) -> int:
        return 100 * self._done // self._total if self._total else 100

    def _bar(self) -> str:
        if not self._terminal:
            return ""
        full = _BAR * self._percent() // 100
        return f"[{'#' * full}{'.' * (_BAR - full)}] "

    def _sizes(self) -> str:
        counted = f"{self._done:,} of {self._total:,} records"
        new, seconds = self._done - self._skipped, self._shown - self._started
        if not new or not seconds:
            return counted
        left = (self._total - self._done) * seconds / new
        return f"{counted}, {new / seconds:,.0f}/s, {left:.0f} s left"
