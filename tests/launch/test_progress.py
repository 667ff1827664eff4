"""One line a step, redrawn on a terminal and plain elsewhere."""

import io
import re
import time

import pytest

from launch.progress import Progress
from tests.launch.conftest import eventually


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ClosedPipe(io.StringIO):
    def write(self, text: str, /) -> int:
        raise BrokenPipeError


def test_step_is_one_plain_line_elsewhere() -> None:
    stream = io.StringIO()

    with Progress(stream).step("Installing") as step:
        step.show("1 of 2  django")
        step.show("2 of 2  celery")

    assert re.fullmatch(r"Installing +\.\.\. 0\.0 s\n", stream.getvalue())


def test_step_is_redrawn_in_place_on_a_terminal() -> None:
    stream = Terminal()

    with Progress(stream).step("Installing") as step:
        step.show("1 of 2  django")

    *drawn, last = stream.getvalue().split("\r\x1b[K")
    assert drawn
    assert re.fullmatch(r"Installing +0\.0 s\n", last)


def test_failed_step_says_so() -> None:
    stream = io.StringIO()

    with pytest.raises(ValueError, match="why"), Progress(stream).step("Trying"):
        raise ValueError("why")

    assert stream.getvalue().endswith("failed\n")


def test_line_is_redrawn_below_what_is_said_on_a_terminal() -> None:
    stream = Terminal()
    progress = Progress(stream)

    eventually(lambda: progress.line.show("10 %") or "10 %" in stream.getvalue())
    progress.say("web ended")
    eventually(lambda: progress.line.show("20 %") or "20 %" in stream.getvalue())
    progress.say("done")

    drawn = "\r\x1b[K10 %", "\r\x1b[Kweb ended\n", "\r\x1b[K20 %", "\r\x1b[Kdone\n"
    assert stream.getvalue() == "".join(drawn)


def test_line_is_sparse_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    progress = Progress(stream)

    for percent in (1, 2, 3, 4, 5, 6, 6, 6, 6, 7):
        progress.line.show(f"{percent} %")
    progress.say("done")

    assert stream.getvalue() == "3 %\n6 %\n7 %\ndone\n"


def test_line_of_nothing_is_not_shown() -> None:
    stream = Terminal()
    progress = Progress(stream)

    progress.line.show("")
    progress.say("done")

    assert stream.getvalue() == "done\n"


def test_closed_pipe_stops_nothing() -> None:
    progress = Progress(ClosedPipe())

    with progress.step("Stopping"):
        progress.say("still at it")
