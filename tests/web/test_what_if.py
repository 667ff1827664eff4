"""The page of what-if: asked by its address, kept, shared, made into an estimate."""

import json
from collections.abc import Callable
from urllib.parse import quote_plus, unquote_plus

import pytest
from django.contrib.auth.models import User
from django.test import Client

from billing.actions import what_if as actions
from billing.formats import what_if as formats
from billing.models import Estimate, SavedWhatIf
from teams.models import Role
from tests.billing.spending import spend
from tests.conftest import NOW, Cast, as_owner
from tests.web.conftest import Browser, read

pytestmark = pytest.mark.usefixtures("as_app")

PATH = "/teams/search/what-if"
DAYS = {"since": "2026-11-01", "through": "2026-11-30"}
USAGE = {"input_tokens": 1000, "output_tokens": 100}  # 0.006 USD on Claude Opus 5.5
MOVE = {
    "0-model": "anthropic/claude-opus-5-5",
    "0-to": "claude-sonnet-5-5",
    "0-percent": "50",
}


@pytest.fixture
def lead(cast: Cast, person: Callable[..., User], browser: Browser) -> Client:
    return browser(person("lea", Role.LEAD, cast.acme, cast.search))


@pytest.fixture
def used(cast: Cast) -> None:
    with as_owner():
        spend(cast, 10, usage=USAGE, tags={"job": "nightly"})


def test_without_usage_it_says_so(viewer: Client) -> None:
    page = read(viewer, PATH)
    assert "Nothing was used from" in page.text


def test_without_levers_it_is_what_it_was(viewer: Client, used: None) -> None:
    page = read(viewer, PATH, **DAYS)
    assert (
        "The usage from 1 to 30 Nov 2026 costs $0.06 at the rates of its days." in page.text
    )
    assert "0.06" in page.values()


def test_levers_come_from_the_address(viewer: Client, used: None) -> None:
    page = read(
        viewer,
        PATH,
        **DAYS,
        **MOVE,
        tags="job=nightly",
        batch_percent="100",
        output_percent="-10",
    )
    # Half of 0.06 on Sonnet: 0.045; in batches 0.0225, of it 0.0075 for output.
    assert "-0.00075" in page.values()
    assert "0.02175" in page.values()
    assert "10 requests wait, for up to 24 hours" in page.text
    assert "Price only: quality is not judged." in page.text
    assert ("figure", {"class": "chart", "data-chart": "before-after"}) in page.elements


