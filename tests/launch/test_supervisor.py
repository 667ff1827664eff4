"""Children that are a line of Python, kept running, stopped and taken over."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.failures import CannotStart
from launch.home import read_json, write_json
from launch.identities import Identity
from launch.supervisor import Child, ChildService, Supervisor, stop_leftovers
from tests.launch.conftest import eventually

SLEEP = "import time; time.sleep(60)"
# Notes its own end in a file that all share.
NOTED = """
import signal, sys, time
def end(*_):
    with open("ends", "a") as ends:
        ends.write(sys.argv[1])
    sys.exit()
signal.signal(signal.SIGTERM, end)
open(sys.argv[1], "w").close()
time.sleep(60)
"""
# Has a child of its own, tells its pid, and does not listen to SIGTERM.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with open("grandchild", "w") as file:
    file.write(f"{grandchild.pid}\\n")
time.sleep(60)
"""


class Workplace:
    """Makes supervisors in a directory and ends what they leave."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / "children.json"
        self.said: list[str] = []
        self.marker = f"WORKPLACE={path}"
        self._supervisors: list[Supervisor] = []

    def child(self, name: str, code: str, patience: float = 5) -> ChildService:
        env = {**os.environ, "WORKPLACE": str(self.path)}
        child = Child(name, [sys.executable, "-c", code, name], env, patience)
        return ChildService(child, cwd=self.path, log=self.path / f"{name}.log")

    def supervisor(self, *children: ChildService) -> Supervisor:
        supervisor = Supervisor(children, state=self.state, say=self.said.append)
        self._supervisors.append(supervisor)
        return supervisor

    def grandchild(self) -> Identity:
        """The one that STUBBORN has started, once it has told."""
        note = self.path / "grandchild"
        text = eventually(lambda: note.exists() and note.read_text().strip())
        grandchild = Identity.of(int(text))
        assert grandchild
        return grandchild

    def close(self) -> None:
        for supervisor in self._supervisors:
            supervisor.stop()


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    workplace = Workplace(tmp_path)
    yield workplace
    workplace.close()


# Is at work until a file says that it is enough; ends with the code it is given.
AT_WORK = """
import os, time
while not os.path.exists("enough"):
    time.sleep(0.01)
raise SystemExit(%d)
"""


class Errand:
    """Counts how often it is looked at, and keeps how it ended."""

    def __init__(self, child: ChildService) -> None:
        self.child = child
        self.looks = 0
        self.codes: list[int | None] = []

    def look(self) -> None:
        self.looks += 1

    def ended(self, code: int | None) -> None:
        self.codes.append(code)


def identity(child: ChildService) -> Identity:
    found = Identity.of(child.pid or 0)
    assert found
    return found


def test_dead_child_is_started_again(workplace: Workplace) -> None:
    child = workplace.child("sleeper", SLEEP)
    supervisor = workplace.supervisor(child)
    supervisor.tend()
    first = identity(child)

    os.kill(first.pid, signal.SIGKILL)

    def replaced() -> bool:
        supervisor.tend()
        return child.pid not in (None, first.pid)

    eventually(replaced)
    assert child.alive()
    assert "sleeper ended; starting it again in 0.2 s" in workplace.said[0]


@pytest.mark.parametrize("code", [0, 3])
def test_errand_is_run_once_however_it_ends(workplace: Workplace, code: int) -> None:
    errand = Errand(workplace.child("errand", AT_WORK % code))
    child = workplace.child("sleeper", SLEEP)
    supervisor = workplace.supervisor(child)
    supervisor.tend()

    supervisor.run_once(errand)

    eventually(lambda: supervisor.tend() or errand.looks)
    (workplace.path / "enough").touch()
    eventually(lambda: supervisor.tend() or errand.codes)
    first = identity(child)
    os.kill(first.pid, signal.SIGKILL)
    # As long as it takes to start a service again, the errand is not.
    eventually(lambda: supervisor.tend() or child.pid not in (None, first.pid))
    assert errand.codes == [code]
    assert errand.child.pid is None
    assert [entry["pid"] for entry in read_json(workplace.state)["children"]] == [child.pid]
    assert len(workplace.said) == 1  # of the sleeper


def test_stop_ends_an_errand_first(workplace: Workplace) -> None:
    children = [workplace.child(name, NOTED) for name in ("a", "b")]
    supervisor = workplace.supervisor(children[0])
    supervisor.tend()
    errand = Errand(children[1])
    supervisor.run_once(errand)
    supervisor.tend()
    for name in ("a", "b"):
        eventually((workplace.path / name).exists)

    supervisor.stop()

    assert (workplace.path / "ends").read_text() == "ba"
    assert errand.codes == []


def test_what_a_dead_child_left_goes_with_it(workplace: Workplace) -> None:
    child = workplace.child("stubborn", STUBBORN)
    supervisor = workplace.supervisor(child)
    supervisor.tend()
    grandchild = workplace.grandchild()

    os.kill(identity(child).pid, signal.SIGKILL)

    def swept() -> bool:
        supervisor.tend()
        return not grandchild.alive()

    eventually(swept)


def test_stop_goes_backwards_one_by_one(workplace: Workplace) -> None:
    children = [workplace.child(name, NOTED) for name in ("a", "b", "c")]
    supervisor = workplace.supervisor(*children)
    supervisor.tend()
    for name in ("a", "b", "c"):
        eventually((workplace.path / name).exists)

    supervisor.stop()

    assert (workplace.path / "ends").read_text() == "cba"
    assert not any(child.alive() for child in children)
    assert not workplace.state.exists()


def test_stop_ends_a_stubborn_child_and_its_group(workplace: Workplace) -> None:
    child = workplace.child("stubborn", STUBBORN, patience=0.2)
    supervisor = workplace.supervisor(child)
    supervisor.tend()
    grandchild = workplace.grandchild()
    left = identity(child)

    supervisor.stop()

    assert not left.alive()
    eventually(lambda: not grandchild.alive())


def test_child_that_ends_again_and_again_is_given_up(workplace: Workplace) -> None:
    supervisor = workplace.supervisor(workplace.child("faulty", "raise SystemExit('no')"))

    def given_up() -> CannotStart | None:
        supervisor.tend()
        try:
            supervisor.require_hope()
        except CannotStart as refusal:
            return refusal
        return None

    refusal = eventually(given_up)
    assert refusal.details == ("no",)
    assert "faulty ends each time it is started" in refusal.sentence


def test_leftovers_of_a_killed_supervisor_are_ended(workplace: Workplace) -> None:
    children = [workplace.child("a", SLEEP), workplace.child("b", STUBBORN)]
    workplace.supervisor(*children).tend()
    grandchild = workplace.grandchild()
    left = [identity(child) for child in children]
    os.kill(left[1].pid, signal.SIGKILL)  # its own child is all that is left of it
    eventually(lambda: not left[1].alive())

    stop_leftovers(workplace.state, workplace.marker)

    eventually(lambda: not grandchild.alive())
    assert not left[0].alive()
    assert not workplace.state.exists()


def test_stranger_with_a_recycled_pid_is_left_alone(workplace: Workplace) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        past = {"pid": stranger.pid, "born": "in another life"}
        write_json(workplace.state, {"children": [past]})

        stop_leftovers(workplace.state, workplace.marker)

        assert stranger.poll() is None
        stranger.kill()


def test_state_names_pid_and_birth_of_each_child(workplace: Workplace) -> None:
    child = workplace.child("sleeper", SLEEP)
    workplace.supervisor(child).tend()

    (remembered,) = read_json(workplace.state)["children"]

    assert Identity(**remembered) == identity(child)
