"""The page of a team's routing policy: set by who may edit budgets, seen by the team."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from billing.actions import routing
from billing.models import RoutingPolicy
from billing.models.routing import Tag
from tests.billing.savings import call, counted
from tests.conftest import Cast
from tests.web.conftest import NOVEMBER, read

pytestmark = pytest.mark.usefixtures("as_app")

PATH = "/teams/search/routing"
ASKED = {
    "models": ["claude-sonnet-5"],
    "tags": "job=nightly\n\n env = test ",
    "max_output": "8000",
    "effective_from": "2199-12-31",
    "reason": "Opus is for answers",
}


def test_a_policy_is_set(finance: Client, cast: Cast):
    answer = finance.post(PATH, ASKED)

    assert (answer.status_code, answer["location"]) == (302, PATH)
    policy = RoutingPolicy.objects.get(team=cast.search)
    assert policy.model_names == ["claude-sonnet-5"]
    assert policy.tags == [Tag("env", "test"), Tag("job", "nightly")]
    assert (policy.max_output, policy.changed_by) == (8_000, "frank")
    page = read(finance, PATH)
    assert "From 31 Dec 2199, 00:00" in page.text
    assert "Opus is for answers" in page.text
    assert "Every model may be used" in page.text  # today


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tags": "nightly"}, "Write &#x27;nightly&#x27; as name=value."),
        ({"tags": "job="}, "A tag has a name"),
        ({"max_output": "0"}, "greater than or equal to 1"),
        ({"effective_from": "2020-01-01"}, "A policy starts today at the earliest."),
        ({"effective_from": ""}, "required"),
        ({"reason": ""}, "Say why"),
        ({"models": ["gpt-nothing"]}, "not one of the available choices"),
    ],
)
def test_what_makes_no_sense_is_said(
    finance: Client, cast: Cast, changes: dict[str, str], sentence: str
):
    answer = finance.post(PATH, {**ASKED, **changes})

    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    assert not RoutingPolicy.objects.exists()


def test_a_viewer_sees_it_and_cannot_set_it(viewer: Client, cast: Cast):
    assert "Set the policy" not in read(viewer, PATH).text
    assert viewer.post(PATH, ASKED).status_code == 403
    assert not RoutingPolicy.objects.exists()


def test_breaches_are_told_with_what_they_cost(viewer: Client, cast: Cast):
    routing.set_policy(
        team=cast.search,
        max_output=1_000,
        by="frank",
        now=datetime(2026, 11, 1, 12, tzinfo=UTC),
    )
    counted(cast, [call(output_tokens=1_500, id="far-too-long")])

    page = read(viewer, PATH, **NOVEMBER)

    assert "1 request $0.01 too much" in page.text
    assert "far-too-long" in page.text
    assert {"0.03", "0.01"} <= page.values()


def test_nothing_in_breach_is_said(viewer: Client, cast: Cast):
    assert "nothing can be in breach" in read(viewer, PATH, **NOVEMBER).text
    routing.set_policy(
        team=cast.search,
        max_output=1_000,
        by="frank",
        now=datetime(2026, 11, 1, 12, tzinfo=UTC),
    )

    assert "Everything was as the policy says." in read(viewer, PATH, **NOVEMBER).text


def test_policies_are_shown_twenty_at_a_time(viewer: Client, cast: Cast):
    for number in range(1, 23):
        routing.set_policy(
            team=cast.search,
            max_output=number,
            reason=f"Reason {number:02}.",
            by="frank",
            now=datetime(2026, 11, 1, 12, tzinfo=UTC),
        )

    page, older = read(viewer, PATH, **NOVEMBER), ""
    for _, attrs in page.elements:
        older = (attrs.get("href") or "") if "before=" in str(attrs) else older
    rest = read(viewer, PATH + older.partition("#")[0])

    assert "Reason 22." in page.text
    assert "Reason 02." not in page.text
    assert "Reason 02." in rest.text
    assert "Reason 03." not in rest.text
    assert "Older policies" not in rest.text
