"""Taking records back in the admin: by who has the right, with a reason, audited."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from billing.actions import post, receive, voids
from billing.formats.body import split
from billing.models import DailySpend, Posting, UsageRecordRow, Void
from teams.models import AuditEvent, Team
from tests.builders import body, record
from tests.conftest import NOW, Cast, issue

CHANGELIST = "admin:billing_usagerecordrow_changelist"


@pytest.fixture
def counted(cast: Cast) -> None:
    """Two records of the team search, and one of support."""
    key, _ = issue(cast.acme)
    records = record(id="msg_1"), record(id="msg_2"), record(id="msg_3", project="triage")
    raws = split(body(*records), "application/json", 1000)
    receive.receive(key=key, raws=raws, now=NOW)
    count(cast)


def count(cast: Cast, now: Any = NOW) -> None:
    for team in (cast.search, cast.support):
        while post.count(team_id=team.pk, now=now):
            pass


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def lead(db: None) -> Client:
    return staff("view_usagerecordrow", "void_usagerecord", "view_voidrow")


def choose(client: Client, *record_ids: str, reason: str = "posted twice") -> str:
    """With the rights of the web process."""
    rows = UsageRecordRow.objects.filter(record_id__in=record_ids)
    chosen = [str(one.pk) for one in rows]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE purser_app")
        page = client.post(
            reverse(CHANGELIST),
            {"action": "void", "_selected_action": chosen, "reason": reason},
            follow=True,
        ).content.decode()
        cursor.execute("RESET ROLE")
    return page


def test_who_may_takes_records_back(cast: Cast, counted: None, lead: Client):
    assert "Took 2 back." in choose(lead, "msg_1", "msg_2")

    count(cast)

    assert [one.voided_by for one in Void.objects.all()] == ["staff", "staff"]
    event = AuditEvent.objects.get(action="usage.void")
    assert (event.actor, event.reason) == ("staff", "posted twice")
    assert event.after == {"void": ["msg_1", "msg_2"]}
    requests = dict(DailySpend.objects.values_list("team__slug", "requests"))
    assert requests == {"search": 0, "support": 1}
    assert "taken back before" in choose(lead, "msg_1")


def test_who_may_only_look_is_not_offered_it(counted: None):
    looking = staff("view_usagerecordrow")

    page = looking.get(reverse(CHANGELIST)).content.decode()
    choose(looking, "msg_1")

    assert "Take selected records back" not in page
    assert not Void.objects.exists()


@pytest.mark.parametrize("reason", ["", "  ", "x" * (voids.LONGEST_REASON + 1)])
def test_it_needs_a_reason(counted: None, lead: Client, reason: str):
    page = choose(lead, "msg_1", reason=reason)

    assert "Say why" in page or "characters at most" in page
    assert not Void.objects.exists()


def test_records_of_two_teams_are_not_one_transaction(counted: None, lead: Client):
    assert "one team at a time" in choose(lead, "msg_1", "msg_3")
    assert not Void.objects.exists()


def test_too_many_at_a_time_are_refused(counted: None, lead: Client, monkeypatch):
    monkeypatch.setattr(voids, "VOIDED_AT_ONCE", 1)

    assert "Choose 1 records at a time" in choose(lead, "msg_1", "msg_2")
    assert not Posting.objects.exists()


def test_a_record_shows_who_took_it_back_and_on_which_days_it_counts(
    cast: Cast, counted: None, lead: Client
):
    Team.objects.update(created_at="2026-01-15T00:00:00Z")
    choose(lead, "msg_1")
    count(cast, now=NOW.replace(month=12, day=20))
    row = UsageRecordRow.objects.get(record_id="msg_1")

    page = lead.get(
        reverse("admin:billing_usagerecordrow_change", args=[row.pk])
    ).content.decode()

    assert "by staff: posted twice" in page
    assert "2026-11-20:" in page
    assert "2026-12-20, adjusting a closed month: taken back in revision 1" in page


def test_voids_are_listed(counted: None, lead: Client):
    choose(lead, "msg_1")

    page = lead.get(reverse("admin:billing_voidrow_changelist")).content.decode()

    assert "msg_1" in page
    assert "posted twice" in page


def test_a_correction_shows_what_it_corrects(cast: Cast, counted: None, lead: Client):
    key, _ = issue(cast.acme)
    posted = body(record(id="msg_4", corrects="msg_1"))
    receive.receive(key=key, raws=split(posted, "application/json", 1), now=NOW)
    shown = {
        record_id: lead.get(
            reverse("admin:billing_usagerecordrow_change", args=[row.pk])
        ).content.decode()
        for record_id in ("msg_1", "msg_4")
        for row in UsageRecordRow.objects.filter(record_id=record_id)
    }

    assert "Corrected by msg_4" in shown["msg_1"]
    assert '<div class="readonly">msg_1</div>' in shown["msg_4"]
