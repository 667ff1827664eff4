"""`GET /reports/cache-economics`, `/reports/outputs`, `/reports/batch-candidates`."""

from typing import Any

import pytest

from tests.billing.savings import MILLION, call, counted, read, written
from tests.conftest import Cast, Service, issue

pytestmark = pytest.mark.usefixtures("as_app")

REPORTS = ("cache-economics", "outputs", "batch-candidates", "routing-breaches")
NOVEMBER = {"from": "2026-11-01", "to": "2026-12-01"}
every_report = pytest.mark.parametrize("name", REPORTS)


@pytest.fixture
def finance(cast: Cast) -> Service:
    return Service(issue(cast.acme)[1])


def report(service: Service, name: str, **query: str) -> Any:
    answer = service.get(f"reports/{name}", **{**NOVEMBER, **query})
    assert answer.status_code == 200, answer.json()
    return answer.json()


def test_caching_is_told_by_project_and_model(cast: Cast, finance: Service):
    counted(cast, [call(**written(MILLION), input_tokens=1), call(1, **read(100_000))])

    said = report(finance, "cache-economics", team="search")

    (project,) = said["rows"]
    (model,) = project["models"]
    assert (project["project"], project["net"]) == ("answers", "-0.62")
    assert said["total"]["net"] == "-0.62"
    assert (model["premium_5m"], model["premium_1h"]) == ("1", "0")
    assert model["read_saving"] == "0.38"
    assert model["reads_per_write"] == "0.1"
    assert model["break_even"] == {
        "5m": {"reads": "0.2632", "exact": "5/19", "request": 2},
        "1h": {"reads": "1.0526", "exact": "20/19", "request": 3},
    }
    assert (model["minimum_prefix"], model["too_short"]) == (512, False)
    assert (model["rebuilds"], model["other_lifetime"]["lifetime"]) == (None, "1h")
    assert "it lost $0.62" in model["advice"]


def test_long_outputs_lead_to_their_records(cast: Cast, finance: Service):
    usual = [call(place, output_tokens=100) for place in range(20)]
    counted(cast, [*usual, call(30, output_tokens=5_000, id="long")])

    said = report(finance, "outputs", team="search")

    (row,) = said["rows"]
    assert (row["output_percent"], row["bound"], row["long_outputs"]) == ("100", 200, 1)
    assert row["beyond"] == "0.096"
    (longest,) = said["longest"]
    assert (longest["id"], longest["month"], longest["cost"]) == ("long", "2026-11", "0.1")
    assert finance.get("usage/long", project="answers").json()["cost"] == "0.1"


def test_candidates_say_why_they_are_named(cast: Cast, finance: Service):
    day = 24 * 60
    counted(cast, [call(-place * day, input_tokens=1_000) for place in range(6)])

    (row,) = report(finance, "batch-candidates", team="search")["rows"]

    assert (row["reason"], row["hours"], row["clock"]) == ("hours", [10], "10:00–11:00")
    assert (row["spent"], row["saving"], row["days"]) == ("0.024", "0.012", 6)


@every_report
def test_a_team_is_needed_where_there_are_several(cast: Cast, finance: Service, name: str):
    answer = finance.get(f"reports/{name}")

    assert (answer.status_code, answer.json()["code"]) == (400, "team_needed")


@every_report
@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-11-02", "to": "2026-11-02"},
        {"from": "1999-12-31", "to": "2000-01-02"},
        {"from": "2199-12-31", "to": "9999-12-31"},
        {"from": "2025-01-01", "to": "2026-12-01"},
        {"from": "yesterday"},
    ],
)
def test_days_that_make_no_range_are_refused(
    cast: Cast, finance: Service, name: str, query: dict[str, str]
):
    answer = finance.get(f"reports/{name}", team="search", **query)

    assert answer.status_code == 400


@every_report
def test_the_ends_of_time_are_answered(cast: Cast, finance: Service, name: str):
    for query in (
        {"from": "2000-01-01", "to": "2000-02-01"},
        {"from": "2199-12-01", "to": "2200-01-01"},
    ):
        assert report(finance, name, team="search", **query)["rows"] == []


@every_report
def test_nobody_hears_of_another_team(cast: Cast, name: str):
    counted(cast, [call(output_tokens=1_000, **written(MILLION)) for _ in range(3)])
    support = Service(issue(cast.acme, team=cast.support)[1])
    outsider = Service(issue(cast.outsiders)[1])
    project = Service(issue(cast.acme, project=cast.answers)[1])

    assert report(support, name)["rows"] == []
    for service in (support, outsider, project):
        answer = service.get(f"reports/{name}", team="search")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@every_report
def test_the_scope_is_needed(cast: Cast, name: str):
    posting = Service(issue(cast.acme, team=cast.search, scopes=["usage:write"])[1])

    assert posting.get(f"reports/{name}").status_code == 403
