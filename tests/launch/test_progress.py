"""One line a step, redrawn on a terminal and plain elsewhere."""

import io
import re

import pytest

from launch.progress import Progress


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


def test_closed_pipe_stops_nothing() -> None:
    progress = Progress(ClosedPipe())

    with progress.step("Stopping"):
        progress.say("still at it")
