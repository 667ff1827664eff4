"""Re-rates and unpriced models in the admin: asked, confirmed, done."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from billing.actions import parked, rerates
from billing.models import (
    Alias,
    Charge,
    LanguageModel,
    Rerate,
    UnpricedRecord,
)
from teams.models import AuditEvent
from tests.billing.test_rerates import count_all, publish
from tests.builders import body, record
from tests.conftest import NOW, Cast, Service, issue

UNKNOWN = "claude-opus-99"


@pytest.fixture
def admin(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def counted(cast: Cast) -> Service:
    """Has posted a record with a price, and two without."""
    service = Service(issue(cast.acme)[1])
    service.post("usage", body(record(), record(model=UNKNOWN), record(model=UNKNOWN)))
    count_all()
    return service


def plan(admin: Client, cast: Cast, **changes: object) -> None:
    admin.post(
        reverse("admin:billing_rerate_add"),
        {
            "organization": cast.acme.pk,
            "since": "2026-11-01",
            "until": "2026-12-01",
            "reason": "list price",
        }
        | changes,
    )


def press(admin: Client, rerate: Rerate, step: str) -> str:
    """What is asked first, and then done."""
    url = reverse(f"admin:billing_rerate_{step}", args=[rerate.pk])
    asked = admin.get(url).content.decode()
    admin.post(url)
    return asked


def test_a_dry_run_is_shown_started_and_reversed(admin: Client, cast: Cast, counted):
    publish()
    plan(admin, cast)
    rerate = Rerate.objects.get()
    page = reverse("admin:billing_rerate_change", args=[rerate.pk])
    assert (rerate.state, rerate.created_by) == ("ready", "root")
    assert "dry run" in admin.get(page).content.decode()

    assert 'title="0.0042' in press(admin, rerate, "start")
    rerates.advance(rerate=rerate, clock=lambda: NOW)
    assert "as executed" in admin.get(page).content.decode()
    press(admin, rerate, "reverse")

    rerate.refresh_from_db()
    reversal = Rerate.objects.get(reverses=rerate)
    assert (rerate.state, reversal.state) == ("done", "running")
    assert (rerate.started_by, reversal.started_by) == ("root", "root")


def test_looking_at_the_question_starts_nothing(admin: Client, cast: Cast, counted):
    plan(admin, cast)
    rerate = Rerate.objects.get()

    admin.get(reverse("admin:billing_rerate_start", args=[rerate.pk]))

    rerate.refresh_from_db()
    assert rerate.state == "ready"


def test_it_is_cancelled(admin: Client, cast: Cast, counted):
    plan(admin, cast)
    rerate = Rerate.objects.get()

    press(admin, rerate, "cancel")

    rerate.refresh_from_db()
    assert rerate.state == "cancelled"


@pytest.mark.parametrize("wrong", [{"until": "2026-10-01"}, {"reason": " "}])
def test_what_cannot_be_planned_is_said(admin: Client, cast: Cast, wrong: dict):
    plan(admin, cast, **wrong)

    assert not Rerate.objects.exists()


def test_only_who_may_add_one_may_start_it(admin: Client, cast: Cast, counted):
    plan(admin, cast)
    rerate = Rerate.objects.get()
    reader = Client()
    reader.force_login(User.objects.create_user("reader", is_staff=True))

    reply = reader.post(reverse("admin:billing_rerate_start", args=[rerate.pk]))

    rerate.refresh_from_db()
    assert (reply.status_code, rerate.state) == (403, "ready")


def test_a_record_shows_what_was_taken_back(admin: Client, cast: Cast, counted):
    publish()
    plan(admin, cast)
    press(admin, Rerate.objects.get(), "start")
    rerates.advance(rerate=Rerate.objects.get(), clock=lambda: NOW)
    uid = Charge.objects.filter(revision=1).first().record_uid

    shown = admin.get(reverse("admin:billing_usagerecordrow_change", args=[uid]))

    assert "taken back in revision 1" in shown.content.decode()
    assert "charged anew in revision 1" in shown.content.decode()


# --- Models without a price ---------------------------------------------------------


def test_models_without_a_price_are_listed_with_what_they_cost_at_most(admin, counted):
    shown = admin.get(reverse("admin:billing_unpriced_models")).content.decode()

    assert UNKNOWN in shown
    assert "2 records, at most" in shown
    assert "unknown_model" in shown
    assert "search" in shown


def test_a_name_is_mapped_to_a_model_and_its_records_are_priced(admin, cast, counted):
    model = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")

    admin.post(
        reverse("admin:billing_unpriced_map"),
        {"provider": "anthropic", "name": UNKNOWN, "model": model.pk},
    )
    parked.retry(team_id=cast.search.pk, now=NOW)
    count_all()

    assert Alias.objects.get(name=UNKNOWN).model == model
    assert AuditEvent.objects.filter(action="alias.add", actor="root").exists()
    assert not UnpricedRecord.objects.exists()


def test_a_name_of_another_provider_is_mapped_as_its_own(admin, cast, counted):
    model = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")

    admin.post(
        reverse("admin:billing_unpriced_map"),
        {"provider": "reseller", "name": "opus", "model": model.pk},
    )

    assert Alias.objects.get(name="opus").provider == "reseller"


def test_a_name_is_added_as_a_model_and_its_rate_drafted(admin, cast, counted):
    reply = admin.post(
        reverse("admin:billing_unpriced_add"),
        {
            "provider": "anthropic",
            "name": UNKNOWN,
            "display_name": "Opus 99",
            "family": "Opus",
        },
    )

    assert reply.url.startswith(reverse("admin:billing_publication_add"))
    assert admin.get(reply.url).status_code == 200
    assert AuditEvent.objects.filter(action="model.add", actor="root").exists()
    publish(UNKNOWN)
    parked.retry(team_id=cast.search.pk, now=NOW)
    count_all()
    assert not UnpricedRecord.objects.exists()


def test_a_name_that_is_known_is_not_added_twice(admin: Client, cast: Cast, counted):
    model = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    posted = {"provider": "anthropic", "name": UNKNOWN, "model": model.pk}
    admin.post(reverse("admin:billing_unpriced_map"), posted)

    reply = admin.post(reverse("admin:billing_unpriced_map"), posted, follow=True)

    assert "already exists" in reply.content.decode()
    assert Alias.objects.filter(name=UNKNOWN).count() == 1


def test_only_who_may_add_aliases_decides(counted):
    reader = Client()
    reader.force_login(User.objects.create_user("reader", is_staff=True))

    reply = reader.post(
        reverse("admin:billing_unpriced_map"), {"provider": "anthropic", "name": UNKNOWN}
    )

    assert reply.status_code == 403
