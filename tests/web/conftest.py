"""People who look at pages, and spend for them to look at."""

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from billing.actions import post
from teams.actions import memberships
from teams.models import Organization, Role, Team
from tests.builders import body, record
from tests.conftest import NOW, Cast, Service, issue

Browser = Callable[..., Client]

# The days that the records of `spent` lie in, whenever the tests run.
NOVEMBER = {"from": "2026-11-01", "through": "2026-11-30"}


@dataclass
class Page(HTMLParser):
    """What a test asks of a page: its text, and the elements it is made of."""

    html: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._hidden = 0
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._hidden += tag in {"script", "style"}

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"script", "style"}

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def posted(self) -> dict[str, str]:
        """What its inputs and selects send as they are filled in, by name."""
        found: dict[str, str] = {}
        select = ""
        for tag, its in self.elements:
            name, value = its.get("name") or "", its.get("value") or ""
            if tag == "select":
                select, found[name] = name, ""
            elif tag == "option" and "selected" in its:
                found[select] = value
            elif tag == "input" and name != "csrfmiddlewaretoken":
                found[name] = value
        return found

    def values(self) -> set[str | None]:
        """Every exact figure on the page."""
        return {attrs.get("value") for tag, attrs in self.elements if tag == "data"}


def read(client: Client, path: str, **query: str) -> Page:
    response = client.get(path, query)
    assert response.status_code == 200, response
    return Page(response.content.decode())


@pytest.fixture
def person(db: None) -> Callable[..., User]:
    def make(
        name: str,
        role: Role | None = None,
        organization: Organization | None = None,
        team: Team | None = None,
        **attributes: Any,
    ) -> User:
        user = User.objects.create_user(name, password="pass-" + name, **attributes)
        if role is not None and organization is not None:
            memberships.grant(
                user=user,
                organization=organization,
                role=role,
                team=team,
                by="tests",
                now=NOW,
            )
        return user

    return make


@pytest.fixture
def browser() -> Browser:
    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def viewer(cast: Cast, person: Callable[..., User], browser: Browser) -> Client:
    """Sees team `search`."""
    return browser(person("vera", Role.VIEWER, cast.acme, cast.search))


@pytest.fixture
def finance(cast: Cast, person: Callable[..., User], browser: Browser) -> Client:
    """Sees the whole organization."""
    return browser(person("frank", Role.FINANCE, cast.acme))


@pytest.fixture
def outsider(cast: Cast, person: Callable[..., User], browser: Browser) -> Client:
    """An admin, of another organization."""
    return browser(person("olga", Role.ADMIN, cast.outsiders))


@pytest.fixture
def root(cast: Cast, person: Callable[..., User], browser: Browser) -> Client:
    return browser(person("root", is_staff=True, is_superuser=True))


@pytest.fixture
def spent(cast: Cast) -> Service:
    """Counted: 0.0042 + 0.00525 for search, 0.0042 for support; one record unpriced."""
    service = Service(issue(cast.acme)[1])
    service.post(
        "usage",
        body(
            record(),
            record(
                model="claude-sonnet-5", usage={"input_tokens": 2000, "output_tokens": 125}
            ),
            record(model="claude-unheard-of"),
            record(project="triage", occurred_at="2026-11-21T10:00:00Z"),
        ),
    )
    for team in (cast.search, cast.support):
        post.count(team_id=team.pk, now=NOW)
    return service
