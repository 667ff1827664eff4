"""`launch run` and `launch test`: a server that lasts as long as a command."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.launch.conftest import Checkout, processes_in

TELL = 'psql -XAtqc "SELECT current_user" "$DATABASE_URL" && echo "$PURSER_HOME"'


@pytest.fixture
def tools(checkout: Checkout, tmp_path: Path) -> Checkout:
    """With a temporary directory to look into."""
    (tmp_path / "t").mkdir(mode=0o755)
    return checkout


def run(tools: Checkout, *arguments: str) -> subprocess.Popen[str]:
    return tools.launch("run", *arguments, TMPDIR=str(tools.path.parent / "t"))


def homes(tools: Checkout) -> list[Path]:
    return list((tools.path.parent / "t").glob("purser-test-*"))


def test_command_has_a_server_that_goes_with_it(tools: Checkout) -> None:
    command = run(tools, "--", "sh", "-c", f"{TELL}; exit 7")

    said, _ = command.communicate(timeout=30)

    assert command.returncode == 7
    user, home = said.splitlines()
    assert user == "purser"
    assert not Path(home).exists()
    assert homes(tools) == []
    assert processes_in(tools.path.parent) == {}


def test_command_without_database_has_the_tools_only(tools: Checkout) -> None:
    command = run(tools, "--without-database", "--", "sh", "-c", "echo $VIRTUAL_ENV")

    said, _ = command.communicate(timeout=30)

    assert said == f"{tools.path / '.venv'}\n"


def test_unknown_command_is_told(tools: Checkout) -> None:
    command = run(tools, "--without-database", "--", "no-such-command")

    _, said = command.communicate(timeout=30)

    assert command.returncode == 2
    assert said.endswith("There is no command no-such-command.\n")


def test_nothing_is_left_after_a_signal_or_a_kill(tools: Checkout) -> None:
    sleeper = ("--", "sh", "-c", "echo up; exec sleep 60")

    stopped = run(tools, *sleeper)
    assert stopped.stdout
    stopped.stdout.readline()
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(timeout=10) == 128 + signal.SIGTERM
    assert homes(tools) == []
    assert processes_in(tools.path.parent) == {}

    killed = run(tools, *sleeper)
    assert killed.stdout
    killed.stdout.readline()
    (abandoned,) = homes(tools)
    os.killpg(killed.pid, signal.SIGKILL)  # with its command, but not its server
    killed.wait()
    assert processes_in(abandoned)
    an_hour_ago = time.time() - 3600
    os.utime(abandoned, (an_hour_ago, an_hour_ago))

    run(tools, "--", "true").wait(timeout=10)

    assert homes(tools) == []
    assert processes_in(abandoned) == {}
