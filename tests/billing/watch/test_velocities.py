"""Spend velocity: of whole hours from the sums, of less and of tags from the charges."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.actions import alert_messages, post, receive, velocity_rules
from billing.formats.body import split
from billing.models import Alert, UsageRecord, VelocityRule
from teams.models import AuditEvent
from tests.billing.watch.conftest import HOUR, Look, Spend
from tests.builders import body, record
from tests.conftest import NOW, Cast, issue

KIND = Alert.Kind.SPEND_VELOCITY
MINUTE = timedelta(minutes=1)


def make(cast: Cast, amount: str, minutes: int = 60, **more) -> VelocityRule:
    return velocity_rules.create(
        organization=cast.acme,
        amount=Decimal(amount),
        minutes=minutes,
        by="tests",
        now=NOW,
        **more,
    )


@pytest.fixture
def charge(cast: Cast):
    """Records of 4.20 dollars each, so many minutes ago."""
    key, _ = issue(cast.acme)

    def charge(*minutes: int, **changes) -> None:
        records = [
            record(
                occurred_at=(NOW - ago * MINUTE).isoformat(),
                usage={"input_tokens": 1_000_000, "output_tokens": 10_000},
                **changes,
            )
            for ago in minutes
        ]
        raws = split(body(*records), "application/json", 1000)
        receive.receive(key=key, raws=raws, now=NOW)
        for team_id in post.batches_waiting():
            post.count(team_id=team_id, now=NOW)

    return charge


def test_an_hour_is_that_which_runs_or_the_one_before(cast: Cast, spend: Spend, look: Look):
    make(cast, "10", project=cast.answers)
    spend(NOW - HOUR, "9.99")
    spend(NOW, "5", project=cast.triage, team=cast.support)

    assert look(KIND, NOW + 10 * MINUTE) == []

    spend(NOW, "10")
    (alert,) = look(KIND, NOW + 10 * MINUTE)
    assert alert.project == cast.answers
    assert alert_messages.sentence(alert) == (
        "Answers has spent $10.00 within an hour; to be told from $10.00 on."
    )
    assert len(look(KIND, NOW + HOUR + 10 * MINUTE)) == 1
    assert look(KIND, NOW + 2 * HOUR) == []


def test_it_is_one_alert_as_long_as_it_goes_on(cast: Cast, spend: Spend, look: Look):
    make(cast, "10")
    for hour in range(5):
        spend(NOW + hour * HOUR, "20")
        look(KIND, NOW + hour * HOUR + MINUTE)

    assert Alert.objects.count() == 1


def test_less_than_an_hour_is_read_to_the_minute(cast: Cast, charge, look: Look):
    make(cast, "8.4", minutes=15)

    charge(1, 16, 14)

    (alert,) = look(KIND, NOW)
    assert Decimal(alert.details["spent"]) == Decimal("8.4")
    assert look(KIND, NOW + 2 * MINUTE) == []


def test_usage_records_are_read_for_a_tag_alone(cast: Cast, look: Look):
    def is_read() -> bool:
        with CaptureQueriesContext(connection) as queries:
            look(KIND, NOW)
        return any(UsageRecord._meta.db_table in one["sql"] for one in queries)

    make(cast, "8.4", minutes=15)
    assert not is_read()
    make(cast, "8.4", minutes=15, tag_key="agent", tag_value="nightly")
    assert is_read()


def test_a_tag_counts_what_carries_it(cast: Cast, charge, look: Look):
    make(cast, "4", tag_key="agent", tag_value="nightly")
    make(cast, "4.3", tag_key="agent", tag_value="nightly")

    charge(3, tags={"agent": "nightly"})
    charge(2, tags={"agent": "daily"})
    charge(2)

    (alert,) = look(KIND, NOW)
    assert alert_messages.sentence(alert) == (
        "Acme with agent=nightly has spent $4.20 within an hour; to be told from $4.00 on."
    )


def test_a_rule_that_is_ended_says_nothing_more(cast: Cast, charge, look: Look):
    rule = make(cast, "1", minutes=5)
    charge(1)
    assert len(look(KIND, NOW)) == 1

    velocity_rules.end(rule=rule, by="lea", now=NOW)
    velocity_rules.end(rule=rule, by="lea", now=NOW)

    assert look(KIND, NOW) == []
    actions = AuditEvent.objects.filter(action__startswith="velocity_rule")
    assert list(actions.order_by("pk").values_list("action", "actor")) == [
        ("velocity_rule.create", "tests"),
        ("velocity_rule.end", "lea"),
    ]


@pytest.mark.parametrize(
    "terms",
    [
        {"amount": "-1"},
        {"amount": "0"},
        {"amount": "1", "minutes": 4},
        {"amount": "1", "minutes": 1441},
        {"amount": "1", "minutes": 181},
        {"amount": "1", "minutes": 1439},
        {"amount": "1", "minutes": 240, "tag_key": "agent", "tag_value": "nightly"},
        {"amount": "1", "tag_key": "agent"},
        {"amount": "1", "tag_value": "nightly"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(cast: Cast, terms):
    with pytest.raises(ValidationError):
        make(cast, **terms)


@pytest.mark.parametrize(
    "terms",
    [
        {"minutes": 179},
        {"minutes": 180, "tag_key": "agent", "tag_value": "nightly"},
        {"minutes": 240},
        {"minutes": 1440},
    ],
)
def test_a_long_stretch_is_of_whole_hours(cast: Cast, terms):
    assert make(cast, "1", **terms).minutes == terms["minutes"]


def test_a_rule_of_another_organization_is_refused(cast: Cast):
    with pytest.raises(ValidationError, match="of its organization"):
        make(cast, "1", project=cast.secret_project)
