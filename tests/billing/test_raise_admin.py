"""Raises in the admin: looked at, decided by who may, under their own name."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.actions import budgets, raises
from billing.models import Budget, BudgetPolicy, RaiseRequest
from teams.models import AuditEvent
from tests.billing.spending import make
from tests.conftest import NOW, Cast
from tests.web.conftest import read


@pytest.fixture
def admin(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def asked(cast: Cast) -> RaiseRequest:
    return raises.ask(
        budget=make(cast, "100"),
        amount=Decimal(150),
        until=None,
        reason="Two more countries.",
        by="lea",
        now=NOW,
    )


def url(asked: RaiseRequest, step: str = "decide") -> str:
    return reverse(f"admin:billing_raiserequest_{step}", args=[asked.pk])


def test_it_is_listed_and_shown(admin: Client, asked: RaiseRequest):
    listed = admin.get(reverse("admin:billing_raiserequest_changelist")).content.decode()
    shown = admin.get(url(asked, "change")).content.decode()

    for html in (listed, shown):
        assert "month budget of team search" in html
        assert "Pending" in html
    assert "Two more countries." in shown
    assert url(asked) in shown
    assert 'name="_save"' not in shown


def test_it_is_approved(admin: Client, asked: RaiseRequest):
    page = admin.get(url(asked)).content.decode()
    assert 'value="150"' in page
    assert RaiseRequest.objects.get().state == "pending"

    response = admin.post(url(asked), {"amount": "120", "note": "Less.", "approve": "x"})

    assert response["location"] == url(asked, "change")
    assert Budget.objects.get().amount == 120
    event = AuditEvent.objects.get(action="raise.approve")
    assert (event.actor, event.reason) == ("root", "Less.")
    assert "approved 120.00 for good" in admin.get(url(asked, "change")).content.decode()


def test_one_that_would_end_a_longer_raise_says_so(admin: Client, asked: RaiseRequest):
    now = timezone.now()
    granted = {"raised_to": Decimal(130), "raised_until": now + timedelta(days=9)}
    budgets.amend(budget=asked.budget, changes=granted, by="tests", now=now)
    shorter, longer = (
        raises.ask(
            budget=asked.budget,
            amount=Decimal(140),
            until=now + timedelta(days=days),
            reason="Two weeks.",
            by=f"of {days} days",
            now=now,
        )
        for days in (2, 14)
    )

    warned = read(admin, url(shorter)).text

    assert "now $130.00" in warned
    assert "takes the place of the cap of $130.00 until" in warned
    assert f"From {shorter.until:%Y-%m-%d %H:%M} UTC on the cap is $100.00" in warned
    for other in (longer, asked):
        assert "takes the place" not in read(admin, url(other)).text


def test_it_is_declined_whatever_the_amount(admin: Client, asked: RaiseRequest):
    admin.post(url(asked), {"amount": "", "note": "No.", "decline": "x"})

    assert RaiseRequest.objects.get().state == "declined"
    assert Budget.objects.get().amount == 100


def test_what_cannot_be_is_said(admin: Client, asked: RaiseRequest):
    for amount, said in (("50", "A raise is above the cap there is"), ("", "required")):
        page = admin.post(url(asked), {"amount": amount, "approve": "x"})
        assert said in page.content.decode()

    assert RaiseRequest.objects.get().state == "pending"


def test_who_asked_does_not_decide_here_either(admin: Client, cast: Cast):
    asked = raises.ask(
        budget=make(cast, "100"),
        amount=Decimal(150),
        until=None,
        reason="Mine.",
        by="root",
        person=User.objects.get(username="root"),
        now=NOW,
    )

    page = admin.post(url(asked), {"amount": "150", "approve": "x"})

    assert "Who asks does not decide" in page.content.decode()
    assert Budget.objects.get().amount == 100


def test_who_may_only_look_decides_nothing(cast: Cast, asked: RaiseRequest):
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_raiserequest"))
    client = Client()
    client.force_login(reader)

    assert url(asked) not in client.get(url(asked, "change")).content.decode()
    assert client.get(url(asked)).status_code == 403
    assert client.post(url(asked), {"amount": "150", "approve": "x"}).status_code == 403
    assert RaiseRequest.objects.get().state == "pending"


def test_a_policy_is_set_by_name(admin: Client, cast: Cast):
    admin.post(
        reverse("admin:billing_budgetpolicy_add"),
        {"organization": cast.acme.pk, "two_approvals_above": "5000"},
    )

    policy = BudgetPolicy.objects.get()
    assert (policy.organization, policy.two_approvals_above) == (cast.acme, 5000)
    admin.post(
        reverse("admin:billing_budgetpolicy_change", args=[policy.pk]),
        {"two_approvals_above": ""},
    )
    policy.refresh_from_db()
    assert policy.two_approvals_above is None
    actors = AuditEvent.objects.filter(action="budget_policy.change")
    assert set(actors.values_list("actor", flat=True)) == {"root"}
    assert actors.count() == 2
