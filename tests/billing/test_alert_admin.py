"""Alerts and velocity rules in the admin: looked at, handled, and by whom."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from billing.actions import alerts
from billing.actions.alerts import Occasion
from billing.models import Alert, VelocityRule
from teams.models import AuditEvent
from tests.conftest import NOW, Cast

ALERTS = "/admin/billing/alert/"
RULES = "/admin/billing/velocityrule/"

pytestmark = pytest.mark.usefixtures("as_app")


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """Somebody who may what is named."""

    def make(name: str, *codenames: str) -> Client:
        user = User.objects.create_user(name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def alert(cast: Cast) -> Alert:
    details = {"since": "2026-11-22T12:00:00+00:00"}
    holding = [Occasion("counting", details=details)]
    kind = Alert.Kind.BACKLOG
    alerts.keep(organization=cast.acme, kind=kind, holding=holding, now=NOW)
    return Alert.objects.get()


def test_the_list_and_an_alert_say_what_has_happened(alert: Alert, staff):
    viewer = staff("vera", "view_alert", "view_delivery")

    for path in (ALERTS, f"{ALERTS}{alert.pk}/change/"):
        html = viewer.get(path).content.decode()
        assert ("is not counted yet" in html) is (path != ALERTS)
        assert "Counting falls behind" in html


def test_who_may_change_alerts_acknowledges_them(alert: Alert, staff):
    may = staff("lea", "view_alert", "change_alert")
    asked = {"action": "acknowledge", "_selected_action": [alert.pk]}

    may.post(ALERTS, asked)

    alert.refresh_from_db()
    assert (alert.state, alert.acknowledged_by) == ("acknowledged", "lea")
    may.post(ALERTS, asked | {"action": "unacknowledge"})
    alert.refresh_from_db()
    assert alert.state == "firing"
    events = AuditEvent.objects.filter(subject=f"alert {alert.pk}")
    assert set(events.values_list("actor", flat=True)) == {"lea"}


def test_who_only_looks_does_not(alert: Alert, staff):
    viewer = staff("vera", "view_alert")

    viewer.post(ALERTS, {"action": "acknowledge", "_selected_action": [alert.pk]})

    alert.refresh_from_db()
    assert alert.state == "firing"


def test_a_resolved_one_says_that_it_is(cast: Cast, alert: Alert, staff):
    alerts.keep(organization=cast.acme, kind=Alert.Kind.BACKLOG, holding=[], now=NOW)
    may = staff("lea", "view_alert", "change_alert")

    reply = may.post(
        ALERTS, {"action": "acknowledge", "_selected_action": [alert.pk]}, follow=True
    )

    assert "It is resolved" in reply.content.decode()


def test_a_rule_is_made_and_ended_by_name(cast: Cast, staff):
    may = staff("lea", "view_velocityrule", "add_velocityrule", "change_velocityrule")
    asked = {"organization": cast.acme.pk, "project": cast.answers.pk, "amount": "12.5"}

    made = may.post(f"{RULES}add/", asked | {"minutes": 15})

    assert made.status_code == 302, made.content
    rule = VelocityRule.objects.get()
    assert (rule.created_by, rule.minutes, rule.ended_at) == ("lea", 15, None)
    assert "12.50" in may.get(RULES).content.decode()
    may.post(RULES, {"action": "end", "_selected_action": [rule.pk]})
    rule.refresh_from_db()
    assert rule.ended_at is not None


def test_a_rule_for_somebody_else_is_refused_in_the_form(cast: Cast, staff):
    may = staff("lea", "view_velocityrule", "add_velocityrule")
    asked = {"organization": cast.acme.pk, "project": cast.secret_project.pk}

    reply = may.post(f"{RULES}add/", asked | {"amount": "1", "minutes": 15})

    assert "of its organization" in reply.content.decode()
    assert not VelocityRule.objects.exists()
