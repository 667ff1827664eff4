"""Processes are told apart by pid and birth, by /proc and by ps alike."""

import os
import shutil
import subprocess

import pytest

from launch import identities
from launch.identities import Identity


def test_ended_process_is_not_alive() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        found = Identity.of(process.pid)
        assert found
        assert found.alive()
        process.kill()
        process.wait()

    assert not found.alive()
    assert Identity.of(process.pid) != found


def test_zombie_is_not_alive() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        found = Identity.of(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert found
        assert not found.alive()


def test_same_pid_of_another_birth_is_another_process() -> None:
    assert not Identity(os.getpid(), born="yesterday").alive()


@pytest.mark.skipif(not shutil.which("ps"), reason="no ps")
def test_ps_tells_the_same_as_proc() -> None:
    (entry,) = identities.from_ps("-p", str(os.getpid()))

    assert (entry.pid, entry.parent, entry.group, entry.zombie) == (
        os.getpid(),
        os.getppid(),
        os.getpgrp(),
        False,
    )
    assert entry.born
    assert os.getpid() in {entry.pid for entry in identities.table()}
