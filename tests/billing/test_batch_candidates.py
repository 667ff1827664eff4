"""What could be processed in batches, and what that saves: half of what it cost."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing.actions import routing
from billing.models.routing import Tag
from billing.reports import batch_candidates
from billing.reports.batch_candidates import Candidate, Reason
from teams import isolation
from teams.actions import projects
from teams.models import Project
from tests.billing.savings import NOVEMBER, call, counted
from tests.conftest import NOW, Cast

pytestmark = pytest.mark.usefixtures("as_app")

DAY = 24 * 60


def candidates(cast: Cast) -> list[Candidate]:
    with isolation.visible_teams([cast.search.pk]):
        return batch_candidates.of(team=cast.search, **NOVEMBER, now=NOW).rows


def each_day(days: int, minutes: int = 0, **more: Any) -> list[dict[str, Any]]:
    """At 10 in the morning in Berlin: a thousand tokens, for 0.004."""
    return [call(minutes - day * DAY, input_tokens=1_000, **more) for day in range(days)]


def test_what_comes_in_the_same_hour_every_day_is_named(cast: Cast):
    counted(cast, each_day(6))

    (row,) = candidates(cast)

    assert (row.reason, row.project, row.requests) == (Reason.HOURS, cast.answers, 6)
    assert (row.spent, row.saving) == (Decimal("0.024"), Decimal("0.012"))
    assert row.why == "What is spent here is spent mostly 10:00–11:00, on 6 days or more."


def test_a_tag_is_named_where_the_rest_comes_all_day(cast: Cast):
    rest = [call(-30 * place, input_tokens=1_000) for place in range(280)]
    counted(
        cast,
        [
            *each_day(
                6,
                tags={"job": "nightly", "user": "7"},
            ),
            *rest,
        ],
    )

    rows = candidates(cast)

    assert {(row.reason, row.tag) for row in rows} == {
        (Reason.TAG, "job=nightly"),
        (Reason.TAG, "user=7"),
    }
    assert {row.saving for row in rows} == {Decimal("0.012")}
    assert rows[0].why.startswith("What is tagged job=nightly is spent mostly 10:00–11:00")


def test_what_the_policy_names_is_a_candidate_however_rare(cast: Cast):
    routing.set_policy(
        team=cast.search,
        batch_only_tags=[Tag("job", "nightly")],
        by="frank",
        now=datetime(2026, 11, 1, 12, tzinfo=UTC),
    )
    counted(cast, each_day(1, tags={"job": "nightly"}))

    (row,) = candidates(cast)

    assert (row.reason, row.tag) == (Reason.POLICY, "job=nightly")
    assert row.saving == Decimal("0.002")
    assert row.why == "The routing policy says that job=nightly waits."


@pytest.mark.parametrize(
    "usage", [{"service_tier": "batch"}, {"speed": "fast"}], ids=["batch", "fast"]
)
def test_what_is_in_batches_or_in_a_hurry_is_no_candidate(
    cast: Cast, usage: dict[str, str]
):
    counted(cast, each_day(6, tags={"job": "nightly"}, **usage))

    assert candidates(cast) == []


def test_what_is_used_all_day_is_no_candidate(cast: Cast):
    counted(cast, [call(-30 * place, input_tokens=1_000) for place in range(280)])

    assert candidates(cast) == []


def of_small(cast: Cast) -> batch_candidates.BatchCandidates:
    small = Project.objects.get(slug="small")
    with isolation.visible_teams([cast.search.pk]):
        return batch_candidates.of(team=cast.search, project=small, **NOVEMBER, now=NOW)


@pytest.fixture
def small(cast: Cast) -> None:
    """Beside much else of the team, a small project with one tag and something all day."""
    projects.create(team=cast.search, name="Small", slug="small", by="tests", now=NOW)
    its = {"project": "small"}
    nightly = [
        call(-day * DAY, input_tokens=500, id=f"job_{day}", tags={"job": "nightly"}, **its)
        for day in range(6)
    ]
    rest = [call(-30 * place, input_tokens=1_000, **its) for place in range(280)]
    counted(cast, [*nightly, *rest])


@pytest.mark.usefixtures("small")
def test_tags_of_a_project_are_looked_at_before_those_of_the_team_are_cut(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
):
    counted(cast, [*each_day(6, tags={"job": "a"}), *each_day(6, 1, tags={"job": "a"})])
    monkeypatch.setattr(batch_candidates, "LISTED", 1)

    found = of_small(cast)

    assert [row.tag for row in found.rows] == ["job=nightly"]
    assert found.left_off == []


@pytest.mark.usefixtures("small")
def test_hours_of_tags_of_other_projects_leave_off_none(cast: Cast):
    tagged = [{f"key{place}": str(group) for place in range(16)} for group in range(32)]
    counted(
        cast,
        [
            one
            for number, tags in enumerate(tagged)
            for one in (*each_day(5, number, tags=tags), *each_day(5, number, tags=tags))
        ],
    )

    found = of_small(cast)

    assert [row.tag for row in found.rows] == ["job=nightly"]
    assert found.left_off == []
    with isolation.visible_teams([cast.search.pk]):
        of_team = batch_candidates.of(team=cast.search, **NOVEMBER, now=NOW)
    assert len(of_team.rows) == batch_candidates.LISTED
    assert of_team.left_off[-1] == (
        "Of the hours that tags come in the 500 busiest were looked at."
    )
    assert of_team.left_off[-2] == (
        "Of tags that come in the same hours the 20 with most requests were looked at, 480 "
        "more not."
    )


def test_what_is_not_listed_is_said(cast: Cast, monkeypatch: pytest.MonkeyPatch):
    counted(cast, each_day(6))
    routing.set_policy(
        team=cast.search,
        batch_only_tags=[Tag("job", "nightly")],
        by="frank",
        now=datetime(2026, 11, 1, 12, tzinfo=UTC),
    )
    counted(cast, each_day(1, 1, tags={"job": "nightly"}))
    monkeypatch.setattr(batch_candidates, "LISTED", 1)

    with isolation.visible_teams([cast.search.pk]):
        found = batch_candidates.of(team=cast.search, **NOVEMBER, now=NOW)

    assert [row.reason for row in found.rows] == [Reason.HOURS]
    assert found.left_off == [
        "Of what was found the 1 that would save most are listed, 1 more not."
    ]


def test_one_of_a_project_is_named_beside_many_of_others(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
):
    small = projects.create(
        team=cast.search, name="Small", slug="small", by="tests", now=NOW
    )
    counted(
        cast,
        [
            *each_day(6),
            *[
                call(-day * DAY, input_tokens=500, project="small", id=f"small_{day}")
                for day in range(6)
            ],
        ],
    )
    monkeypatch.setattr(batch_candidates, "LISTED", 1)

    with isolation.visible_teams([cast.search.pk]):
        (row,) = batch_candidates.of(
            team=cast.search, project=small, **NOVEMBER, now=NOW
        ).rows

    assert (row.project, row.saving) == (small, Decimal("0.006"))
