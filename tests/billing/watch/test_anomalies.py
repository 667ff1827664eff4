"""Unusual spend: of a day, of an hour, told once and in a sentence."""

from datetime import UTC, date, datetime

import pytest

from billing.actions import alert_messages
from billing.models import Alert
from tests.billing.watch.conftest import DAY, HOUR, Look, Spend, midday
from tests.conftest import Cast

FRIDAY = date(2026, 11, 20)
KIND = Alert.Kind.ANOMALY


def weeks(spend: Spend, *costs: str, last: date = FRIDAY, **more) -> None:
    """So much on the same weekdays before, the latest last."""
    for ago, cost in enumerate(reversed(costs), start=1):
        spend(last - 7 * ago * DAY, cost, **more)


def subjects(alerts: list[Alert]) -> list[str]:
    return [one.subject.partition(" ")[0] for one in alerts]


def test_a_day_far_above_its_weekday_is_told_of_project_and_team(spend: Spend, look: Look):
    weeks(spend, "90", "95", "100", "95", "91")
    spend(FRIDAY, "300")
    spend(FRIDAY, "112", model="claude-sonnet-5")

    found = look(KIND, midday(FRIDAY))

    assert subjects(found) == ["project", "team"]
    assert [alert_messages.sentence(one) for one in found] == [
        (
            "Answers spent $412.00 on Friday 20 Nov, usually $95.00 on a Friday; most of "
            "it claude-opus-5-5."
        ),
        (
            "Search spent $412.00 on Friday 20 Nov, usually $95.00 on a Friday; most of it "
            "claude-opus-5-5 in Answers."
        ),
    ]
    assert found[1].details["above"] == "317"


def test_what_is_charged_for_closed_months_is_no_part_of_it(spend: Spend, look: Look):
    weeks(spend, "90", "95", "100", "95", "91")
    spend(FRIDAY, "412")
    spend(FRIDAY, "900", model="claude-sonnet-5", adjustment="900")

    for found in look(KIND, midday(FRIDAY)):
        said = {name: found.details[name] for name in ("spent", "most", "model")}
        assert said == {"spent": "412", "most": "412", "model": "claude-opus-5-5"}


def test_it_is_told_once_and_ends_after_the_next_day(spend: Spend, look: Look):
    weeks(spend, "90", "95", "100", "95", "91")
    spend(FRIDAY, "412")

    look(KIND, midday(FRIDAY))
    assert len(look(KIND, midday(FRIDAY + DAY))) == 2
    assert look(KIND, midday(FRIDAY + 2 * DAY)) == []
    assert Alert.objects.count() == 2


@pytest.mark.parametrize(
    ("before", "today"),
    [
        (["90", "95", "100"], "900"),  # three Fridays say too little
        (["90", "95", "100", "95"], "118"),  # a quarter more is no news
        (["1", "1.1", "0.9", "1"], "5.9"),  # nor is less than five dollars more
        (["20", "180", "60", "140", "100"], "300"),  # where it varies so much
    ],
)
def test_what_is_not_unusual_is_not_told(
    spend: Spend, look: Look, before: list[str], today: str
):
    weeks(spend, *before)
    spend(FRIDAY, today)

    assert look(KIND, midday(FRIDAY)) == []


def test_one_wild_day_before_hides_no_other(spend: Spend, look: Look):
    weeks(spend, "95", "95", "9000", "95", "95")
    spend(FRIDAY, "412")

    assert subjects(look(KIND, midday(FRIDAY))) == ["project", "team"]


def test_a_weekend_is_held_against_weekends(spend: Spend, look: Look):
    weeks(spend, "95", "95", "95", "95")
    weeks(spend, "5", "6", "5", "5", last=FRIDAY + DAY)
    spend(FRIDAY, "95")
    spend(FRIDAY + DAY, "80")

    found = look(KIND, midday(FRIDAY + DAY))

    assert {one.occurrence for one in found} == {"2026-11-21"}


def test_a_level_that_stays_is_told_once(spend: Spend, look: Look):
    for day in range(1, 70):
        spend(FRIDAY - day * DAY, "50")
    for day in range(5):
        spend(FRIDAY + day * DAY, "200")

    told = [
        one.occurrence
        for day in range(5)
        for one in look(KIND, midday(FRIDAY + day * DAY))
        if one.subject.startswith("team")
    ]

    assert set(told) == {"2026-11-20"}


