"""Of each demo team the page, the API and the admin say the same, to the last digit."""

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import pytest

from tests.chaos.service import Service
from tests.journeys import figures
from tests.journeys.figures import Figures, Site, Team

pytestmark = pytest.mark.xdist_group("journeys")

RECORDS = 4_000


@pytest.fixture(scope="module")
def demo_figures(running: Service) -> Iterator[Figures]:
    """The demo with few records, as an admin and a key of the organization see it."""
    running.start_all()
    credentials = running.home.credentials
    running.manage(
        "seed_demo", "--credentials", str(credentials), "--records", str(RECORDS)
    )
    users = running.home.read_credentials()["users"]
    (admin,) = (user for user in users if user["role"] == "admin")
    signing_in = {"username": admin["username"], "password": admin["password"]}
    with closing(Site(running.port, admin=signing_in, key=running.key)) as site:
        yield Figures(site)


def compare(found: Figures, team: Team) -> dict[str, int]:
    """Hold the three against each other; how many figures there were of each kind."""
    site, page = found.site, found.page(team)
    on_page = figures.budget_on_page(page)
    assert on_page == figures.budget_in_api(site, team)
    assert on_page == figures.budget_in_admin(site, team)
    assert on_page is None or figures.to_the_cent(on_page.spent)

    compared = {"budgets": int(on_page is not None)}
    for by in ("project", "model"):
        spent = figures.spend_on_page(page, by)
        in_api = figures.spend_in_api(site, team, by)
        assert {name: figure.exact for name, figure in spent.items()} == in_api
        assert all(figures.to_the_cent(figure) for figure in spent.values())
        if on_page is not None:
            assert sum(in_api.values(), Decimal()) == on_page.spent.exact
        compared[by] = len(spent)

    in_admin = figures.estimate_in_admin(site, team)
    in_api = figures.estimate_in_api(site, team, found.models())
    exact = [
        (row.model, tuple(one and one.exact for one in row.amounts)) for row in in_admin
    ]
    assert exact == in_api
    if rows := figures.estimate_on_page(page):
        assert rows == in_admin
    for row in (*rows, *in_admin):
        assert all(figures.to_the_cent(one) for one in row.amounts if one is not None)
    return {**compared, "estimated": len(rows), "compared": len(in_admin)}


def test_page_api_and_admin_show_the_same_figures(demo_figures: Figures) -> None:
    teams = list(demo_figures.teams())
    assert len(teams) == 5

    compared = {team.slug: compare(demo_figures, team) for team in teams}

    # Nothing of it was empty: each has a budget and spend, three have an estimate.
    assert all(one["budgets"] and one["project"] for one in compared.values())
    assert all(one["model"] for one in compared.values())
    assert sum(one["estimated"] > 1 for one in compared.values()) == 3
    assert all(one["compared"] > 1 for one in compared.values())
