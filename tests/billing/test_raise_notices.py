"""Mails about raises: to who may decide, and to who asked; a link, and never a decision."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.core import mail

from billing.actions import deliver, raises
from billing.models import Alert, Budget, Delivery, RaiseRequest
from billing.reports import alert_picture
from teams.actions import memberships
from teams.models import Organization, Role, Team
from tests.billing.spending import make, spend
from tests.conftest import NOW, Cast

UNTIL = NOW + timedelta(days=3)
MIDNIGHT = datetime(2026, 11, 25, 23, tzinfo=UTC)  # in Berlin


def person(
    name: str,
    role: Role,
    organization: Organization,
    team: Team | None = None,
    *,
    email: str | None = None,
) -> User:
    address = f"{name}@acme.example" if email is None else email
    user = User.objects.create_user(name, email=address)
    memberships.grant(
        user=user, organization=organization, role=role, team=team, by="tests", now=NOW
    )
    return user


@pytest.fixture
def people(cast: Cast) -> dict[str, User]:
    made = [
        person("lea", Role.LEAD, cast.acme, cast.search),
        person("frank", Role.FINANCE, cast.acme),
        person("fay", Role.FINANCE, cast.acme, cast.search),
        person("fred", Role.FINANCE, cast.acme, cast.support),
        person("fritz", Role.FINANCE, cast.acme, email=""),
        person("vera", Role.VIEWER, cast.acme),
        person("olga", Role.ADMIN, cast.outsiders),
    ]
    return {user.username: user for user in made}


@pytest.fixture
def budget(cast: Cast) -> Budget:
    return make(cast, "100")


def ask(budget: Budget, people: dict[str, User], by: str = "lea", **terms) -> RaiseRequest:
    return raises.ask(
        budget=budget,
        amount=Decimal(150),
        until=terms.get("until"),
        reason="Two more countries.",
        by=by,
        person=people.get(by),
        now=NOW,
    )


def decide(request: RaiseRequest, people: dict[str, User], by: str = "frank", **terms):
    return raises.approve(
        request=request,
        amount=terms.get("amount", request.amount),
        until=request.until,
        by=by,
        person=people[by],
        note=terms.get("note", ""),
        now=NOW,
    )


def sent() -> list[tuple[str, str]]:
    """To whom, and about what, since the last look."""
    mail.outbox.clear()
    deliver.send_due(
        clock=lambda: NOW,
        spread=lambda: 0,
        picture=lambda alert: alert_picture.of_alert(alert, now=NOW),
    )
    return sorted((to, message.subject) for message in mail.outbox for to in message.to)


def test_who_may_decide_is_mailed(budget: Budget, people):
    request = ask(budget, people)

    subject = "[Purser] lea asks for a raise for Search"
    assert sent() == [("fay@acme.example", subject), ("frank@acme.example", subject)]
    message = mail.outbox[0]
    assert (
        "lea asks for a cap of $150.00 instead of $100.00 for Search, for good."
        in message.body
    )
    assert "Two more countries." in message.body
    assert f"/raises/{request.pk}?organization=acme" in message.body
    for part in (message.body, str(message.alternatives[0][0])):
        assert "approve" not in part.lower()


def test_the_chart_goes_along(cast: Cast, budget: Budget, people):
    spend(cast, 2)
    ask(budget, people)

    sent()

    (picture,) = mail.outbox[0].attachments
    assert picture.get_content_type() == "image/png"
    assert picture.get_payload(decode=True).startswith(b"\x89PNG")
    assert "has been spent; the cap of the period until 30 Nov" in mail.outbox[0].body


def test_asking_twice_mails_once(budget: Budget, people):
    ask(budget, people)
    ask(budget, people)

    assert len(sent()) == 2
    assert sent() == []


def test_who_asks_is_not_asked_to_decide(budget: Budget, people):
    ask(budget, people, by="frank")

    assert [to for to, _ in sent()] == ["fay@acme.example"]


def test_of_the_organization_those_of_the_organization_decide(cast: Cast, people):
    ask(make(cast, "100", team=None), people)

    assert [to for to, _ in sent()] == ["frank@acme.example"]


def test_a_project_is_decided_by_those_of_its_team(cast: Cast, people):
    ask(make(cast, "100", project=cast.triage), people)

    assert [to for to, _ in sent()] == ["frank@acme.example", "fred@acme.example"]


@pytest.mark.parametrize(
    ("until", "end"),
    [
        (None, "for good"),
        (UNTIL, "until 25 Nov 2026, 13:00"),
        (MIDNIGHT, "through 25 Nov 2026"),
    ],
)
def test_who_asked_is_told_what_was_approved(budget: Budget, people, until, end):
    request = ask(budget, people, until=until)
    sent()

    decide(request, people, amount=Decimal(120), note="Until the index is smaller.")

    assert sent() == [("lea@acme.example", "[Purser] The raise for Search is approved")]
    body = mail.outbox[0].body
    assert f"frank approved a cap of $120.00 for Search, {end}." in body
    assert "Until the index is smaller." in body


def test_who_asked_is_told_that_it_was_declined_or_forgotten(budget: Budget, people):
    declined = ask(budget, people)
    sent()
    raises.decline(
        request=declined, by="frank", person=people["frank"], note="No.", now=NOW
    )
    assert sent() == [("lea@acme.example", "[Purser] The raise for Search is declined")]
    assert "that lea asked for, for Search, was declined by frank." in mail.outbox[0].body

    ask(budget, people, until=UNTIL)
    sent()
    raises.expire(now=UNTIL)
    assert Alert.objects.filter(occurrence="expired").exists()
    assert Delivery.objects.filter(
        alert__occurrence="expired", channel__user=people["lea"]
    ).exists()


def test_what_is_withdrawn_needs_no_mail(budget: Budget, people):
    request = ask(budget, people)
    sent()

    raises.withdraw(request=request, by="lea", person=people["lea"], now=NOW)

    assert sent() == []


def test_it_is_an_open_alert_until_it_is_decided(budget: Budget, people):
    request = ask(budget, people)
    alert = Alert.objects.get(kind="raise_request")
    assert (alert.state, alert.budget, alert.team) == ("firing", budget, budget.team)

    decide(request, people)

    alert.refresh_from_db()
    assert (alert.state, alert.resolved_at) == ("resolved", NOW)
    assert not Alert.objects.filter(kind="raise_request", state="firing").exists()


def test_an_api_key_is_mailed_nothing(budget: Budget, people):
    request = ask(budget, people, by="automation (purser_abc…)")
    assert len(sent()) == 2

    decide(request, people)

    assert sent() == []


def test_names_that_would_break_a_header_do_not(cast: Cast, people):
    cast.search.name = "Search\r\nBcc: all@example.com"
    cast.search.save()
    ask(make(cast, "100"), people)

    (_, subject), *_ = sent()

    assert subject == ("[Purser] lea asks for a raise for Search Bcc: all@example.com")
