"""Pages of reviews: what they say, to whom, and where their buttons lead."""

from datetime import date

import pytest
from django.test import Client

from billing.actions import reviews as actions
from billing.models import Review
from teams.models import Role
from tests.billing.savings import call, counted
from tests.billing.test_plans import approved, line
from tests.conftest import NOW, Cast
from tests.web.conftest import Browser, read


@pytest.fixture
def lead(cast: Cast, person, browser: Browser) -> Client:
    return browser(person("lea", Role.LEAD, cast.acme, cast.search))


@pytest.fixture
def review(cast: Cast) -> Review:
    """Ten requests of a million tokens in: 40 USD, 1.80 planned."""
    approved(cast, line(900), project=cast.answers)
    counted(cast, [call(number, input_tokens=1_000_000) for number in range(10)])
    return actions.open_review(
        team=cast.search,
        project=cast.answers,
        since=date(2026, 11, 8),
        until=date(2026, 11, 22),
        by="lead",
        now=NOW,
    )


@pytest.mark.usefixtures("as_app")
def test_the_empty_list_says_what_will_be_there(viewer: Client, lead: Client):
    assert "No review has opened yet" in read(viewer, "/reviews").text
    assert "review any days" in read(lead, "/reviews").text
    assert "review any days" not in read(viewer, "/reviews").text


def test_a_review_begins_with_what_it_cost_against_the_plan(viewer: Client, review: Review):
    page = read(viewer, f"/reviews/{review.pk}")

    assert "Answers cost $40.00 from 8 to 21 Nov 2026: $38.24 (2,167 %)" in page.text
    assert "Price only, quality is not judged." in page.text
    assert "Close this review" not in page.text  # a viewer decides nothing
    links = [attrs.get("href") or "" for _, attrs in page.elements]
    assert any("/what-if?question=" in href for href in links)


def test_what_if_opens_with_the_question_of_the_verdict(viewer: Client, review: Review):
    page = read(viewer, f"/reviews/{review.pk}")
    asked = [
        attrs["href"]
        for _, attrs in page.elements
        if "/what-if?question=" in (attrs.get("href") or "")
    ]

    for href in asked:
        assert "would have cost" in read(viewer, str(href)).text


def test_a_lead_closes_it(lead: Client, review: Review):
    path = f"/reviews/{review.pk}"

    refused = lead.post(path, {"decision": "hope"})
    reply = lead.post(path, {"decision": "change_model", "note": "Try <b>Haiku</b>."})

    assert refused.status_code == 400
    assert reply["location"] == path
    page = read(lead, path)
    assert "Decided: Change the model" in page.text
    assert "Try <b>Haiku</b>." in page.text  # as text
    assert "Close this review" not in page.text
    assert "40.00" in read(lead, "/reviews").text


def test_a_viewer_closes_nothing(viewer: Client, outsider: Client, review: Review):
    path = f"/reviews/{review.pk}"

    assert viewer.post(path, {"decision": "keep_cap"}).status_code == 403
    assert outsider.get(path).status_code == 404
    assert viewer.get("/reviews/new").status_code == 403
    review.refresh_from_db()
    assert review.is_open


def test_other_days_can_be_reviewed(lead: Client, cast: Cast):
    days = {"project": "answers", "since": "2026-11-01", "through": "2026-11-14"}

    wrong = lead.post("/reviews/new", days | {"through": "2026-10-31"})
    reply = lead.post("/reviews/new", days)
    again = lead.post("/reviews/new", days)

    assert wrong.status_code == 400
    made = Review.objects.get()
    assert reply["location"] == f"/reviews/{made.pk}"
    assert (made.until, made.opened_by) == (date(2026, 11, 15), "lea")
    assert b"There is a review of these days" in again.content


def test_the_cap_leads_to_the_editor_filled_in(finance: Client, cast: Cast):
    page = finance.get(
        "/teams/search/budgets/new", {"amount": "5200", "project": "answers"}
    ).content.decode()

    assert 'value="5200"' in page
    assert f'<option value="project {cast.answers.pk}" selected>' in page
    assert finance.get("/teams/search/budgets/new", {"amount": "x<"}).status_code == 200
