"""`make manage`: Django's commands on what `make up` runs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from launch import temporary, variables
from launch.environment import VirtualEnvironment
from launch.failures import CannotStart
from launch.postgres import EmbeddedServer, find_binaries
from launch.progress import Progress


def manage(
    checkout: Path, given: Mapping[str, str], arguments: Sequence[str], progress: Progress
) -> int:
    """Run `manage.py` as the owner of the tables; its exit code.

    Raises CannotStart when there is no running server to speak to.
    """
    home = variables.home(checkout, given)
    environment = VirtualEnvironment(checkout, home.log / "install.log")
    environment.ensure("base" if "DATABASE_URL" in given else "local", progress)
    found = dict(given)
    if "DATABASE_URL" not in given:
        server = EmbeddedServer(home.path, find_binaries(environment.path))
        if not server.adopt():
            raise CannotStart("Purser is not running: start it with `make up`.")
        found = variables.without_libpq(found) | {"DATABASE_URL": server.url()}
    env = variables.for_processes(found, home) | {"DATABASE_ROLE": "owner"}
    command = [str(environment.python), "manage.py", *arguments]
    return temporary.run(command, {**os.environ, **env}, checkout)
