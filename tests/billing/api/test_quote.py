"""POST /prices/quote: prices without storing anything."""

import json

import pytest

from billing.models import UsageRecord
from teams.models.api_keys import Scope
from tests.builders import body, record
from tests.conftest import Cast, Service, as_owner, issue

pytestmark = pytest.mark.usefixtures("as_app")


def test_a_quote_has_state_cost_and_lines(alice: Service):
    one = record(id="q1", occurred_at="2024-03-01T00:00:00Z")

    response = alice.post("prices/quote", body(one))

    assert response.status_code == 200
    assert response.json() == {
        "results": [
            {
                "id": "q1",
                "state": "priced",
                "cost": "0.0042",
                "currency": "USD",
                "model": "claude-opus-5-5",
                "lines": [
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
                ],
                "reason": None,
                "detail": None,
                "read": {
                    "usage_format": "anthropic",
                    "processing": "standard",
                    "speed": "standard",
                    "geo": "global",
                    "endpoint": "global",
                    "quantities": {
                        "input": 1000,
                        "cache_write_5m": 0,
                        "cache_write_1h": 0,
                        "cache_read": 0,
                        "output": 10,
                        "web_search": 0,
                        "input_audio": 0,
                        "cache_read_audio": 0,
                        "output_audio": 0,
                        "output_image": 0,
                        "session": 0,
                    },
                    "thinking": 0,
                    "flags": [],
                },
            }
        ]
    }
    with as_owner():
        assert not UsageRecord.objects.exists()


def test_results_stand_in_the_order_of_the_records(alice: Service):
    unknown, bad = record(model="claude-unheard-of"), record(usage=[])

    results = alice.post("prices/quote", body(record(), unknown, bad)).json()["results"]

    assert [result["state"] for result in results] == ["priced", "unpriced", "rejected"]
    assert [result["cost"] for result in results] == ["0.0042", None, None]
    assert results[1]["reason"] == "unknown_model"
    assert results[2]["detail"].startswith("/usage")


def test_a_quote_needs_neither_id_nor_project(alice: Service):
    response = alice.post("prices/quote", json.dumps(record(id=None, project=None)))

    assert response.json()["results"][0]["state"] == "priced"


def test_a_quote_states_what_was_read_also_without_a_price(alice: Service):
    usage = {
        "promptTokenCount": 120,
        "cachedContentTokenCount": 20,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 7,
    }
    unheard_of = record(provider="google", model="gemini-unheard-of", usage=usage)

    (unpriced, rejected) = alice.post(
        "prices/quote", body(unheard_of, record(provider="google", usage={"tokens": 1}))
    ).json()["results"]

    assert (unpriced["state"], unpriced["read"]["usage_format"]) == ("unpriced", "gemini")
    assert unpriced["read"]["quantities"]["input"] == 100
    assert unpriced["read"]["quantities"]["cache_read"] == 20
    assert unpriced["read"]["quantities"]["output"] == 12
    assert unpriced["read"]["thinking"] == 7
    assert (rejected["reason"], rejected["read"]) == ("unknown_usage_format", None)
    assert "tokens" in rejected["detail"]


def test_quotes_need_their_scope(cast: Cast):
    service = Service(issue(cast.acme, scopes=[Scope.USAGE_WRITE])[1])

    assert service.post("prices/quote", body(record())).status_code == 403
