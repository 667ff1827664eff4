"""Pages of reviews: what they say, to whom, and where their buttons lead."""

from datetime import date

import pytest
from django.test import Client

from billing.actions import reviews as actions
from billing.models import Review
from billing.reports import reviews
from teams.models import Role
from tests.billing.savings import call, counted
from tests.billing.test_plans import approved, line
from tests.conftest import NOW, Cast
from tests.web.conftest import Browser, Page, read


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


def test_batches_of_a_long_review_lead_to_its_last_31_days(viewer: Client, cast: Cast):
    day = 24 * 60
    counted(
        cast,
        [
            call(-number * day, input_tokens=1_000_000, tags={"job": "nightly"})
            for number in range(6)
        ],
    )
    review = actions.open_review(
        team=cast.search,
        project=cast.answers,
        since=date(2026, 9, 1),
        until=date(2026, 11, 21),
        by="lead",
        now=NOW,
    )

    page = read(viewer, f"/reviews/{review.pk}")

    assert "See the last 31 days in what-if" in page.text
    assert "6 records on 6 days from 1 Sep to 20 Nov 2026, of which the last 31 days" in (
        page.text
    )
    asked = [
        str(attrs["href"])
        for _, attrs in page.elements
        if "2026-10-21" in (attrs.get("href") or "")
    ]
    assert "would have cost" in read(viewer, asked[0]).text


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


def test_a_closed_one_cannot_be_closed_again(lead: Client, review: Review):
    path = f"/reviews/{review.pk}"
    lead.post(path, {"decision": "change_model"})

    for decision in ("keep_cap", "hope"):
        again = lead.post(path, {"decision": decision})

        assert again.status_code == 409
        assert "This review is closed: lea decided. Nothing was changed." in (
            Page(again.content.decode()).text
        )
    review.refresh_from_db()
    assert review.decision == "change_model"


def test_of_a_project_without_a_plan_the_teams_is_shown(
    lead: Client, viewer: Client, cast: Cast
):
    approved(cast, line(900))
    counted(cast, [call(number, input_tokens=1_000_000) for number in range(10)])
    review = actions.open_review(
        team=cast.search,
        project=cast.answers,
        since=date(2026, 11, 8),
        until=date(2026, 11, 22),
        by="lead",
        now=NOW,
    )

    page = read(lead, f"/reviews/{review.pk}")

    assert "It has no plan of its own: the plan is of the team." in page.text
    assert "The plan is of the team Search; its variance over the same days" in page.text
    links = {attrs.get("href") for _, attrs in page.elements}
    assert "/estimates/new?project=answers" in links
    assert (
        "/teams/search/variance?from=2026-11-08&through=2026-11-21" in links
    )  # of all the team
    sample = next(link for link in links if link and link.startswith("/samples/new"))
    assert f'value="project {cast.search.pk} {cast.answers.pk}" selected' in (
        lead.get(sample).content.decode()
    )
    # A viewer plans nothing.
    page = read(viewer, f"/reviews/{review.pk}")
    assert "/estimates/new?project=answers" not in {
        attrs.get("href") for _, attrs in page.elements
    }


def test_older_ones_are_a_link_away(
    viewer: Client, review: Review, cast: Cast, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reviews, "SHOWN", 1)
    newer = actions.open_review(
        team=cast.search,
        project=cast.answers,
        since=date(2026, 11, 9),
        until=date(2026, 11, 22),
        by="lead",
        now=NOW,
    )

    first = read(viewer, "/reviews")
    rest = read(viewer, "/reviews", open_before=str(newer.pk))

    def links(page: Page) -> set[str | None]:
        return {attrs.get("href") for _, attrs in page.elements}

    assert {f"/reviews/{newer.pk}", f"?open_before={newer.pk}"} <= links(first)
    assert f"/reviews/{review.pk}" not in links(first)
    assert f"/reviews/{review.pk}" in links(rest)
    assert f"?open_before={review.pk}" not in links(rest)
    assert read(viewer, "/reviews", open_before="x", before="-1").text == first.text


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
