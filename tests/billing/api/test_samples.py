"""/samples and /text-tokens: what keys may keep, see and ask."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing.models import Sample
from teams.models.api_keys import Scope
from tests.builders import body, record
from tests.conftest import Cast, Service, issue

pytestmark = pytest.mark.usefixtures("as_app")

USAGE = {"input_tokens": 1000, "output_tokens": 10}
RESPONSE = {"id": "msg_1", "model": "claude-opus-5-5", "content": [], "usage": USAGE}


@pytest.fixture
def lead(cast: Cast) -> Service:
    return Service(issue(cast.acme, team=cast.search)[1])


def create(service: Service, **asked: Any) -> Any:
    return service.post("samples", json.dumps(asked))


def test_records_are_kept_and_profiled(lead: Service):
    records = [{**RESPONSE, "id": f"msg_{number}"} for number in range(12)]

    reply = create(lead, records=[*records, {"no": "usage"}], name="Answers")
    made = reply.json()

    assert reply.status_code == 201
    assert (made["team"], made["name"], made["records"]) == ("search", "Answers", 12)
    assert made["problems"] == [
        {"number": 13, "unit": "record", "detail": "It has no usage.", "count": 1}
    ]
    (model,) = made["models"]
    assert model["cost_per_request"] == {
        "mean": "0.0042",
        "low": "0.0042",
        "high": "0.0042",
    }
    assert model["output_cost_percent"] == "4.76"
    assert model["hit_percent"] == "0"
    assert model["sides"]["input"]["p50"] == 1000
    assert [one["code"] for one in model["warnings"]] == ["too_few"]
    assert lead.get(f"samples/{made['id']}").json()["models"] == made["models"]


def test_what_an_estimate_makes_of_it_is_answered(lead: Service):
    cached = {**USAGE, "cache_read_input_tokens": 600}
    records = [RESPONSE, {**RESPONSE, "id": "msg_2", "usage": cached}]

    made = create(lead, records=[*records, {"model": "claude-none", "usage": USAGE}]).json()

    opus, unknown = made["models"]
    assert (opus["caching"], opus["prefix"]["mean"], opus["elsewhere"]) == (1, 600, 0)
    medium = opus["levers"]["medium"]
    assert (medium["prefix_tokens"], medium["prefix_percent"]) == (600, "50")
    assert (unknown["prefix"], unknown["caching"]) == (None, 0)
    assert made["in_estimates"] == [
        "Left out are requests of models that get no share: 1 of anthropic/claude-none."
    ]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RESPONSE),
        "\n".join([json.dumps(USAGE)] * 2),
        "input_tokens,output_tokens\n1000,10\n",
    ],
)
def test_text_is_read_too(lead: Service, text: str):
    reply = create(lead, text=text, model="claude-opus-5-5")

    assert reply.status_code == 201
    assert reply.json()["models"][0]["mean_cost"] == "0.0042"


def test_columns_can_be_named(lead: Service):
    reply = create(
        lead,
        text="what,in,out\nclaude-opus-5-5,1000,10",
        columns={"model": "what", "input": "in", "output": "out"},
    )

    assert reply.json()["columns"] == {"model": "what", "input": "in", "output": "out"}


def test_columns_of_flat_records_can_be_named(lead: Service):
    reply = create(
        lead,
        text='{"model":"claude-opus-5-5","tokens_in":5,"tokens_out":9}',
        columns={"input": "tokens_in", "output": "tokens_out"},
    )

    assert reply.json()["columns"]["input"] == "tokens_in"
    refused = create(
        lead, records=[{"usage": {"input_tokens": 1}}], columns={"input": "tokens_in"}
    )
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_table")


def test_days_are_those_of_a_project(lead: Service):
    before = (timezone.now() - timedelta(hours=30)).isoformat()
    today = timezone.now().isoformat()
    moments = [before, before, before, today]
    lead.post("usage", body(*(record(occurred_at=moment) for moment in moments)))

    reply = create(lead, project="answers", days=7)

    assert reply.status_code == 201
    assert (reply.json()["source"], reply.json()["records"]) == ("project", 3)


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({}, 400, "invalid"),
        ({"text": "{}", "records": []}, 400, "invalid"),
        ({"days": 7}, 400, "invalid"),
        ({"days": 32, "project": "answers"}, 400, "invalid"),
        ({"days": 7, "project": "answers"}, 400, "invalid"),  # no record
        ({"days": 7, "project": "triage"}, 404, "not_found"),
        ({"text": "{}", "team": "support"}, 404, "not_found"),
        ({"text": "{}"}, 400, "invalid"),
        ({"text": ""}, 400, "invalid"),
        ({"records": []}, 400, "invalid"),
        ({"records": [1.5, None]}, 400, "invalid"),
        ({"text": "a,b\n1,2"}, 400, "bad_table"),
        ({"text": "x" * 1_900_000}, 400, "bad_table"),
        ({"records": [{}] * 10_001}, 413, "too_many_records"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    lead: Service, asked: dict[str, Any], status: int, code: str
):
    reply = create(lead, **asked)

    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert not Sample.objects.exists()


def test_other_teams_and_other_organizations_see_none(
    lead: Service, bob: Service, charlie: Service, alice: Service
):
    made = create(lead, records=[RESPONSE]).json()

    for other in (bob, charlie, alice):
        assert other.get("samples").json() == {"data": [], "next_cursor": None}
        assert other.get(f"samples/{made['id']}").status_code == 404
        assert other.delete(f"samples/{made['id']}").status_code == 404
    assert Sample.objects.count() == 1


def test_a_key_needs_its_scopes(cast: Cast, lead: Service):
    reader = Service(issue(cast.acme, team=cast.search, scopes=[Scope.BUDGETS_READ])[1])
    made = create(lead, records=[RESPONSE]).json()

    assert create(reader, records=[RESPONSE]).status_code == 403
    assert reader.delete(f"samples/{made['id']}").status_code == 403
    assert [one["id"] for one in reader.get("samples").json()["data"]] == [made["id"]]


def test_the_list_goes_on_by_cursor(lead: Service):
    older, newer = (create(lead, records=[RESPONSE]).json()["id"] for _ in range(2))

    def ids(**query: str) -> list[str]:
        return [one["id"] for one in lead.get("samples", **query).json()["data"]]

    assert ids() == [newer, older]
    assert ids(cursor=newer) == [older]
    assert lead.get("samples", cursor="newer").status_code == 400


def test_a_sample_is_forgotten(lead: Service):
    made = create(lead, records=[RESPONSE]).json()

    assert lead.delete(f"samples/{made['id']}").status_code == 204
    assert lead.get(f"samples/{made['id']}").status_code == 404


# --- Text ---------------------------------------------------------------------------


def test_words_are_more_tokens_than_words(lead: Service):
    its = lead.get("text-tokens", count=1000, model="claude-opus-5-5").json()

    assert its == {
        "tokenizer": "claude_from_opus_4_7",
        "low": 1620,
        "mid": 1800,
        "high": 2057,
    }


@pytest.mark.parametrize(
    "query",
    [
        {"model": "x"},
        {"count": -1, "model": "x"},
        {"count": 1},
        {"count": 1, "model": "x", "kind": "poem"},
        {"count": 1, "model": "x", "unit": "pages"},
        {"count": 10**10, "model": "x"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(lead: Service, query: dict[str, Any]):
    assert lead.get("text-tokens", **query).status_code == 400
