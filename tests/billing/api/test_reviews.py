"""/reviews, and the reports of recommended caps and of how right plans were."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from billing.models import Review
from tests.billing.spending import make, spend
from tests.billing.test_plans import approved, line
from tests.conftest import Cast, Service, issue

DAYS = {"project": "answers", "since": "2026-11-08", "until": "2026-11-22"}


@pytest.fixture
def lead(cast: Cast) -> Service:
    return Service(issue(cast.acme, team=cast.search)[1])


@pytest.fixture
def used(cast: Cast) -> None:
    """Ten requests planned a day, of 0.0042 USD; twelve used on one day."""
    approved(cast, line(300), project=cast.answers)
    spend(cast, 12)


def opened(lead: Service, **changes: str) -> dict:
    reply = lead.post("reviews", DAYS | changes)
    assert reply.status_code == 201, reply.content
    return reply.json()


@pytest.mark.usefixtures("used", "as_app")
def test_a_review_says_what_was_spent_against_the_plan(lead: Service):
    review = opened(lead)

    found = lead.get(f"reviews/{review['id']}").json()

    assert (found["state"], found["by_itself"], found["decision"]) == ("open", False, None)
    assert (found["spent"], found["records"], found["days"]) == ("0.0504", 12, 1)
    plan = found["plan"]
    assert (plan["planned"], plan["actual"]) == ("0.588", "0.0504")
    parts = [Decimal(one["amount"]) for one in plan["effects"]]
    assert sum(parts) == Decimal(plan["difference"]) == Decimal("-0.5376")
    assert found["verdicts"][-1]["action"] == "nothing_stands_out"


@pytest.mark.usefixtures("used", "as_app")
def test_a_closed_one_keeps_its_figures(lead: Service, cast: Cast):
    review = opened(lead)
    path = f"reviews/{review['id']}"

    closed = lead.post(f"{path}/close", {"decision": "keep_cap", "note": "fits"})
    again = lead.post(f"{path}/close", {"decision": "keep_cap"})

    assert closed.status_code == 200, closed.content
    found = lead.get(path).json()
    assert found == closed.json()
    assert (found["state"], found["decision"], found["note"]) == (
        "kept",
        "keep_cap",
        "fits",
    )
    assert (again.status_code, again.json()["code"]) == (409, "not_possible")


@pytest.mark.usefixtures("as_app")
def test_lists_go_on_by_cursor_and_are_of_the_key_alone(
    lead: Service, alice: Service, bob: Service, charlie: Service
):
    review = opened(lead)
    path = f"reviews/{review['id']}"

    page = lead.get("reviews").json()

    assert [one["id"] for one in page["data"]] == [review["id"]]
    assert lead.get("reviews", cursor=review["id"]).json()["data"] == []
    assert alice.get(path).status_code == 200  # its own project's
    for other in (bob, charlie):
        assert other.get("reviews").json()["data"] == []
        assert other.get(path).status_code == 404
        assert other.post(f"{path}/close", {"decision": "keep_cap"}).status_code == 404
        assert other.post("reviews", DAYS).status_code == 404
    assert Review.objects.get().state == "open"


@pytest.mark.usefixtures("as_app")
@pytest.mark.parametrize(
    "wrong",
    [
        {"until": "2026-11-08"},
        {"until": "2199-01-01"},
        {"since": "2020-01-01"},
        {"since": "yesterday"},
        {"since": "0001-01-01", "until": "0001-01-15"},
    ],
)
def test_days_that_make_no_review_are_refused(lead: Service, wrong: dict[str, str]):
    assert lead.post("reviews", DAYS | wrong).status_code == 400


@pytest.mark.usefixtures("as_app")
def test_a_decision_is_one_of_the_verdicts(lead: Service):
    review = opened(lead)

    reply = lead.post(f"reviews/{review['id']}/close", {"decision": "hope"})

    assert reply.status_code == 400


@pytest.fixture
def lately(cast: Cast) -> None:
    """A dollar on each of the last 20 days: 250,000 tokens in."""
    now = timezone.now()
    for day in range(1, 21):
        at = (now - timedelta(days=day)).isoformat()
        usage = {"input_tokens": 250_000, "output_tokens": 0}
        spend(cast, 1, occurred_at=at, usage=usage, now=now)


@pytest.mark.usefixtures("lately", "as_app")
@pytest.mark.parametrize("scope", ["team", "project"])
def test_a_cap_is_recommended_without_a_budget(lead: Service, scope: str):
    asked = {"team": {"team": "search"}, "project": {"project": "answers"}}[scope]

    found = lead.get("reports/recommended-cap", cap="5", **asked).json()

    assert (found["budget"], found["period"], found["risk_percent"]) == (None, "month", 10)
    assert 25 < Decimal(found["forecast"]["expected"]) < 35
    recommended = found["recommended"]
    assert Decimal(recommended["probability_over"]) <= Decimal("0.1")
    assert 30 < Decimal(recommended["cap"]) < 120
    assert recommended["odds"].startswith("in 1 month of ")
    assert found["proposed"]["probability_over"] == "1"
    first = found["forecast"]["period_start"]
    assert found["proposed"]["exhausted_on"][:7] == first[:7]


@pytest.mark.usefixtures("lately")
def test_of_a_budget_the_cap_in_force_is_looked_at(lead: Service, cast: Cast):
    budget = make(cast, "1000")

    found = lead.get("reports/recommended-cap", budget=str(budget.pk)).json()

    assert (found["budget"], found["proposed"]["cap"]) == (str(budget.pk), "1000")
    assert found["proposed"]["probability_over"] == "0"
    assert found["proposed"]["exhausted_on"] is None
    surer = lead.get(
        "reports/recommended-cap", budget=str(budget.pk), risk_percent="1"
    ).json()
    assert Decimal(surer["recommended"]["cap"]) > Decimal(found["recommended"]["cap"])


@pytest.mark.usefixtures("as_app")
def test_of_nothing_no_cap_is_recommended(lead: Service, charlie: Service):
    found = lead.get("reports/recommended-cap").json()

    assert (found["forecast"], found["recommended"], found["proposed"]) == (None,) * 3
    assert charlie.get("reports/recommended-cap", team="search").status_code == 404
    for wrong in ({"risk_percent": "51"}, {"cap": "1e3"}, {"cap": " 5"}, {"cap": "٥"}):
        assert lead.get("reports/recommended-cap", **wrong).status_code == 400


@pytest.mark.usefixtures("as_app")
def test_without_a_planned_month_nothing_is_known_of_plans(lead: Service, bob: Service):
    found = lead.get("reports/estimate-accuracy").json()

    assert (found["months"], found["mean_error_percent"]) == ([], None)
    assert found["sentence"] == "No month with an approved plan is over yet."
    assert bob.get("reports/estimate-accuracy", team="search").status_code == 404
