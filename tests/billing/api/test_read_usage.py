"""GET /usage/{id}: state, charge lines and the rate."""

from urllib.parse import quote

import pytest

from billing.actions import post
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, Service, issue

pytestmark = pytest.mark.usefixtures("as_app")


def test_a_record_is_pending_until_it_is_counted(alice: Service):
    alice.post("usage", body(record(id="msg_1")))

    reply = alice.get("usage/msg_1").json()

    assert (reply["state"], reply["cost"], reply["charges"]) == ("pending", None, [])


def test_a_counted_record_shows_its_charges_and_their_rate(alice: Service, cast: Cast):
    alice.post("usage", body(record(id="msg_1", tags={"feature": "x"})))
    post.count(team_id=cast.search.pk, now=NOW)

    reply = alice.get("usage/msg_1").json()

    assert (reply["state"], reply["cost"], reply["currency"]) == ("priced", COST, "USD")
    assert (reply["project"], reply["team"]) == ("answers", "search")
    assert reply["tags"] == {"feature": "x"}
    (charge,) = reply["charges"]
    assert charge["lines"] == [
        {
            "token_class": "input",
            "quantity": 1000,
            "unit_price": "0.000004",
            "cost": "0.004",
            "model": "claude-opus-5-5",
        },
        {
            "token_class": "output",
            "quantity": 10,
            "unit_price": "0.00002",
            "cost": "0.0002",
            "model": "claude-opus-5-5",
        },
    ]
    assert charge["rate"]["prices"]["output"] == {"price": "20", "per": 1_000_000}
    assert charge["rate"]["card"] == "Anthropic list prices"
    assert charge["rate"]["source"]


def test_a_record_says_what_its_usage_was_recognised_as(alice: Service):
    usage = {
        "inputTokens": 37,
        "outputTokens": 211,
        "totalTokens": 24_248,
        "cacheReadInputTokens": 20_000,
        "cacheWriteInputTokens": 4_000,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 3_000}],
    }
    model = "eu.anthropic.claude-opus-5-v1:0"
    alice.post("usage", body(record(id="r1", provider="aws", model=model, usage=usage)))

    reply = alice.get("usage/r1").json()

    assert (reply["usage_format"], reply["model"]) == ("bedrock_converse", model)
    assert (reply["geo"], reply["endpoint"]) == ("global", "regional")
    quantities = {name: count for name, count in reply["quantities"].items() if count}
    assert quantities == {
        "input": 37,
        "cache_write_5m": 1_000,
        "cache_write_1h": 3_000,
        "cache_read": 20_000,
        "output": 211,
    }
    assert reply["flags"] == ["cache_split_incomplete"]


def test_an_unpriced_record_says_why(alice: Service, cast: Cast):
    alice.post("usage", body(record(id="msg_1", model="claude-unheard-of")))
    post.count(team_id=cast.search.pk, now=NOW)

    reply = alice.get("usage/msg_1").json()

    assert (reply["state"], reply["cost"]) == ("unpriced", None)
    assert reply["reason"] == "unknown_model"
    assert "claude-unheard-of" in reply["detail"]


@pytest.mark.parametrize("record_id", ["batch/7/req 1", "a\nb", " ", "ü", "../x", "a?b#c"])
def test_an_id_of_any_text_is_found(alice: Service, record_id: str):
    assert alice.post("usage", body(record(id=record_id))).status_code == 202

    assert alice.get(f"usage/{quote(record_id, safe='')}").json()["id"] == record_id


def test_an_id_that_is_not_there_is_404(alice: Service):
    response = alice.get("usage/msg_nowhere")

    assert response.status_code == 404
    assert response["content-type"] == "application/problem+json"


def test_the_project_is_asked_for_where_the_key_covers_several(cast: Cast):
    finance = Service(issue(cast.acme)[1])
    finance.post("usage", body(record(id="msg_1")))

    assert finance.get("usage/msg_1").status_code == 400
    assert finance.get("usage/msg_1", project="answers").status_code == 200
    assert finance.get("usage/msg_1", project="nowhere").status_code == 404


@pytest.mark.parametrize("query", [{}, {"project": "answers"}])
def test_another_teams_record_is_404(alice: Service, bob: Service, query: dict):
    alice.post("usage", body(record(id="msg_1")))

    response = bob.get("usage/msg_1", **query)

    assert response.status_code == 404
    assert "msg_1" not in str(response.json().get("charges", ""))


def test_another_organizations_record_is_404(alice: Service, charlie: Service):
    alice.post("usage", body(record(id="msg_1")))

    assert charlie.get("usage/msg_1", project="answers").status_code == 404
