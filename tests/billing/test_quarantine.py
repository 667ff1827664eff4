"""Quarantine: what is set aside is posted again, once, by who may, and counted once."""

from io import StringIO

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from billing.actions import parked, post, receive
from billing.formats.body import split
from billing.models import (
    Charge,
    DailySpend,
    Posting,
    QuarantinedRecord,
    QuarantinedRecordRow,
    UsageRecord,
)
from billing.reports import verification
from teams.actions import teams
from teams.models import AuditEvent
from tests.builders import body, record
from tests.conftest import NOW, Cast, issue

CHANGELIST = "admin:billing_quarantinedrecordrow_changelist"


@pytest.fixture
def poison(cast: Cast):
    """Received, and set aside when it is counted: the database refuses its charge."""
    key, _ = issue(cast.acme)

    def receive_and_break(*records: dict) -> None:
        raws = split(body(*records), "application/json", 1000)
        receive.receive(key=key, raws=raws, now=NOW)
        names = [one["id"] for one in records]
        refuse(UsageRecord.objects.filter(record_id__in=names))
        for team_id in post.batches_waiting():
            post.count(team_id=team_id, now=NOW)

    return receive_and_break


def refuse(records, reason: str = "poison") -> None:
    uids = ", ".join(f"'{one.uid}'" for one in records)
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE billing_charge ADD CONSTRAINT {reason} "
            f"CHECK (record_uid NOT IN ({uids}))"
        )


def mend(reason: str = "poison") -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE billing_charge DROP CONSTRAINT {reason}")


def redrive(cast: Cast, **chosen) -> int:
    return parked.redrive(team=cast.search, by="root", now=NOW, **chosen)


def count(cast: Cast) -> int:
    return post.count(team_id=cast.search.pk, now=NOW)


def faults() -> list:
    return [check for check in verification.checks() if not check.ok]


def test_a_mended_record_is_counted_exactly_once(cast: Cast, poison):
    poison(record(), record())
    assert QuarantinedRecord.objects.count() == 2
    mend()

    assert redrive(cast) == 2
    assert not QuarantinedRecord.objects.exists()
    assert faults() == []  # they are pending now
    count(cast)

    day = DailySpend.objects.get()
    assert (day.requests, str(day.cost.normalize())) == (2, "0.0084")
    assert Charge.objects.count() == 2
    assert redrive(cast) == 0
    assert count(cast) == 0
    assert faults() == []


def test_one_that_fails_again_comes_back_with_its_new_reason(cast: Cast, poison):
    poison(record(id="msg_1"))
    mend()
    refuse(UsageRecord.objects.all(), "another_fault")

    redrive(cast)
    count(cast)

    quarantined = QuarantinedRecord.objects.get()
    assert "another_fault" in quarantined.detail
    assert not Charge.objects.exists()
    assert not Posting.objects.exists()
    assert faults() == []


def test_only_what_was_chosen_is_posted_again(cast: Cast, poison):
    poison(record(id="msg_1"), record(id="msg_2"), record(id="msg_3", project="triage"))
    mend()
    chosen = QuarantinedRecord.objects.get(record_id="msg_2").record_uid

    assert redrive(cast, uids=[chosen]) == 1
    assert redrive(cast, until=NOW.replace(year=2025)) == 0

    left = QuarantinedRecord.objects.values_list("record_id", flat=True)
    assert set(left) == {"msg_1", "msg_3"}


def test_it_is_audited_with_what_was_wrong(cast: Cast, poison):
    poison(record(id="msg_1"))

    redrive(cast)

    event = AuditEvent.objects.get(action="quarantine.redrive")
    assert (event.actor, event.subject, event.organization) == (
        *("root", "team search"),
        "acme",
    )
    [(detail, ids)] = event.before["quarantined"].items()
    assert "poison" in detail
    assert ids == ["msg_1"]
    assert event.after == {"posted": 1}


# --- In the admin -------------------------------------------------------------------


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def choose(client: Client, records) -> str:
    """With the rights of the web process."""
    chosen = [str(one.pk) for one in records]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE purser_app")
        page = client.post(
            reverse(CHANGELIST),
            {"action": "redrive", "_selected_action": chosen},
            follow=True,
        ).content.decode()
        cursor.execute("RESET ROLE")
    return page


def test_who_may_posts_them_again_in_the_admin(cast: Cast, poison):
    poison(record(id="msg_1"), record(id="msg_2"))
    mend()
    client = staff("view_quarantinedrecordrow", "redrive_quarantinedrecord")

    page = choose(client, QuarantinedRecordRow.objects.filter(record_id="msg_1"))

    assert "Posted 1 again." in page
    assert QuarantinedRecord.objects.get().record_id == "msg_2"
    count(cast)
    assert DailySpend.objects.get().requests == 1
    assert AuditEvent.objects.get(action="quarantine.redrive").actor == "staff"


def test_who_may_only_look_is_not_offered_it(cast: Cast, poison):
    poison(record())
    client = staff("view_quarantinedrecordrow")

    assert (
        "Post selected records again"
        not in client.get(reverse(CHANGELIST)).content.decode()
    )
    choose(client, QuarantinedRecordRow.objects.all())

    assert QuarantinedRecord.objects.count() == 1
    assert not Posting.objects.exists()


def test_records_of_two_teams_are_not_one_transaction(cast: Cast, poison):
    poison(record(), record(project="triage"))
    client = staff("view_quarantinedrecordrow", "redrive_quarantinedrecord")

    assert "one team at a time" in choose(client, QuarantinedRecordRow.objects.all())
    assert QuarantinedRecord.objects.count() == 2


def test_too_many_at_a_time_are_refused(cast: Cast, poison, monkeypatch):
    monkeypatch.setattr(parked, "REDRIVEN_AT_ONCE", 1)
    poison(record(), record())
    client = staff("view_quarantinedrecordrow", "redrive_quarantinedrecord")

    assert "Choose 1 records at a time" in choose(
        client, QuarantinedRecordRow.objects.all()
    )
    assert not Posting.objects.exists()


# --- The command --------------------------------------------------------------------


def say(*arguments: str) -> str:
    out = StringIO()
    call_command("redrive_quarantine", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_posts_those_of_a_team_or_of_all(cast: Cast, poison, monkeypatch):
    monkeypatch.setattr(parked, "REDRIVEN_AT_ONCE", 2)
    poison(*(record() for _ in range(5)), record(project="triage"))
    mend()

    assert "acme search: 5" in say("--team", "search")
    assert QuarantinedRecord.objects.get().team_id == cast.support.pk
    assert "acme support: 1" in say()
    assert not QuarantinedRecord.objects.exists()
    for team_id in (cast.search.pk, cast.support.pk):
        post.count(team_id=team_id, now=NOW)
    assert Charge.objects.count() == 6


def test_the_command_takes_no_team_for_another(cast: Cast):
    teams.create(
        organization=cast.outsiders, name="Search", slug="search", by="tests", now=NOW
    )

    with pytest.raises(CommandError, match="say --organization"):
        say("--team", "search")
    with pytest.raises(CommandError, match="no such team"):
        say("--team", "nobody")
    assert "Workers count" in say("--team", "search", "--organization", "other")
