"""GET /reports/variance: the parts of the difference, of what the key covers."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import pytest

from billing.models import LanguageModel
from teams.actions import projects
from tests.billing.spending import spend
from tests.billing.test_plans import approved, line
from tests.conftest import NOW, Cast, Service, issue

DAY = {"from": "2026-11-20", "to": "2026-11-21"}


@pytest.fixture
def used(cast: Cast) -> None:
    """Ten requests planned a day, 0.042 USD; twelve used, 0.0504, of project answers."""
    approved(cast, line(300))
    spend(cast, 12)


@pytest.fixture
def lead(cast: Cast) -> Service:
    return Service(issue(cast.acme, team=cast.search)[1])


@pytest.mark.usefixtures("used", "as_app")
def test_the_parts_add_up_to_the_difference(lead: Service):
    found = lead.get("reports/variance", **DAY).json()

    total = found["total"]
    assert (total["planned"], total["actual"]) == ("0.042", "0.0504")
    assert (total["difference"], total["difference_percent"]) == ("0.0084", "20")
    assert total["effects"] == {
        "volume": "0.0084",
        "mix": "0",
        "size": "0",
        "caching": "0",
        "processing": "0",
        "price": "0",
    }
    assert total["size"] == {"input": "0", "output": "0", "tools": "0"}
    assert total["effects_percent"]["volume"] == "20"
    (driver,) = found["drivers"]
    assert (driver["effect"], driver["amount"]) == ("volume", "0.0084")
    (row,) = found["rows"]
    assert row == {"model": "claude-opus-5-5", "family": "Opus", **total}


@pytest.mark.usefixtures("used", "as_app")
@pytest.mark.parametrize("group", ["model", "class", "day"])
def test_rows_of_every_group_add_up_to_the_total(lead: Service, group: str):
    found = lead.get("reports/variance", **{"from": "2026-11-18"}, group=group).json()

    for side in ("planned", "actual", "difference"):
        parts = (Decimal(row[side]) for row in found["rows"])
        assert sum(parts) == Decimal(found["total"][side])


@pytest.mark.usefixtures("used", "as_app")
def test_projects_without_a_plan_have_their_spend(lead: Service):
    found = lead.get("reports/variance", **DAY, group="project").json()

    assert found["rows"] == [
        {
            "project": "answers",
            "spent": "0.0504",
            "spent_requests": 12,
            "variance": None,
        }
    ]


@pytest.mark.usefixtures("used", "as_app")
def test_without_a_plan_there_is_no_total(lead: Service):
    found = lead.get("reports/variance", **DAY, project="answers").json()

    assert (found["project"], found["total"], found["rows"]) == ("answers", None, [])
    assert (found["spent"], found["spent_without_plan"]) == ("0.0504", "0.0504")
    assert found["unplanned_days"] == [DAY]


@pytest.mark.usefixtures("used", "as_app")
@pytest.mark.parametrize("group", ["model", "project", "class", "day"])
def test_csv_has_the_rows_of_the_answer(lead: Service, group: str):
    rows = lead.get("reports/variance", **DAY, group=group).json()["rows"]

    response = lead.get("reports/variance", **DAY, group=group, format="csv")

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert "variance-search-2026-11-20-2026-11-21.csv" in response["Content-Disposition"]
    listed = list(csv.DictReader(StringIO(response.content.decode())))
    assert len(listed) == len(rows)
    for flat, row in zip(listed, rows, strict=True):
        for name, value in row.items():
            if isinstance(value, str):
                assert flat[name] == value
        if group == "model":
            assert flat["volume"] == row["effects"]["volume"]
            assert flat["size_output"] == row["size"]["output"]


@pytest.mark.usefixtures("used")
def test_no_spreadsheet_takes_a_name_for_a_formula(lead: Service):
    LanguageModel.objects.filter(name="claude-opus-5-5").update(family="=1+1")

    response = lead.get("reports/variance", **DAY, format="csv")

    (row,) = csv.DictReader(StringIO(response.content.decode()))
    assert (row["family"], row["difference"]) == ("'=1+1", "0.0084")


@pytest.mark.usefixtures("used", "as_app")
def test_a_key_of_a_project_has_its_own(cast: Cast, alice: Service):
    assert alice.get("reports/variance", **DAY).json()["project"] == "answers"
    assert alice.get("reports/variance", **DAY, project="answers").status_code == 200
    assert alice.get("reports/variance", **DAY, project="triage").status_code == 404
    assert alice.get("reports/variance", **DAY, team="support").status_code == 404


@pytest.mark.usefixtures("used", "as_app")
def test_others_are_answered_as_if_there_were_nothing(bob: Service, charlie: Service):
    assert bob.get("reports/variance", **DAY).json()["spent"] == "0"
    assert bob.get("reports/variance", **DAY, team="search").status_code == 404
    assert bob.get("reports/variance", **DAY, project="answers").status_code == 404
    assert charlie.get("reports/variance", **DAY, project="answers").status_code == 404


def test_a_project_that_moved_is_asked_of_its_owner(cast: Cast):
    made = {"by": "tests", "now": NOW}
    moving = projects.create(team=cast.search, name="Moving", slug="moving", **made)
    projects.move(
        project=moving,
        team=cast.support,
        effective_from=datetime(2150, 1, 1, tzinfo=UTC),
        **made,
    )
    service = Service(issue(cast.acme)[1])

    of_owner = service.get("reports/variance", **DAY, project="moving").json()
    asked = service.get("reports/variance", **DAY, project="moving", team="support")

    assert of_owner["team"] == "search"
    assert asked.json()["team"] == "support"


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-11-20", "to": "2026-11-20"},
        {"from": "2025-11-20", "to": "2026-11-22"},
        {"from": "1999-12-31", "to": "2000-01-02"},
        {"from": "9999-12-30", "to": "9999-12-31"},
        {"from": "9999-12-31"},
        {"to": "0001-01-01"},
        {"from": "yesterday"},
        {"group": "colour"},
        {"format": "pdf"},
        {"project": "a b"},
    ],
)
def test_what_cannot_be_asked_is_refused(lead: Service, query: dict[str, str]):
    response = lead.get("reports/variance", **query)

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_without_days_the_month_is_asked_until_yesterday(lead: Service):
    found = lead.get("reports/variance").json()

    assert found["from"].endswith("-01")
    assert found["to"] <= found["as_of"][:10] or found["time_zone"] != "UTC"
