"""What verifications find: kept, listed, on the overview and at /readyz."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.actions import verifications
from billing.models import Verification
from teams.actions import memberships
from teams.models import Role
from tests.conftest import NOW, Cast

pytestmark = pytest.mark.django_db

SECRET = "team_id=7, cost=12.345"


def check(name: str = "daily rollups = Σ charges", *, ok: bool = True) -> dict[str, Any]:
    found = "3 agree" if ok else "1 differ"
    return {"name": name, "ok": ok, "found": found, "examples": [] if ok else [SECRET]}


def keep(*checks: dict[str, Any], at: datetime = NOW, problem: str = "") -> Verification:
    return verifications.keep(
        started_at=at,
        finished_at=at + timedelta(seconds=2),
        checks=checks,
        problem=problem,
    )


@pytest.fixture
def overview(cast: Cast):
    user = User.objects.create_user("frank")
    memberships.grant(
        user=user, organization=cast.acme, role=Role.FINANCE, by="tests", now=NOW
    )
    client = Client()
    client.force_login(user)
    return lambda: " ".join(client.get("/").content.decode().split())


def test_all_have_to_agree_and_it_has_to_end():
    assert keep(check(), check("b")).ok
    disagrees = keep(check(), check("b", ok=False))
    assert (disagrees.ok, disagrees.disagreeing) == (False, ["b"])
    assert not keep(problem="canceling statement due to statement timeout").ok
    with transaction.atomic(), pytest.raises(IntegrityError):
        Verification.objects.create(
            started_at=NOW, finished_at=NOW, ok=True, problem="did not end"
        )


def test_the_oldest_go(monkeypatch):
    monkeypatch.setattr(verifications, "KEPT", 2)
    kept = [keep(check()).pk for _ in range(4)]

    left = Verification.objects.order_by("pk").values_list("pk", flat=True)

    assert list(left) == kept[2:]


# --- The overview -------------------------------------------------------------------


def test_the_overview_says_when_all_agreed(overview):
    assert "ledger verified" not in overview().lower()
    at = timezone.now() - timedelta(minutes=30)
    keep(check(ok=False), at=at)
    keep(check(), at=at)

    page = overview()

    berlin = f"{at.astimezone(ZoneInfo('Europe/Berlin')):%H:%M}"
    assert f"ledger verified {berlin}, all checks agree" in page
    assert "does not add up" not in page


def test_the_overview_says_in_red_what_disagrees_and_no_figure(overview):
    keep(check("a"), check("b = Σ c", ok=False), at=timezone.now())

    page = overview()

    said = page.partition('<p class="notice over" role="alert">')[2].partition("</p>")[0]
    assert "does not add up: b = Σ c." in said
    assert "all checks agree" not in page
    assert SECRET not in page


def test_the_overview_says_that_nobody_verifies(overview):
    keep(check(), at=timezone.now() - timedelta(hours=3))

    assert "and not since then, all checks agree" in overview()


def test_the_overview_says_that_a_verification_did_not_end(overview):
    keep(problem="canceling statement due to statement timeout", at=timezone.now())

    assert "did not come to its end" in overview()


# --- The probe ----------------------------------------------------------------------


def ledger(client: Client) -> dict[str, Any] | None:
    return client.get("/readyz").json()["ledger"]


def test_the_probe_carries_the_last_one_and_no_figure(client: Client):
    assert ledger(client) is None
    at = timezone.now().replace(microsecond=0)
    keep(check("a", ok=False), check("b"), at=at)

    assert ledger(client) == {
        "verified_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "ok": False,
        "disagreeing": ["a"],
        "overdue": False,
    }
    keep(check("a"), at=at - timedelta(hours=3))
    assert ledger(client)["overdue"] is True


def test_a_ledger_that_does_not_add_up_is_no_reason_to_be_unready(client: Client):
    before = client.get("/readyz").json()["problems"]
    keep(check(ok=False), at=timezone.now())

    assert client.get("/readyz").json()["problems"] == before


# --- The admin ----------------------------------------------------------------------


def test_the_admin_lists_them_with_examples(client: Client):
    client.force_login(User.objects.create_superuser("root"))
    kept = keep(check("a = b", ok=False), check("c"))

    listed = client.get(reverse("admin:billing_verification_changelist")).content.decode()
    shown = client.get(
        reverse("admin:billing_verification_change", args=[kept.pk])
    ).content.decode()

    assert "a = b" in listed
    assert "2.0 s" in listed
    assert SECRET in shown
    assert "3 agree" in shown


def test_the_web_process_writes_none(as_app: None):
    with transaction.atomic(), pytest.raises(ProgrammingError, match="permission denied"):
        keep(check())
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM billing_verification")
        assert cursor.fetchone() == (0,)
