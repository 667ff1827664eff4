"""/estimates: made by levers or lines, shown with all it rests on, decided on."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.actions import budgets, raises, samples
from billing.actions.budgets import Terms
from billing.models import Budget, Estimate, Sample
from billing.models.samples import Source
from billing.pricing.budget_periods import PeriodKind
from tests.conftest import NOW, Cast, Service, issue

pytestmark = pytest.mark.usefixtures("as_app")

LEVERS = {"requests_per_day": "100", "input_tokens": 1000, "output_tokens": 10}
MODELS = [
    {"model": "claude-opus-5-5", "share_percent": "100"},
    {"model": "claude-sonnet-5"},
]


@pytest.fixture
def lead(cast: Cast) -> Service:
    return Service(issue(cast.acme, team=cast.search)[1])


def asked(**changes: Any) -> dict[str, Any]:
    """Three thousand requests in November, each at 0.0042."""
    return {"month": "2026-11", "levers": {"medium": LEVERS}, "models": MODELS, **changes}


def post(service: Service, path: str, content: Any = None) -> Any:
    return service.post(path, json.dumps({} if content is None else content))


@pytest.fixture
def made(lead: Service) -> dict[str, Any]:
    answer = post(lead, "estimates", asked())
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def test_levers_come_to_totals_models_and_a_cap(made: dict[str, Any]):
    assert made["totals"] == {"medium": "12.6"}
    assert made["by_month"] == [
        {"month": "2026-11", "requests": {"medium": 3000}, "totals": {"medium": "12.6"}}
    ]
    assert [(one["model"], one["totals"]) for one in made["models"]] == [
        ("claude-opus-5-5", {"medium": "12.6"}),
        ("claude-sonnet-5", {"medium": "6.3"}),
    ]
    assert made["proposed_cap"] == {
        "amount": "13",
        "largest_month": "12.6",
        "contingency_percent": 0,
    }
    assert made["models"][0]["balance"]["price_ratio"] == "5"
    assert "22 Nov 2026" not in made["assumptions"]
    assert made["lines"][0]["processing"] == "standard"


def test_what_is_computed_is_not_kept_and_equals_what_would_be(
    lead: Service, made: dict[str, Any]
):
    computed = post(lead, "estimates/compute", asked()).json()

    assert Estimate.objects.count() == 1
    moments = {"priced_at", "rates_since"}
    assert {name: made[name] for name in computed.keys() - moments} == {
        name: its for name, its in computed.items() if name not in moments
    }


def test_a_kept_one_is_read_again(lead: Service, made: dict[str, Any]):
    assert lead.get(f"estimates/{made['id']}").json() == made


def change(service: Service, path: str, changes: dict[str, Any]) -> Any:
    """What is there, whoever changed it."""
    read = service.get(path).json()
    return service.patch(path, {"priced_at": read["priced_at"], **changes})


def test_a_draft_is_changed_by_what_is_named(lead: Service, made: dict[str, Any]):
    path = f"estimates/{made['id']}"

    noted = change(lead, path, {"note": "Twice as many.", "contingency_percent": 50}).json()
    grown = change(
        lead, path, {"months": 2, "levers": {"medium": {**LEVERS, "users": 2}}}
    ).json()
    by_hand = change(
        lead,
        path,
        {
            "months": 1,
            "lines": [
                {
                    "model": "claude-opus-5-5",
                    "scenario": "medium",
                    "requests": 1,
                    "quantities": {"input": 1_000_000},
                }
            ],
        },
    ).json()
    kept = change(lead, path, {"note": "By hand."}).json()

    assert (noted["note"], noted["totals"]) == ("Twice as many.", made["totals"])
    assert noted["proposed_cap"]["amount"] == "19"
    assert [one["requests"]["medium"] for one in grown["by_month"]] == [6000, 6200]
    assert (grown["note"], len(grown["models"])) == ("Twice as many.", 2)
    assert (by_hand["totals"], by_hand["levers"]) == ({"medium": "4"}, {})
    assert (kept["totals"], kept["note"]) == ({"medium": "4"}, "By hand.")


def test_submitted_sent_back_and_approved_with_a_cap(
    lead: Service, made: dict[str, Any], cast: Cast
):
    path = f"estimates/{made['id']}"

    submitted = post(lead, f"{path}/submit").json()
    refused = change(lead, path, {"note": "Too late."})
    returned = post(lead, f"{path}/send-back", {"note": "For whom?"}).json()
    post(lead, f"{path}/submit")
    approved = post(lead, f"{path}/approve", {"cap": "15"}).json()

    assert submitted["state"] == "submitted"
    assert submitted["submitted_by"]
    assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")
    assert (returned["state"], returned["decision_note"]) == ("draft", "For whom?")
    assert returned["submitted_at"] is None
    assert approved["state"] == "approved"
    assert Budget.objects.get(team=cast.search).amount == 15


def test_what_was_changed_since_it_was_read_is_not_approved(
    lead: Service, made: dict[str, Any]
):
    path = f"estimates/{made['id']}"
    change(lead, path, {"contingency_percent": "50"})

    refused = post(lead, f"{path}/approve", {"priced_at": made["priced_at"]})
    read_again = lead.get(path).json()["priced_at"]
    approved = post(lead, f"{path}/approve", {"priced_at": read_again})

    assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")
    assert approved.json()["state"] == "approved"


def test_of_two_who_change_a_draft_the_second_is_told(
    lead: Service, made: dict[str, Any], cast: Cast
):
    path = f"estimates/{made['id']}"
    opened = {"priced_at": made["priced_at"]}
    tom = Service(issue(cast.acme, team=cast.search)[1])
    tom.patch(path, {**opened, "note": "Toms."})

    refused = lead.patch(path, {**opened, "note": "Leas."})

    assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")
    kept = lead.get(path).json()
    assert (kept["note"], kept["priced_at"] > made["priced_at"]) == ("Toms.", True)
    assert kept["changed_by"] != kept["created_by"]
    assert refused.json()["detail"].startswith(f"{kept['changed_by']} changed it meanwhile")


@pytest.mark.parametrize("said", [{}, {"priced_at": None}, {"priced_at": "lately"}])
def test_a_change_names_the_version_that_was_read(
    lead: Service, made: dict[str, Any], said: dict[str, Any]
):
    answer = lead.patch(f"estimates/{made['id']}", {"note": "Which?", **said})

    assert answer.status_code == 400
    assert "priced_at" in answer.content.decode()
    assert Estimate.objects.get().note == ""


@pytest.mark.parametrize("step", ["submit", "send-back"])
def test_a_step_is_of_the_version_that_was_read(
    lead: Service, made: dict[str, Any], step: str
):
    path = f"estimates/{made['id']}"
    change(lead, path, {"note": "Another."})
    if step == "send-back":
        post(lead, f"{path}/submit")
    said = {"note": "Why?", "priced_at": made["priced_at"]}

    refused = post(lead, f"{path}/{step}", said)
    said["priced_at"] = lead.get(path).json()["priced_at"]

    assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")
    assert post(lead, f"{path}/{step}", said).status_code == 200


@pytest.fixture
def far_off(lead: Service) -> dict[str, Any]:
    """Of a month that is to come, whenever the tests run."""
    return dict(post(lead, "estimates", asked(month="2199-01")).json())


def test_the_cap_of_a_plan_to_come_waits_and_is_taken_back(
    lead: Service, far_off: dict[str, Any]
):
    path = f"estimates/{far_off['id']}"

    waits = post(lead, f"{path}/approve", {"cap": "15"}).json()
    taken = post(lead, f"{path}/take-back-cap").json()
    again = post(lead, f"{path}/take-back-cap")

    assert waits["cap"] == {
        "amount": "15",
        "holds_from": "2199-01-01",
        "state": "waiting",
        "sentence": "The monthly cap of $15.00 holds from 1 Jan 2199 on, the first day of "
        "the plan. One that somebody sets before then is the later decision and stays.",
        "settled_by": "",
        "settled_at": None,
    }
    assert waits["approval"] is None
    assert (taken["state"], taken["cap"]["state"]) == ("approved", "taken_back")
    assert taken["cap"]["settled_by"] in taken["cap"]["sentence"]
    assert (again.status_code, again.json()) == (200, taken)
    assert not Budget.objects.exists()


def test_where_no_cap_waits_none_is_taken_back(lead: Service, made: dict[str, Any]):
    path = f"estimates/{made['id']}"
    for step in ("", "approve"):
        if step:
            done = post(lead, f"{path}/{step}", {"cap": "15"}).json()
            assert done["cap"]["state"] == "set"
        refused = post(lead, f"{path}/take-back-cap")
        assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")


def test_what_a_cap_is_decided_by(lead: Service, far_off: dict[str, Any], cast: Cast):
    path = f"estimates/{far_off['id']}"
    assert far_off["approval"] == {
        "present_cap": None,
        "largest_months": {"medium": "13.02"},
        "holds_from": "2199-01-01",
        "two_people_above": None,
    }
    budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal(9)),
        by="finance",
        now=NOW,
    )
    raises.set_policy(
        organization=cast.acme, two_approvals_above=Decimal(10), by="tests", now=NOW
    )

    its = lead.get(path).json()["approval"]
    refused = post(lead, f"{path}/approve", {"cap": "10.01"})

    assert (its["present_cap"], its["two_people_above"]) == ("9", "10")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")
    assert "takes two people" in refused.json()["detail"]
    assert post(lead, f"{path}/approve", {"cap": "10"}).status_code == 200


def test_a_draft_is_not_sent_back(lead: Service, made: dict[str, Any]):
    answer = post(lead, f"estimates/{made['id']}/send-back", {"note": "No."})

    assert (answer.status_code, answer.json()["code"]) == (409, "not_possible")


def test_the_list_is_narrowed(lead: Service, made: dict[str, Any]):
    post(lead, "estimates", asked(note="another"))
    post(lead, f"estimates/{made['id']}/submit")

    def ids(**query: str) -> list[str]:
        return [one["id"] for one in lead.get("estimates", **query).json()["data"]]

    assert len(ids()) == 2
    assert ids(state="submitted") == [made["id"]]
    assert ids(cursor=str(int(made["id"]) + 1)) == [made["id"]]
    assert ids(team="search", state="approved") == []


@pytest.mark.parametrize(
    "query", [{"state": "lost"}, {"cursor": "-1"}, {"cursor": "9" * 30}, {"cursor": "x"}]
)
def test_a_list_of_nothing_that_is(lead: Service, query: dict[str, str]):
    assert lead.get("estimates", **query).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"models": [{"model": "claude-opus-5-5", "share_percent": "99"}]},
        {"models": []},
        {"models": [{"model": "nobody-knows", "share_percent": "100"}]},
        {"models": [*MODELS, MODELS[1]]},
        {"levers": {}},
        {"levers": {"heavy": LEVERS}},
        {"levers": {"medium": {**LEVERS, "requests_per_day": "NaN"}}},
        {"levers": {"medium": {**LEVERS, "requests_per_day": "-1"}}},
        {"levers": {"medium": {**LEVERS, "cache_ttl": "2h"}}},
        {"levers": {"medium": {**LEVERS, "cache_ttl": None}}},
        {"levers": {"medium": {**LEVERS, "hit_percent": "101"}}},
        {"levers": {"medium": {**LEVERS, "growth_percent": None}}},
        {"levers": {"medium": {**LEVERS, "active_days": 0}}},
        {"levers": {"medium": {**LEVERS, "input_tokens": 10**9, "users": 10**9}}},
        {"levers": {"medium": {"requests_per_day": "1"}}},
        {"levers": {"medium": None}},
        {"levers": []},
        {"levers": None},
        {"models": None},
        {"months": 13},
        {"month": "2026-13"},
        {"contingency_percent": 101},
        {"plan": "huge"},
        {"source": "x" * 2_001},
    ],
)
@pytest.mark.parametrize("path", ["estimates", "estimates/compute"])
def test_what_cannot_be_planned_is_refused(
    lead: Service, path: str, changes: dict[str, Any]
):
    answer = post(lead, path, asked(**changes))

    assert answer.status_code == 400, answer.content
    assert not Estimate.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"levers": {"medium": {"input_tokens": 1}}},
        {"models": []},
        {"lines": []},
        {"lines": None},
        {"lines": [], "levers": {}},
        {"month": None},
        {"project": "nobody's"},
        {"project": "triage"},
    ],
)
def test_a_change_that_cannot_be_is_refused(
    lead: Service, made: dict[str, Any], changes: dict[str, Any]
):
    answer = change(lead, f"estimates/{made['id']}", changes)

    assert answer.status_code in (400, 404)
    assert lead.get(f"estimates/{made['id']}").json()["totals"] == made["totals"]


def test_a_source_is_as_long_as_on_the_page(lead: Service):
    answer = post(lead, "estimates", asked(source="x" * 2_000))

    assert answer.status_code == 201
    assert answer.json()["source"] == "x" * 2_000


def test_levers_for_what_was_made_from_lines_need_models(lead: Service):
    line = {"model": "claude-opus-5-5", "scenario": "medium", "requests": 1}
    made = post(
        lead, "estimates", {"month": "2026-11", "lines": [{**line, "quantities": {}}]}
    ).json()

    answer = change(lead, f"estimates/{made['id']}", {"levers": {"medium": LEVERS}})

    assert answer.status_code == 400


def test_models_for_what_was_made_from_lines_need_levers(lead: Service):
    made = post(lead, "estimates", by_lines(1)).json()

    answer = change(lead, f"estimates/{made['id']}", {"models": MODELS})

    assert answer.status_code == 400


def by_lines(count: int) -> dict[str, Any]:
    """So many lines, each of a month of its own."""
    its = {"model": "claude-opus-5-5", "scenario": "medium", "requests": 1}
    months = [f"2026-{number + 1:02}" for number in range(count)]
    lines = [{**its, "month": month, "quantities": {"input": 1}} for month in months]
    return {"month": "2026-01", "months": 12, "lines": lines}


def test_more_lines_are_no_more_queries_and_not_endless(lead: Service):
    queries = []
    for count in (1, 1, 12):  # the first reads the prices
        with CaptureQueriesContext(connection) as captured:
            assert post(lead, "estimates", by_lines(count)).status_code == 201
        queries.append(len(captured))
    too_many = by_lines(1)
    too_many["lines"] *= 2_001

    assert queries[1] == queries[2]
    assert post(lead, "estimates", too_many).status_code == 400
    assert post(lead, "estimates/compute", asked(models=MODELS * 11)).status_code == 400


@pytest.mark.parametrize("cap", ["-1", "NaN", "much", [], "1e400"])
def test_a_cap_that_is_none(lead: Service, made: dict[str, Any], cap: Any):
    answer = post(lead, f"estimates/{made['id']}/approve", {"cap": cap})

    assert answer.status_code == 400
    assert Estimate.objects.get().state == "draft"


def test_no_other_key_reaches_it(
    alice: Service, bob: Service, charlie: Service, made: dict[str, Any]
):
    path = f"estimates/{made['id']}"
    for service in (alice, bob, charlie):
        assert service.get(path).status_code == 404
        changes = {"note": "mine", "priced_at": made["priced_at"]}
        assert service.patch(path, changes).status_code == 404
        for step in ("submit", "send-back", "approve", "take-back-cap"):
            assert post(service, f"{path}/{step}", {"note": "x"}).status_code == 404


def test_a_sample_is_named_by_who_covers_it(lead: Service, bob: Service, cast: Cast):
    sample = samples.read(
        team=cast.search,
        content=b'{"model": "claude-opus-5-5", "input_tokens": 1, "output_tokens": 1}',
        source=Source.PASTE,
        by="lea",
        now=NOW,
    )

    made = post(lead, "estimates", asked(sample=sample.pk)).json()
    forgotten = change(lead, f"estimates/{made['id']}", {"sample": None}).json()

    assert (made["sample"], forgotten["sample"]) == (str(sample.pk), None)
    assert post(bob, "estimates", asked(sample=sample.pk)).status_code == 404


@pytest.fixture
def sample(cast: Cast) -> Sample:
    """Of Opus three calls, of Sonnet one that is a tenth of them."""
    calls = [
        *[{"model": "claude-opus-5-5", "input_tokens": 1000, "output_tokens": 10}] * 3,
        {"model": "claude-sonnet-5", "input_tokens": 100, "output_tokens": 1},
    ]
    return samples.read(
        team=cast.search,
        content=json.dumps(
            [{"model": one["model"], "usage": one} for one in calls]
        ).encode(),
        source=Source.PASTE,
        by="lea",
        now=NOW,
    )


def test_a_model_that_is_in_the_sample_has_its_own_sizes(lead: Service, sample: Sample):
    """100 in and 1 out at 2 and 10 per million, by which a quarter of 3,000 requests is
    planned: 0.00021 each. Compared it is by 1,000 in and 10 out: 0.0021 each."""
    made = post(lead, "estimates", asked(sample=sample.pk)).json()
    kept = change(lead, f"estimates/{made['id']}", {"note": "The same."}).json()
    shared = [
        {**MODELS[0], "share_percent": "75"},
        {**MODELS[1], "share_percent": "25"},
    ]
    own, by_levers = (
        post(
            lead,
            "estimates/compute",
            asked(sample=sample.pk, models=[shared[0], {**shared[1], "sizes": sizes}]),
        ).json()
        for sizes in ("sample", "levers")
    )

    opus, sonnet = made["models"]
    assert (opus["sizes"], opus["levers"]) == ("levers", {})
    assert (sonnet["sizes"], sonnet["totals"]) == ("sample", {"medium": "6.3"})
    assert sonnet["levers"]["medium"]["input_tokens"] == 100
    assert sonnet["levers"]["medium"]["requests_per_day"] == "100"
    assert made["reference"] == {"provider": "anthropic", "model": "claude-opus-5-5"}
    assert any("3 requests of Claude Opus 5.5" in one for one in made["assumptions"])
    assert kept["models"] == made["models"]
    assert own["totals"] == {"medium": "9.6075"}  # 9.45 of it on Opus
    assert by_levers["totals"] == {"medium": "11.025"}
    assert [its["models"][1]["totals"] for its in (own, by_levers)] == [
        {"medium": "6.3"}
    ] * 2


def test_a_model_of_another_tokenizer_has_a_range(lead: Service):
    haiku = {"model": "claude-haiku-4-5"}
    models = [MODELS[0], haiku, {**haiku, "model": "claude-sonnet-5"}]

    shown = post(lead, "estimates/compute", asked(models=models)).json()

    opus, its, sonnet = shown["models"]
    assert (opus["ranges"], sonnet["ranges"], shown["ranges"]) == ({}, {}, {})
    # 3.15 at as many tokens.
    ends = [round(Decimal(end), 4) for end in its["ranges"]["medium"].values()]
    assert ends == [Decimal("2.1"), Decimal("2.625")]
    factors = [its[f"token_factor{end}"] for end in ("_low", "", "_high")]
    assert factors == ["0.666666667", "0.740740741", "0.833333333"]


def test_a_factor_that_is_said_is_the_one(lead: Service):
    haiku = {"model": "claude-haiku-4-5", "share_percent": "100", "token_factor": "2"}

    shown = post(
        lead,
        "estimates/compute",
        asked(models=[haiku], reference={"model": "claude-opus-5-5"}),
    ).json()

    assert shown["totals"] == {"medium": "6.3"}
    assert shown["ranges"] == {}


HAIKU = {"provider": "anthropic", "model": "claude-haiku-4-5"}


def test_who_changes_the_reference_types_no_factor(lead: Service):
    """The older tokenizer for the newer one: 1.2 to 1.5, though both were one before."""
    made = post(lead, "estimates", asked()).json()

    changed = change(lead, f"estimates/{made['id']}", {"reference": HAIKU}).json()
    back = change(lead, f"estimates/{made['id']}", {"reference": None}).json()

    for its in changed["models"]:
        assert [its[f"token_factor{end}"] for end in ("_low", "", "_high")] == [
            "1.2",
            "1.35",
            "1.5",
        ]
    assert changed["totals"] == {"medium": "17.01"}
    assert changed["ranges"] == {"medium": {"low": "15.12", "high": "18.9"}}
    assert (back["totals"], back["ranges"]) == (made["totals"], {})


@pytest.mark.parametrize("typed", ["1", "2"])
def test_a_factor_that_was_typed_stays_when_something_else_changes(
    lead: Service, typed: str
):
    models = [MODELS[0], {**HAIKU, "token_factor": typed}]
    made = post(lead, "estimates", asked(models=models)).json()

    changed = change(lead, f"estimates/{made['id']}", {"note": "The same."}).json()

    assert changed["models"] == made["models"]
    assert changed["models"][1]["token_factor_high"] == typed


def test_a_project_is_planned(lead: Service, made: dict[str, Any]):
    its = post(lead, "estimates", asked(project="answers")).json()
    whole = change(lead, f"estimates/{its['id']}", {"project": None}).json()

    assert (its["project"], whole["project"]) == ("answers", None)
    assert Decimal(its["totals"]["medium"]) == Decimal("12.6")
