"""What is odd about caps is said in a sentence; what is in order is not mentioned."""

from decimal import Decimal
from typing import Any

import pytest

from billing.actions import budgets, post
from billing.actions.budgets import Limits, Terms
from billing.models import Budget
from billing.pricing.budget_periods import PeriodKind
from billing.reports import budget_flags
from billing.reports.budget_flags import Flag
from teams import isolation
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, Service, issue

pytestmark = pytest.mark.usefixtures("as_app")


def make(cast: Cast, amount: str, **more: Any) -> Budget:
    return budgets.create(
        organization=cast.acme,
        period=more.pop("period", PeriodKind.MONTH),
        terms=Terms(Decimal(amount), hard=more.pop("hard", False)),
        by="tests",
        now=NOW,
        **more,
    )


def flags(cast: Cast, *, whole: bool = True) -> list[Flag]:
    teams = [cast.search.pk, cast.support.pk] if whole else [cast.search.pk]
    with isolation.visible_teams(teams):
        return budget_flags.flags(
            organization=cast.acme, team_ids=teams, whole=whole, now=NOW
        )


@pytest.fixture
def spend(cast: Cast):
    service = Service(issue(cast.acme)[1])

    def post_and_count(**changes: Any) -> None:
        service.post("usage", body(record(**changes)))
        for team in (cast.search, cast.support):
            post.count(team_id=team.pk, now=NOW)

    return post_and_count


def test_where_nothing_is_wrong_nothing_is_said(cast: Cast, spend):
    make(cast, "10")
    make(cast, "6", team=cast.search, hard=True)
    make(cast, "4", team=cast.support)
    spend()
    spend(project="triage")

    assert flags(cast) == []


def test_team_caps_above_that_of_the_organization(cast: Cast):
    whole = make(cast, "10")
    make(cast, "6.50", team=cast.search)
    make(cast, "99", team=cast.search)  # the lower one holds
    make(cast, "4", team=cast.support)
    make(cast, "99", team=cast.support, period=PeriodKind.YEAR)
    make(cast, "99", project=cast.answers)

    (flag,) = flags(cast)

    assert (flag.kind, flag.budget, flag.amount) == (
        "over_allocated",
        whole,
        Decimal("10.50"),
    )
    assert flag.sentence == (
        "Team caps (month) add up to $10.50, more than the $10.00 of Acme."
    )
    assert flags(cast, whole=False) == []


def test_limited_caps_are_held_against_one_with_the_same_limits(cast: Cast):
    batch = {"limits": Limits(processing=("batch",))}
    make(cast, "10")
    make(cast, "1", **batch)
    make(cast, "2", team=cast.search, **batch)

    (flag,) = flags(cast)

    assert "$1.00 of Acme, batch only." in flag.sentence


@pytest.mark.parametrize(
    ("made", "flagged"),
    [
        ({}, True),
        ({"team": "search"}, False),
        ({"project": "answers"}, False),
        ({"team": "support"}, True),
        ({"team": "search", "limits": Limits(processing=("batch",))}, True),
    ],
)
def test_projects_that_spend_without_a_cap(cast: Cast, spend, made, flagged):
    if made:
        bound = {name: getattr(cast, made[name]) for name in made if name != "limits"}
        make(cast, "10", **bound, limits=made.get("limits", Limits()))
    spend()

    found = [flag for flag in flags(cast) if flag.kind == "no_cap"]

    assert bool(found) == flagged
    if found:
        (flag,) = found
        assert (flag.project, flag.team) == (cast.answers, cast.search)
        assert flag.amount == Decimal(COST)
        assert flag.sentence == (
            "Answers of Search spent <$0.01 in 30 days, and neither has a cap."
        )


def test_spend_of_long_ago_asks_for_no_cap(cast: Cast, spend):
    spend(occurred_at="2026-10-20T10:00:00Z")

    assert flags(cast) == []


@pytest.mark.parametrize(("cap", "flagged"), [("0.004", True), ("1000", False)])
def test_a_hard_cap_that_records_without_a_price_may_have_passed(
    cast: Cast, spend, cap: str, flagged: bool
):
    budget = make(cast, cap, team=cast.search, hard=True)
    make(cast, cap, team=cast.search)  # soft: it refuses nothing
    spend(model="claude-unheard-of")

    found = flags(cast)

    assert [(flag.kind, flag.budget) for flag in found] == (
        [("unpriced_exposed", budget)] if flagged else []
    )
    if found:
        assert found[0].sentence.startswith("The hard cap of Search has ")
        assert "1 record without a price (at most $" in found[0].sentence


def test_the_api_says_them_to_keys_that_cover_them(cast: Cast, spend):
    make(cast, "1")
    make(cast, "2", team=cast.search)
    spend(project="triage")
    whole, search, answers = (
        Service(issue(cast.acme, **bound)[1]).get("reports/budget-flags").json()["data"]
        for bound in ({}, {"team": cast.search}, {"project": cast.answers})
    )

    assert [flag["kind"] for flag in whole] == ["over_allocated", "no_cap"]
    assert (whole[0]["amount"], whole[1]["project"]) == ("2", "triage")
    assert search == answers == []
