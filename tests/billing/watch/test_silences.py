"""Gone silent: told when usage was to be expected, and not when it ended gently."""

from datetime import UTC, datetime

import pytest

from billing.actions import alert_messages
from billing.models import Alert
from tests.billing.watch.conftest import DAY, HOUR, Look, Spend
from tests.conftest import Cast

KIND = Alert.Kind.GONE_SILENT
# A Friday, 18:00 in Berlin; the office is busy from nine to six, Monday to Friday.
EVENING = datetime(2026, 11, 20, 17, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)  # nine there


@pytest.fixture
def office(spend: Spend) -> None:
    for day in range(35):
        evening = EVENING - day * DAY
        if evening.weekday() < 5:
            for hour in range(1, 10):
                spend(evening - hour * HOUR, "1")


def test_a_weekend_is_no_silence_of_an_office(office: None, look: Look):
    for hour in range(0, 63, 7):
        assert look(KIND, EVENING + hour * HOUR) == []


def test_a_morning_without_a_word_is_one(cast: Cast, office: None, look: Look):
    assert look(KIND, MONDAY + 5 * HOUR) == []

    (alert,) = look(KIND, MONDAY + 6 * HOUR)

    assert (alert.project, alert.team) == (cast.answers, None)
    assert alert_messages.sentence(alert) == (
        "Nothing was heard of Answers since Friday 20 Nov, 18:00, at hours at which it "
        "usually is."
    )


def test_it_ends_when_records_come(office: None, spend: Spend, look: Look):
    look(KIND, MONDAY + 8 * HOUR)
    spend(MONDAY + 8 * HOUR, "1")

    assert look(KIND, MONDAY + 9 * HOUR) == []
    assert Alert.objects.get().state == "resolved"


def test_it_is_told_once_a_silence(office: None, look: Look):
    for hour in range(8, 60):
        look(KIND, MONDAY + hour * HOUR)

    assert Alert.objects.count() == 1


def test_what_runs_day_and_night_is_missed_after_six_hours(spend: Spend, look: Look):
    for hour in range(1, 24 * 30):
        spend(EVENING - hour * HOUR, "1")

    assert look(KIND, EVENING + 5 * HOUR) == []
    assert len(look(KIND, EVENING + 6 * HOUR)) == 1


def test_what_ends_gently_is_not_missed(spend: Spend, look: Look):
    for week, every in enumerate((6, 2, 1, 1, 1)):  # the last week first
        for hour in range(1, 168, every):
            spend(EVENING - (168 * week + hour) * HOUR, "1")

    assert look(KIND, EVENING + 3 * DAY) == []


def test_what_has_no_habit_is_not_missed(spend: Spend, look: Look):
    for hour in range(1, 40):
        spend(EVENING - hour * HOUR, "1")

    assert look(KIND, EVENING + 3 * DAY) == []


def test_nobody_waits_for_longer_than_a_month(office: None, look: Look):
    look(KIND, MONDAY + 8 * HOUR)

    assert look(KIND, EVENING + 31 * DAY) == []
