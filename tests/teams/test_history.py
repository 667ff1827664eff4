"""Ownership and reporting zones: changes take effect from a moment on, never before it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from teams.actions import organizations, projects
from teams.models import AuditEvent
from teams.ownership import (
    HELD_SECONDS,
    MOVES_AHEAD,
    RECORDS_AHEAD,
    NotCovered,
    OwnerIndex,
)
from teams.reporting_days import ReportingDays
from tests.builders import body, record
from tests.conftest import NOW, Cast, Service, issue

MOVE = NOW - timedelta(days=1)


@pytest.fixture
def moved(cast: Cast) -> Cast:
    """`answers` went from search to support a day ago."""
    move(cast)
    return cast


def move(cast: Cast) -> None:
    projects.move(
        project=cast.answers,
        team=cast.support,
        effective_from=MOVE,
        by="tests",
        now=MOVE - MOVES_AHEAD,
    )


def test_the_owner_is_the_one_at_the_time_of_the_record(moved: Cast):
    index = OwnerIndex(issue(moved.acme)[0])

    before = index.owner("answers", MOVE - timedelta(microseconds=1))
    after = index.owner("answers", MOVE)

    assert (before.team_id, after.team_id) == (moved.search.pk, moved.support.pk)


def test_a_retry_after_a_move_finds_its_record(cast: Cast):
    service = Service(issue(cast.acme, project=cast.answers)[1])
    one = record(occurred_at=(MOVE - timedelta(hours=1)).isoformat())
    service.post("usage", body(one))
    move(cast)

    assert service.post("usage", body(one)).json()["duplicates"] == 1


def test_a_team_key_posts_for_the_time_its_team_owned_the_project(moved: Cast):
    index = OwnerIndex(issue(moved.acme, team=moved.search)[0])

    assert index.owner("answers", MOVE - timedelta(days=1)).team_id == moved.search.pk
    with pytest.raises(NotCovered):
        index.owner("answers", MOVE)


def test_a_move_comes_after_the_one_before_it(moved: Cast):
    with pytest.raises(ValidationError, match="before it"):
        projects.move(
            project=moved.answers,
            team=moved.search,
            effective_from=MOVE,
            by="x",
            now=MOVE - MOVES_AHEAD,
        )


def test_a_move_lies_beyond_every_record_that_can_have_been_taken(cast: Cast):
    """Else a retry of a record of the next minutes would find another owner."""
    with pytest.raises(ValidationError, match="15 minutes"):
        projects.move(
            project=cast.answers,
            team=cast.support,
            effective_from=NOW + RECORDS_AHEAD,
            by="x",
            now=NOW,
        )


def test_a_project_does_not_leave_its_organization(cast: Cast):
    with pytest.raises(ValidationError, match="cannot leave"):
        projects.move(
            project=cast.answers, team=cast.elsewhere, effective_from=NOW, by="x", now=NOW
        )


def test_days_are_cut_in_the_reporting_zone(cast: Cast):
    days = ReportingDays(cast.acme)  # Europe/Berlin

    assert days.day(datetime(2026, 11, 20, 22, 59, tzinfo=UTC)).isoformat() == "2026-11-20"
    assert days.day(datetime(2026, 11, 20, 23, 0, tzinfo=UTC)).isoformat() == "2026-11-21"
    assert days.day(datetime(2026, 7, 1, 22, 0, tzinfo=UTC)).isoformat() == "2026-07-02"


def test_a_change_of_zone_waits_for_the_next_month(cast: Cast):
    organizations.change_zone(
        organization=cast.acme, time_zone="Asia/Kathmandu", by="tests", now=NOW
    )

    days = ReportingDays(cast.acme)

    assert days.zone(NOW).key == "Europe/Berlin"
    first = datetime(2026, 11, 30, 18, 15, tzinfo=UTC)  # midnight in Kathmandu
    assert days.zone(first - timedelta(seconds=1)).key == "Europe/Berlin"
    assert days.zone(first).key == "Asia/Kathmandu"
    assert days.day(first).isoformat() == "2026-12-01"


def test_the_last_change_of_zone_counts(cast: Cast):
    for zone in ("Asia/Tokyo", "Europe/Paris"):
        organizations.change_zone(
            organization=cast.acme, time_zone=zone, by="tests", now=NOW
        )

    zones = [zone.time_zone for zone in cast.acme.reporting_zones.order_by("pk")]
    assert zones == ["Europe/Berlin", "Europe/Paris"]


def test_a_change_of_zone_waits_until_the_month_has_ended_in_both(cast: Cast):
    """In Berlin it is December already, in Los Angeles not yet."""
    now = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    organizations.change_zone(
        organization=cast.acme, time_zone="America/Los_Angeles", by="tests", now=now
    )

    zone = cast.acme.reporting_zones.get(time_zone="America/Los_Angeles")
    assert zone.effective_from == datetime(2027, 1, 1, 8, tzinfo=UTC)


def test_every_change_is_audited_with_before_and_after(moved: Cast):
    event = AuditEvent.objects.get(action="project.move")

    assert event.before == {"team": "search"}
    assert event.after["team"] == "support"
    assert (event.actor, event.occurred_at) == ("tests", MOVE - MOVES_AHEAD)


def test_a_month_is_half_open(cast: Cast):
    first, following = ReportingDays(cast.acme).month(NOW)

    assert (first.isoformat(), following.isoformat()) == ("2026-11-01", "2026-12-01")


def test_an_index_is_renewed_long_before_a_move_can_concern_a_record():
    """Two minutes and more are left for clocks that differ and for what is on its way."""
    left = MOVES_AHEAD - RECORDS_AHEAD - timedelta(seconds=HELD_SECONDS)
    assert left >= timedelta(minutes=2)
