"""Imports run one way: the contracts hold, and each catches what it is meant to catch."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("config", "teams", "billing", "launch")

ONE_WAY = "config wires, billing knows teams, teams knows nobody"
BILLING = (
    "billing: entry points, tasks, actions or reports, models or connectors, formats,"
    " pricing"
)
TEAMS = "teams: entry points, actions, what models mean, models"
PLAIN = "pricing and formats are plain Python; connectors touch no framework"
ENTRY_POINTS = "only entry points know HTTP and queues"
LAUNCHER = "the launcher stands alone"
CONTRACTS = {ONE_WAY, BILLING, TEAMS, PLAIN, ENTRY_POINTS, LAUNCHER}

_LINT = (
    "from importlinter import cli; import sys;"
    "sys.argv[1:] = ['--no-cache', '--no-logo']; cli.lint_imports_command()"
)


def verdicts(tree: Path) -> dict[str, str]:
    """KEPT or BROKEN per contract, as import-linter says it of this tree."""
    finished = subprocess.run(
        [sys.executable, "-c", _LINT],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": "", "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = {}
    for line in finished.stdout.splitlines():
        contract, _, verdict = line.partition(" (")[0].strip().rpartition(" ")
        if verdict in ("KEPT", "BROKEN"):
            found[contract] = verdict
    assert found, finished.stdout + finished.stderr
    return found


@pytest.fixture
def broken_by(tmp_path: Path) -> Callable[..., set[str]]:
    """Which contracts a line breaks that is added to a module of a copy of the tree."""

    def plant(module: str, line: str) -> set[str]:
        for package in PACKAGES:
            shutil.copytree(
                ROOT / package,
                tmp_path / package,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        shutil.copy(ROOT / "pyproject.toml", tmp_path)
        path = tmp_path / module
        written = path.read_text() if path.exists() else ""
        path.write_text(f"{written}\n{line}\n")
        return {name for name, is_ in verdicts(tmp_path).items() if is_ == "BROKEN"}

    return plant


def test_contracts_hold():
    assert verdicts(ROOT) == dict.fromkeys(CONTRACTS, "KEPT")


@pytest.mark.parametrize(
    ("module", "line", "contracts"),
    [
        ("billing/pricing/money.py", "from django.db import models", {PLAIN}),
        ("billing/formats/body.py", "import rest_framework", {PLAIN}),
        ("billing/connectors/corrections.py", "import django.db.models", {PLAIN}),
        ("billing/connectors/corrections.py", "import psycopg", {PLAIN}),
        ("teams/models/teams.py", "import billing.pricing.money", {ONE_WAY}),
        ("teams/actions/teams.py", "import config.health", {ONE_WAY}),
        ("billing/actions/post.py", "import config.databases", {ONE_WAY}),
        ("billing/models/rates.py", "import billing.actions.batch", {BILLING}),
        ("billing/pricing/money.py", "import billing.formats.errors", {BILLING}),
        ("billing/formats/body.py", "import billing.models.unnest", {BILLING, PLAIN}),
        ("billing/reports/spend.py", "import billing.actions.batch", {BILLING}),
        ("billing/actions/parked.py", "import billing.reports.records", {BILLING}),
        ("billing/connectors/corrections.py", "import billing.models", {BILLING, PLAIN}),
        ("billing/utils.py", "", {BILLING}),
        ("teams/helpers.py", "", {TEAMS}),
        ("teams/models/teams.py", "import teams.ownership", {TEAMS}),
        ("teams/isolation.py", "import teams.actions.audit", {TEAMS}),
        ("billing/actions/post.py", "import celery", {ENTRY_POINTS}),
        ("billing/reports/spend.py", "import rest_framework", {ENTRY_POINTS}),
        ("teams/models/teams.py", "import kombu", {ENTRY_POINTS}),
        ("launch/up.py", "import django", {LAUNCHER}),
        ("launch/home.py", "import config.databases", {LAUNCHER}),
    ],
)
def test_import_against_the_way_is_caught(
    broken_by: Callable[..., set[str]], module: str, line: str, contracts: set[str]
):
    assert broken_by(module, line) == contracts


def test_task_in_an_action_is_caught(broken_by: Callable[..., set[str]]):
    broken = broken_by("billing/actions/batch.py", "import billing.tasks")

    # Through the task the action knows the queue as well.
    assert broken == {BILLING, ENTRY_POINTS}


def test_import_for_type_checking_passes(broken_by: Callable[..., set[str]]):
    line = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import celery"

    assert broken_by("billing/actions/post.py", line) == set()