def test_days_are_those_of_the_reporting_zone(cast: Cast, spend: Spend, look: Look):
    weeks(spend, "95", "95", "95", "95")
    spend(FRIDAY, "412")

    # In Berlin it is Sunday already.
    assert look(KIND, datetime(2026, 11, 21, 23, 30, tzinfo=UTC)) == []


def test_others_hear_nothing_of_it(cast: Cast, spend: Spend, look: Look):
    there = {"team": cast.elsewhere, "project": cast.secret_project}
    weeks(spend, "95", "95", "95", "95", **there)
    spend(FRIDAY, "412", **there)

    assert look(KIND, midday(FRIDAY)) == []
    assert {one.organization for one in Alert.objects.all()} == {cast.outsiders}


# --- Hours --------------------------------------------------------------------------

NINE = datetime(2026, 11, 20, 8, tzinfo=UTC)  # in Berlin


def usual_hours(spend: Spend, cost: str = "10") -> None:
    """Of each Friday: an hour of it, and its day."""
    for ago in range(1, 6):
        spend(NINE - 7 * ago * DAY, cost)
        spend(FRIDAY - 7 * ago * DAY, "100")


def test_an_hour_is_told_while_it_lasts(spend: Spend, look: Look):
    usual_hours(spend)
    spend(NINE, "80")
    spend(FRIDAY, "85")

    found = look(KIND, NINE + HOUR / 2)

    assert subjects(found) == ["project", "team"]
    assert alert_messages.sentence(found[0]) == (
        "Answers spent $80.00 in the hour from 09:00 on Friday 20 Nov, usually $10.00 at "
        "that hour of a Friday; most of it claude-opus-5-5."
    )


def test_the_hour_is_that_of_the_clock_there(spend: Spend, look: Look):
    """In October clocks in Berlin were an hour further."""
    for ago in range(4, 9):
        spend(NINE - 7 * ago * DAY - HOUR, "80")
        spend(FRIDAY - 7 * ago * DAY, "100")
    for ago in range(1, 4):
        spend(NINE - 7 * ago * DAY, "80")
        spend(FRIDAY - 7 * ago * DAY, "100")
    spend(NINE, "80")

    assert look(KIND, NINE + HOUR / 2) == []


def test_its_day_does_not_say_it_again(spend: Spend, look: Look):
    usual_hours(spend)
    spend(NINE, "300")
    spend(FRIDAY, "390")

    look(KIND, NINE + HOUR / 2)
    look(KIND, NINE + 12 * HOUR)

    assert set(Alert.objects.values_list("occurrence", flat=True)) == {NINE.isoformat()}


def test_nor_where_the_hour_went_on_after_it_was_told(spend: Spend, look: Look):
    usual_hours(spend)
    spend(NINE, "80")
    spend(FRIDAY, "85")
    look(KIND, NINE + HOUR / 4)
    spend(NINE, "220", model="claude-sonnet-5")
    spend(FRIDAY, "305", model="claude-sonnet-5")

    look(KIND, NINE + HOUR / 2)
    look(KIND, NINE + 12 * HOUR)

    assert set(Alert.objects.values_list("occurrence", flat=True)) == {NINE.isoformat()}


def test_a_day_that_is_unusual_without_it_is_told(spend: Spend, look: Look):
    usual_hours(spend)
    spend(NINE, "80")
    spend(FRIDAY, "500")

    look(KIND, NINE + HOUR / 2)

    occurrences = set(Alert.objects.values_list("occurrence", flat=True))
    assert occurrences == {NINE.isoformat(), "2026-11-20"}


def test_work_that_comes_at_any_hour_is_unusual_in_none(spend: Spend, look: Look):
    """A nightly run that took its hundred dollars at another hour each time."""
    for ago in range(1, 6):
        spend(FRIDAY - 7 * ago * DAY, "100")
        spend(NINE - 7 * ago * DAY + ago * HOUR, "100")
    spend(NINE, "20")
    spend(FRIDAY, "20")

    assert look(KIND, NINE + HOUR / 2) == []