def test_a_whole_question_may_stand_in_the_address(viewer: Client, used: None) -> None:
    question = {
        "since": "2026-11-01",
        "until": "2026-12-01",
        "caching": {"kind": "on", "share_percent": 50, "hit_percent": 90},
    }
    page = read(viewer, PATH, question=json.dumps(question))
    assert "Caching them pays as long as more than" in page.text
    assert quote_plus('"team":"search"') in page.text  # what the API is asked
    typed = {attrs.get("name"): attrs.get("value") for _, attrs in page.elements}
    assert (typed["share_percent"], typed["through"]) == ("50", "2026-11-30")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"since": "2026-11-30", "through": "2026-11-01"}, "must come after"),
        ({"since": "soon"}, "Enter a valid date"),
        ({"output_percent": "much"}, "A whole percentage from −100 to 1,000."),
        ({"output_percent": "-200"}, "A whole percentage from −100 to 1,000."),
        ({"0-model": "anthropic/claude-opus-5-5"}, "Name the model that takes them"),
        ({**MOVE, "0-to": "gpt-nought"}, "No model is known as gpt-nought"),
        ({**MOVE, "0-percent": "101"}, "A whole percentage from 1 to 100."),
        ({"batch_percent": "50"}, "Say what can wait"),
        ({"tags": "nightly"}, "Write a tag as key=value"),
        ({"project": "triage"}, "Select a valid choice"),
        ({"caching": "on"}, "Say how many percent of the input repeat"),
        ({"question": "{"}, "The question in the address cannot be read"),
        ({"question": '{"lever": 1}'}, "The question in the address cannot be read"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_said(
    viewer: Client, used: None, query: dict[str, str], said: str
) -> None:
    assert said in read(viewer, PATH, **query).text


def test_a_lead_keeps_a_question_and_forgets_it(lead: Client, used: None) -> None:
    query = {**DAYS, **MOVE}
    address = f"{PATH}?{'&'.join(f'{name}={value}' for name, value in query.items())}"
    response = lead.post(address, {"step": "save", "name": "Half on Sonnet"}, follow=True)
    assert response.status_code == 200
    saved = SavedWhatIf.objects.get()
    assert (saved.name, saved.created_by) == ("Half on Sonnet", "lea")
    html = response.content.decode()
    assert "Saved as Half on Sonnet." in html
    assert "would have cost" in html
    again = lead.post(address, {"step": "save", "name": "Half on Sonnet"})
    assert "The team has a what-if of this name." in again.content.decode()
    lead.post(PATH, {"step": "forget", "saved": str(saved.pk)})
    assert not SavedWhatIf.objects.exists()
    for nothing in ("none", "9" * 5_000):
        assert lead.post(PATH, {"step": "forget", "saved": nothing}).status_code == 404


def test_a_lead_makes_an_estimate_of_it(lead: Client, used: None) -> None:
    query = "&".join(f"{name}={value}" for name, value in {**DAYS, **MOVE}.items())
    response = lead.post(f"{PATH}?{query}", {"step": "plan"}, follow=True)
    assert "A draft for" in response.content.decode()
    (estimate,) = Estimate.objects.all()
    assert response.redirect_chain == [(f"/estimates/{estimate.pk}", 302)]
    assert estimate.state == "draft"
    assert {line.model.name for line in estimate.lines.filter(scenario="medium")} == {
        "claude-opus-5-5",
        "claude-sonnet-5-5",
    }


def test_who_may_only_look_keeps_nothing(viewer: Client, used: None) -> None:
    page = read(viewer, PATH, **DAYS)
    assert "Save this question" not in page.text
    assert viewer.post(PATH, {"step": "save", "name": "x"}).status_code == 403


def test_another_team_is_not_found(viewer: Client, outsider: Client) -> None:
    assert viewer.get("/teams/support/what-if").status_code == 404
    assert outsider.get(PATH).status_code == 404


def test_every_move_of_a_question_has_its_row(viewer: Client, used: None) -> None:
    moves = [
        {"model": "claude-opus-5-5", "to": "claude-sonnet-5-5", "percent": 5}
        for _ in range(20)
    ]
    question = {"since": "2026-11-01", "until": "2026-12-01", "moves": moves}
    page = read(viewer, PATH, question=json.dumps(question))
    typed = {attrs.get("name"): attrs.get("value") for _, attrs in page.elements}
    assert [typed[f"{number}-percent"] for number in range(20)] == ["5"] * 20
    # All of it is moved: half of 0.06.
    assert "0.03" in page.values()


def test_the_whole_address_of_the_api_is_shown(viewer: Client, used: None) -> None:
    page = read(viewer, PATH, **DAYS, **MOVE, output_percent="-10", prices_on="2026-11-20")
    question = {
        "team": "search",
        "since": "2026-11-01",
        "until": "2026-12-01",
        "moves": [
            {
                "model": "anthropic/claude-opus-5-5",
                "to": "claude-sonnet-5-5",
                "percent": 50,
            }
        ],
        "output_percent": -10,
        "prices_on": "2026-11-20",
    }
    shown = page.text.partition("GET /api/v1/what-if?question=")[2].split()[0]
    assert json.loads(unquote_plus(shown)) == question


def test_saved_questions_are_shown_twenty_at_a_time(
    viewer: Client, cast: Cast, used: None
) -> None:
    for number in range(23):
        actions.save(
            team=cast.search,
            name=f"Question {number:02}",
            question=formats.read({"output_percent": -10}),
            by="lea",
            now=NOW,
        )
    page = read(viewer, PATH, output_percent="-10")
    assert "Question 22" in page.text
    assert "Question 02" not in page.text
    (older,) = {
        attrs.get("href") or "" for _, attrs in page.elements if "before=" in str(attrs)
    }
    rest = read(viewer, PATH + older.partition("#")[0])
    assert all(f"Question {number:02}" in rest.text for number in range(3))
    assert "Question 03" not in rest.text
    assert "Older questions" not in rest.text
    assert "10 % shorter" in rest.text  # what was asked stays
    for wrong in ("none", "9" * 5_000, "0"):
        assert read(viewer, PATH, before=wrong)
