"""Settings refuse what is unsafe, and Celery is set up to lose nothing but hints."""

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu import Queue
from kombu.utils.imports import symbol_by_name

from tests.guards import celery_lint

ROOT = Path(__file__).resolve().parent.parent.parent
VISIBILITY_TIMEOUT = 120
DEPLOYED = {
    "SECRET_KEY": secrets.token_urlsafe(50),
    "DATABASE_URL": "postgresql://owner:secret@db.example.com/purser",
    "DATABASE_ROLE": "app",
    "ALLOWED_HOSTS": "purser.example.com",
    "EMAIL_URL": "smtp+tls://mail.example.com:587",
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree without a `.env`, which would give what a test leaves out."""
    place = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "config", place / "config", ignore=ignored)
    for name in ("manage.py", "teams", "billing", "templates"):
        (place / name).symlink_to(ROOT / name)
    return place


Finished = subprocess.CompletedProcess[str]


def run(checkout: Path, *arguments: str, **variables: str) -> Finished:
    """Python in this tree, with these variables and no others."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def check(checkout: Path, **variables: str) -> Finished:
    arguments = ("check", "--deploy", "--fail-level", "WARNING")
    return run(checkout, "-W", "error", "manage.py", *arguments, **variables)


# --- Settings -----------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["SECRET_KEY", "DATABASE_URL"])
def test_start_without_what_is_required_is_refused(checkout: Path, variable: str):
    given = {name: value for name, value in DEPLOYED.items() if name != variable}

    finished = run(checkout, "-c", "import config.settings", **given)

    assert finished.returncode != 0
    assert f"Set the {variable} environment variable" in finished.stderr


def test_start_in_an_unknown_role_is_refused(checkout: Path):
    given = DEPLOYED | {"DATABASE_ROLE": "root"}

    finished = run(checkout, "-c", "import config.settings", **given)

    assert "DATABASE_ROLE must be one of owner, app, worker" in finished.stderr


def test_deployment_as_documented_is_safe(checkout: Path):
    finished = check(checkout, **DEPLOYED)

    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    ("unsafe", "warning"),
    [
        ({"DEBUG": "true"}, "security.W018"),
        ({"HTTPS_ONLY": "false"}, "security.W008"),
        ({"ALLOWED_HOSTS": ""}, "security.W020"),
        ({"SECRET_KEY": "short"}, "security.W009"),
        ({"EMAIL_URL": ""}, "billing.W001"),
    ],
)
def test_unsafe_deployment_fails_its_check(
    checkout: Path, unsafe: dict[str, str], warning: str
):
    finished = check(checkout, **DEPLOYED | unsafe)

    assert finished.returncode != 0
    assert warning in finished.stderr


# --- Celery -------------------------------------------------------------------------


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Celery:
    # Its module makes the process a worker's, unless it is told otherwise.
    monkeypatch.setenv("DATABASE_ROLE", "owner")
    from config.celery import app

    app.loader.import_default_modules()
    return app


def test_tasks_are_hints(app: Celery):
    assert celery_lint.complaints(app, VISIBILITY_TIMEOUT) == []


def test_counting_is_scheduled_each_second(app: Celery):
    schedule = {entry["task"]: entry for entry in app.conf.beat_schedule.values()}

    assert schedule["billing.tasks.count_postings"]["schedule"] == 1.0


def test_counting_has_a_queue_of_its_own(app: Celery):
    queues = {
        name: app.amqp.router.route({}, name)["queue"].name
        for name in app.tasks
        if name.startswith("billing.")
    }

    assert [name for name, queue in queues.items() if queue == "count"] == [
        "billing.tasks.count_postings"
    ]


def test_message_stays_invisible_for_as_long_as_a_task_may_run(app: Celery):
    options = app.conf.broker_transport_options

    assert options["visibility_timeout"] == VISIBILITY_TIMEOUT


def test_scheduler_of_beat_exists(app: Celery):
    assert symbol_by_name(app.conf.beat_scheduler).__name__ == "OneTickScheduler"


# --- Planted ------------------------------------------------------------------------


@pytest.fixture
def obeying() -> Celery:
    """An app of one queue, to plant violations in."""
    app = Celery("planted", set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_ignore_result=True,
        task_queues=[Queue("read")],
        task_default_queue="read",
        task_time_limit=6,
    )
    return app


def do_nothing() -> None: ...


def complaints(app: Celery) -> list[str]:
    return celery_lint.complaints(app, visibility_timeout=10)


def test_app_that_obeys_passes(obeying: Celery):
    assert complaints(obeying) == []


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"result_backend": "cache+memory://"}, "results are kept"),
        ({"accept_content": ["json", "pickle"]}, "messages may be other than JSON"),
        ({"task_serializer": "pickle"}, "messages may be other than JSON"),
        ({"task_time_limit": None}, "a task may run for ever"),
        (
            {"task_time_limit": 10},
            "a task may run for 10 s, and its message comes again meanwhile",
        ),
        (
            {"task_soft_time_limit": 4},
            "an exception may be thrown into the middle of a batch",
        ),
        (
            {"beat_schedule": {"count": {"task": "count", "schedule": 1.0}}},
            "beat's 'count' names no task: count",
        ),
    ],
)
def test_setting_that_loses_work_is_caught(
    obeying: Celery, setting: dict[str, Any], complaint: str
):
    obeying.conf.update(setting)

    assert complaints(obeying) == [complaint]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"acks_late": True},
            "is acknowledged late: a killed worker's message comes again",
        ),
        ({"ignore_result": False}, "keeps its result"),
        ({"time_limit": 3600}, "has limits of its own"),
    ],
)
def test_task_that_is_no_hint_is_caught(
    obeying: Celery, options: dict[str, Any], complaint: str
):
    obeying.task(name="planted", shared=False, **options)(do_nothing)

    assert complaints(obeying) == [f"planted {complaint}"]


def test_queue_that_nobody_reads_is_caught(obeying: Celery):
    obeying.task(name="planted", shared=False)(do_nothing)
    obeying.conf.task_routes = {"planted": {"queue": "unread"}}

    assert complaints(obeying) == ["planted goes to unread, which no worker reads"]
