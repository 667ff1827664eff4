"""What every test may use: a fixed clock, a small cast, and the guard on SQL.

alice posts for project `answers` of team `search`; bob belongs to team `support`;
charlie's organization is another one altogether.
"""

import gc
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Model
from django.test import Client, override_settings
from hypothesis import settings

from billing.actions import partitions, rate_cards
from teams.actions import api_keys, organizations, projects, teams
from teams.models import ApiKey, Organization, Project, Team
from teams.models.api_keys import Scope
from tests import copies, scheduling
from tests.guards.sql_guard import SqlGuard, guarding

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

# `make machines`, of what has little time in `make test`.
settings.register_profile("many", max_examples=200)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> scheduling.Groups:
    """Tests that share a running service run in one process."""
    return scheduling.Groups(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests live to the end: a tenth of the time went into looking at them
    again and again for something to free."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    scheduling.order(items)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """List prices and partitions belong to an installation, not to a test."""
    with django_db_blocker.unblock():
        rate_cards.load_list_prices(by="tests", now=NOW)
        partitions.keep(now=NOW)


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """A good hash takes half a second of each person that a test makes."""
    with override_settings(
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]
    ):
        yield


@pytest.fixture(autouse=True)
def sql_guard() -> Iterator[SqlGuard]:
    """Every statement of every test keeps the rules of docs/adr/0003."""
    with guarding() as guard:
        yield guard


@dataclass(frozen=True)
class Cast:
    """Two teams of one organization, and an outsider."""

    acme: Organization
    search: Team
    support: Team
    answers: Project
    triage: Project
    outsiders: Organization
    elsewhere: Team
    secret_project: Project


Made = tuple[Cast, list[Model]]


def make_cast() -> Cast:
    made = {"by": "tests", "now": NOW}
    acme = organizations.create(name="Acme", slug="acme", time_zone="Europe/Berlin", **made)
    search = teams.create(organization=acme, name="Search", slug="search", **made)
    support = teams.create(organization=acme, name="Support", slug="support", **made)
    outsiders = organizations.create(name="Other", slug="other", time_zone="UTC", **made)
    elsewhere = teams.create(
        organization=outsiders, name="Elsewhere", slug="elsewhere", **made
    )
    return Cast(
        acme=acme,
        search=search,
        support=support,
        answers=projects.create(team=search, name="Answers", slug="answers", **made),
        triage=projects.create(team=support, name="Triage", slug="triage", **made),
        outsiders=outsiders,
        elsewhere=elsewhere,
        secret_project=projects.create(
            team=elsewhere, name="Secret", slug="secret", **made
        ),
    )


@pytest.fixture(scope="session")
def made_once(django_db_setup: None, django_db_blocker: Any) -> Made:
    """The cast, and all rows that the actions write for it; nothing of it is kept."""
    with django_db_blocker.unblock(), transaction.atomic():
        with copies.noted() as its:
            cast = make_cast()
        transaction.set_rollback(True)
    return cast, its


@pytest.fixture
def cast(db: None, made_once: Made) -> Cast:
    """As `make_cast` makes it, in a tenth of the time: most tests begin with it."""
    cast, its = deepcopy(made_once)
    copies.insert(its)
    return cast


def issue(organization: Organization, **bound: Any) -> tuple[ApiKey, str]:
    return api_keys.issue(
        organization=organization,
        name="test",
        scopes=bound.pop("scopes", list(Scope)),
        by="tests",
        now=NOW,
        **bound,
    )


class Service:
    """A posting service: an HTTP client that sends one API key."""

    def __init__(self, secret: str) -> None:
        self._client = Client(headers={"authorization": f"Bearer {secret}"})

    def post(self, path: str, body: Any, **extra: Any) -> Any:
        extra.setdefault("content_type", "application/json")
        return self._client.post(f"/api/v1/{path}", data=body, **extra)

    def patch(self, path: str, content: dict[str, Any]) -> Any:
        return self._client.patch(
            f"/api/v1/{path}", content, content_type="application/json"
        )

    def delete(self, path: str) -> Any:
        return self._client.delete(f"/api/v1/{path}")

    def get(self, path: str, **query: Any) -> Any:
        return self._client.get(f"/api/v1/{path}", query)


@pytest.fixture
def alice(cast: Cast) -> Service:
    """Bound to the project `answers`, with all scopes."""
    return Service(issue(cast.acme, project=cast.answers)[1])


@pytest.fixture
def bob(cast: Cast) -> Service:
    """Bound to the team `support`."""
    return Service(issue(cast.acme, team=cast.support)[1])


@pytest.fixture
def charlie(cast: Cast) -> Service:
    """Bound to another organization."""
    return Service(issue(cast.outsiders)[1])


@pytest.fixture
def as_app(db: None) -> Iterator[None]:
    """The rights of the web process for the rest of the test."""
    yield from _with_role("purser_app")


@pytest.fixture
def as_worker(db: None) -> Iterator[None]:
    yield from _with_role("purser_worker")


@contextmanager
def as_owner() -> Iterator[None]:
    """See the whole ledger for a moment, within a test of the web process."""
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        yield
        cursor.execute("SET LOCAL ROLE purser_app")


def _with_role(role: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {role}")
    yield
