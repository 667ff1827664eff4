"""The processes that Purser consists of, as commands."""

from collections.abc import Mapping
from pathlib import Path

from launch.home import Home
from launch.supervisor import Child

HOST = "127.0.0.1"

# Who works on which queues. Receivers that hang hold up the sender, never the counting.
WORKERS = {"worker-1": "count,upkeep", "worker-2": "count,upkeep", "sender": "deliver"}


def preparation(python: Path, home: Home) -> list[str]:
    """Migrations, broker queues and the demo organization, in one Django start."""
    credentials = str(home.credentials)
    prepare = [str(python), "manage.py", "prepare", "--credentials", credentials]
    # Its 90 days of records take a while: they are posted beside the service.
    return [*prepare, "--records", "0"]


def children(
    python: Path, home: Home, port: int, env: Mapping[str, str]
) -> tuple[Child, ...]:
    """In the order of their start; each connects as the database role of its task."""
    worker_env = {**env, "DATABASE_ROLE": "worker"}
    return (
        # The patience of each is a little longer than what it allows itself.
        Child("web", _web(python, port), {**env, "DATABASE_ROLE": "app"}, 12),
        *(Child(name, _worker(python, name), worker_env, 25) for name in WORKERS),
        Child("beat", _beat(python, home), worker_env, 5),
    )


def seeding(python: Path, home: Home, records: int, env: Mapping[str, str]) -> Child:
    """The demo's records; where all are there, or some, it finds out and goes on."""
    seed = [str(python), "manage.py", "seed_demo", "--credentials", str(home.credentials)]
    argv = [*seed, "--records", str(records)]
    return Child("demo", argv, {**env, "DATABASE_ROLE": "owner"}, 5)


def _web(python: Path, port: int) -> list[str]:
    """Many more threads than there are connections to the database (config/databases.py):
    a request waits for one in a thread, for a bounded time, and not in a queue before.
    """
    options = {
        "--interface": "wsgi",
        "--host": HOST,
        "--port": str(port),
        "--workers": "2",
        "--blocking-threads": "64",
        "--backlog": "1024",
        "--workers-kill-timeout": "10",
    }
    pairs = [part for option in options.items() for part in option]
    target = "config.wsgi:application"
    return [str(python), "-m", "granian", *pairs, "--no-ws", target]


def _worker(python: Path, name: str) -> list[str]:
    """A worker is one process: the children of a pool share a lock on their tasks, and
    one that is killed while it holds it leaves the others waiting for ever.

    They need none of the talk between workers, which PGMQ cannot carry.
    """
    alone = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    tasks = ("--pool", "solo", "--hostname", f"{name}@%h", "--queues", WORKERS[name])
    return [*_celery(python, "worker"), *tasks, *alone]


def _beat(python: Path, home: Home) -> list[str]:
    return [*_celery(python, "beat"), "--schedule", str(home.run / "beat-schedule")]


def _celery(python: Path, role: str) -> list[str]:
    return [str(python), "-m", "celery", "-A", "config", role, "--loglevel", "warning"]
