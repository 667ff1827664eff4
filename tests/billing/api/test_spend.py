"""GET /reports/spend: exact sums from rollups, of what the key covers."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from billing.actions import post
from tests.builders import body, record
from tests.conftest import NOW, Cast, Service, issue

pytestmark = pytest.mark.usefixtures("as_app")

RANGE = {"from": "2026-11-01", "to": "2026-12-01"}


@pytest.fixture
def spent(cast: Cast) -> Service:
    """Counted for two teams: 0.0042 + 0.00525 for search, 0.0042 for support."""
    finance = Service(issue(cast.acme)[1])
    finance.post(
        "usage",
        body(
            record(),
            record(
                model="claude-sonnet-5", usage={"input_tokens": 2000, "output_tokens": 125}
            ),
            record(project="triage", occurred_at="2026-11-21T10:00:00Z"),
        ),
    )
    for team in (cast.search, cast.support):
        post.count(team_id=team.pk, now=NOW)
    return finance


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        ("team", {("search",): "0.00945", ("support",): "0.0042"}),
        ("project", {("answers",): "0.00945", ("triage",): "0.0042"}),
        ("model", {("claude-opus-5-5",): "0.0084", ("claude-sonnet-5",): "0.00525"}),
        ("family", {("Opus",): "0.0084", ("Sonnet",): "0.00525"}),
        ("day", {("2026-11-20",): "0.00945", ("2026-11-21",): "0.0042"}),
        (
            "team,family",
            {
                ("search", "Opus"): "0.0042",
                ("search", "Sonnet"): "0.00525",
                ("support", "Opus"): "0.0042",
            },
        ),
    ],
)
def test_spend_is_grouped(spent: Service, group_by: str, expected: dict):
    report = spent.get("reports/spend", group_by=group_by, **RANGE).json()

    names = group_by.split(",")
    assert {
        tuple(row[name] for name in names): row["cost"] for row in report["rows"]
    } == expected
    assert report["total"]["cost"] == "0.01365"
    assert report["total"]["requests"] == 3


def test_the_report_says_what_it_covers(spent: Service):
    report = spent.get("reports/spend", **RANGE).json()

    assert (report["from"], report["to"]) == ("2026-11-01", "2026-12-01")
    assert (report["currency"], report["time_zone"]) == ("USD", "Europe/Berlin")
    assert report["group_by"] == ["team"]
    assert report["as_of"].endswith("Z")


def test_the_last_day_is_not_in_it(spent: Service):
    report = spent.get("reports/spend", **{"from": "2026-11-20", "to": "2026-11-21"}).json()

    assert report["total"]["cost"] == "0.00945"


def test_days_of_a_range_sum_to_the_range(spent: Service):
    by_day = spent.get("reports/spend", group_by="day", **RANGE).json()

    assert sum(row["requests"] for row in by_day["rows"]) == by_day["total"]["requests"]


@pytest.mark.parametrize(
    "zone",
    [
        "UTC",
        "America/New_York",
        "Asia/Kathmandu",
        "Pacific/Kiritimati",
        "Pacific/Pago_Pago",
    ],
)
def test_single_days_sum_to_the_range_in_every_zone(cast: Cast, zone: str):
    """BerriAI/litellm#29568: the sum of days was more than the range. The clocks of New
    York go back on 1 November."""
    cast.acme.reporting_zones.update(time_zone=zone)
    service = Service(issue(cast.acme)[1])
    midnight = datetime(2026, 10, 31, tzinfo=ZoneInfo(zone))
    times = [
        (midnight + timedelta(days=day)).astimezone(UTC) + timedelta(seconds=seconds)
        for day in range(4)
        for seconds in (-1, 0, 1, 5400, 9000)
    ]
    service.post("usage", body(*(record(occurred_at=at.isoformat()) for at in times)))
    post.count(team_id=cast.search.pk, now=NOW)

    def cost(first: int, last: int) -> Decimal:
        day = date(2026, 10, 29)
        asked = {
            "from": str(day + timedelta(days=first)),
            "to": str(day + timedelta(days=last)),
        }
        return Decimal(service.get("reports/spend", **asked).json()["total"]["cost"])

    assert cost(0, 9) == 20 * Decimal("0.0042")
    assert sum(cost(day, day + 1) for day in range(9)) == cost(0, 9)
    assert sum(cost(day, day + 3) for day in (0, 3, 6)) == cost(0, 9)


def test_an_empty_report_is_zero_and_has_no_rows(alice: Service):
    report = alice.get("reports/spend", **RANGE).json()

    assert report["rows"] == []
    assert (report["total"]["cost"], report["total"]["requests"]) == ("0", 0)


def test_unpriced_records_are_counted_apart(alice: Service, cast: Cast):
    alice.post("usage", body(record(), record(model="claude-unheard-of")))
    post.count(team_id=cast.search.pk, now=NOW)

    report = alice.get("reports/spend", **RANGE).json()

    assert (report["total"]["requests"], report["unpriced_records"]) == (1, 1)


def test_a_project_key_sees_its_project_alone(spent: Service, alice: Service, cast: Cast):
    other = Service(issue(cast.acme, project=cast.triage)[1])

    report = other.get("reports/spend", group_by="project", **RANGE).json()

    assert [row["project"] for row in report["rows"]] == ["triage"]
    assert report["total"]["cost"] == "0.0042"


def test_a_team_key_sees_its_team_alone(spent: Service, bob: Service):
    report = bob.get("reports/spend", group_by="team", **RANGE).json()

    assert [row["team"] for row in report["rows"]] == ["support"]


def test_another_organization_sees_nothing(spent: Service, charlie: Service):
    assert charlie.get("reports/spend", **RANGE).json()["total"]["requests"] == 0


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"group_by": "colour"}, "group_by"),
        ({"group_by": "team,team"}, "group_by"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-02", "to": "2026-11-02"}, "to"),
    ],
)
def test_bad_parameters_are_named(alice: Service, query: dict, parameter: str):
    response = alice.get("reports/spend", **query)

    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]


def test_the_number_of_queries_does_not_grow_with_the_groups(
    spent: Service, django_assert_max_num_queries
):
    with django_assert_max_num_queries(14):
        spent.get("reports/spend", group_by="team,project,model,family,day", **RANGE)
