"""Who is shown what: signing in, roles, and nothing of anybody else."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client

from teams import permissions
from teams.models import Role
from teams.permissions import Permission
from tests.conftest import Cast, Service
from tests.web.conftest import NOVEMBER, Browser, read

pytestmark = pytest.mark.usefixtures("as_app")

TEAM = "/teams/search/"


@pytest.mark.parametrize("path", ["/", TEAM, "/prices"])
def test_who_is_not_signed_in_is_asked_to(client: Client, cast: Cast, path: str):
    response = client.get(path)

    assert (response.status_code, response["location"]) == (302, f"/login/?next={path}")


def test_signing_in_leads_where_one_wanted_to_go(
    client: Client, cast: Cast, person: Callable[..., User]
):
    person("vera", Role.VIEWER, cast.acme, cast.search)

    response = client.post(
        f"/login/?next={TEAM}", {"username": "vera", "password": "pass-vera"}
    )

    assert (response.status_code, response["location"]) == (302, TEAM)


def test_a_wrong_password_says_so_and_keeps_the_name(client: Client, db: None):
    response = client.post("/login/", {"username": "vera", "password": "wrong"})

    assert response.status_code == 200
    html = response.content.decode()
    assert "do not match" in html
    assert 'value="vera"' in html


def test_signing_in_never_leads_to_another_site(
    client: Client, cast: Cast, person: Callable[..., User]
):
    person("vera", Role.VIEWER, cast.acme, cast.search)

    response = client.post(
        "/login/?next=https://evil.example/",
        {"username": "vera", "password": "pass-vera"},
    )

    assert response["location"] == "/"


def test_signing_out_is_a_post(viewer: Client):
    assert viewer.get("/logout/").status_code == 405
    assert viewer.post("/logout/")["location"] == "/login/"
    assert viewer.get(TEAM).status_code == 302


def test_the_admin_asks_to_sign_in_on_the_same_page(client: Client, viewer: Client):
    response = client.get("/admin/", follow=True)

    assert response.redirect_chain[-1] == ("/login/?next=%2Fadmin%2F", 302)
    html = viewer.get("/admin/", follow=True).content.decode()
    assert "signed in as vera, who may not open that page" in html


def test_pages_are_read_and_kept_by_no_cache(viewer: Client):
    assert viewer.post(TEAM).status_code == 405
    assert "no-store" in viewer.get(TEAM)["cache-control"]


def test_who_sees_one_team_starts_there(viewer: Client):
    assert viewer.get("/")["location"] == TEAM


def test_a_viewer_sees_their_team_and_no_other(viewer: Client, spent: Service):
    assert "Search" in read(viewer, TEAM, **NOVEMBER).text
    assert viewer.get("/teams/support/").status_code == 404


def test_who_sees_two_teams_gets_an_overview_of_these(
    cast: Cast, person: Callable[..., User], browser: Browser, spent: Service
):
    user = person("two", Role.VIEWER, cast.acme, cast.search)
    user.memberships.create(organization=cast.acme, team=cast.support, role=Role.LEAD)

    text = read(browser(user), "/", **NOVEMBER).text

    assert "Your teams" in text
    assert "Search" in text
    assert "Support" in text


def test_finance_starts_with_the_organization(finance: Client, spent: Service):
    text = read(finance, "/", **NOVEMBER).text

    assert "Teams by risk" in text
    assert "Support" in text
    assert "Elsewhere" not in text


def test_an_outsider_sees_nothing_of_it(outsider: Client, spent: Service):
    assert outsider.get(TEAM).status_code == 404
    text = read(outsider, "/", **NOVEMBER).text
    assert "Search" not in text
    assert "0.0136" not in text


def test_a_team_that_is_not_yours_looks_like_none(viewer: Client):
    theirs = viewer.get("/teams/support/").content.decode()
    none = viewer.get("/teams/nowhere/").content.decode()

    assert theirs.replace("support", "nowhere") == none


def test_an_account_without_a_role_is_told_what_to_do(
    cast: Cast, person: Callable[..., User], browser: Browser
):
    response = browser(person("new"))  # no role at all
    page = response.get("/")

    assert page.status_code == 403
    assert "belongs to no team yet" in page.content.decode()


def test_a_superuser_sees_every_organization(root: Client, spent: Service):
    assert "Search" in read(root, "/", organization="acme", **NOVEMBER).text
    assert "Elsewhere" in read(root, "/", organization="other", **NOVEMBER).text


def test_the_organization_stays_chosen(root: Client, spent: Service):
    root.get("/", {"organization": "other"})

    assert "Elsewhere" in read(root, "/").text


def test_a_role_of_a_team_is_none_in_the_organization(
    cast: Cast, person: Callable[..., User]
):
    lead = person("lea", Role.LEAD, cast.acme, cast.search)

    def may(permission: Permission, **where: object) -> bool:
        return permissions.has_permission(lead, permission, **where)  # type: ignore[arg-type]

    assert may(Permission.EDIT_ESTIMATES, team=cast.search)
    assert not may(Permission.EDIT_ESTIMATES, team=cast.support)
    assert not may(Permission.EDIT_BUDGETS, team=cast.search)
    assert not may(Permission.VIEW_SPEND, organization=cast.acme)


def test_a_role_of_the_organization_holds_in_its_teams(
    cast: Cast, person: Callable[..., User]
):
    frank = person("frank", Role.FINANCE, cast.acme)

    def may(permission: Permission, **where: object) -> bool:
        return permissions.has_permission(frank, permission, **where)  # type: ignore[arg-type]

    assert may(Permission.EDIT_BUDGETS, team=cast.support)
    assert not may(Permission.EDIT_RATES, organization=cast.acme)
    assert not may(Permission.VIEW_SPEND, team=cast.elsewhere)


def test_nobody_may_do_nothing(cast: Cast, person: Callable[..., User]):
    left = person("lee", Role.ADMIN, cast.acme, is_active=False)

    for user in (AnonymousUser(), left):
        assert not permissions.has_permission(user, Permission.VIEW_SPEND, team=cast.search)
        assert not permissions.teams_of(user).exists()
        assert not permissions.organizations_of(user).exists()


def test_each_role_may_what_the_one_before_it_may():
    roles = [permissions.ROLES[role] for role in Role]

    assert all(less < more for less, more in pairwise(roles))


def test_only_who_may_set_a_budget_is_told_how(
    viewer: Client, finance: Client, spent: Service
):
    assert "Ask finance or an admin" in read(viewer, TEAM, **NOVEMBER).text
    assert "/api/v1/budgets" in read(finance, TEAM, **NOVEMBER).text
