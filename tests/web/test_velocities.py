"""The page of velocity: who sees which rules, and who makes and ends them."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.actions import alerts, velocity_rules
from billing.actions.alerts import Occasion
from billing.models import Alert, VelocityRule
from teams.models import AuditEvent, Role
from tests.conftest import NOW, Cast
from tests.web.conftest import Browser, read

pytestmark = pytest.mark.usefixtures("as_app")

PAGE = "/velocity"
WANTED = {"scope": "organization", "amount": "$1,250.50", "minutes": "15"}


def make(cast: Cast, **more) -> VelocityRule:
    its = {"organization": cast.acme, "amount": Decimal(20), "minutes": 60} | more
    return velocity_rules.create(by="tests", now=NOW, **its)


@pytest.fixture
def rules(cast: Cast) -> dict[str, VelocityRule]:
    """Told from as much as their names say, which is how they are found on the page."""
    return {
        "101.00": make(cast, amount=Decimal(101)),
        "102.00": make(cast, amount=Decimal(102), team=cast.search),
        "103.00": make(cast, amount=Decimal(103), project=cast.answers),
        "104.00": make(cast, amount=Decimal(104), team=cast.support),
    }


def shown(client: Client) -> set[str]:
    text = read(client, PAGE).text
    return {name for name in ("101.00", "102.00", "103.00", "104.00") if name in text}


def test_a_visitor_sees_the_rules_of_their_teams(
    rules, viewer: Client, finance: Client, outsider: Client
):
    assert shown(viewer) == {"102.00", "103.00"}
    assert shown(finance) == {"101.00", "102.00", "103.00", "104.00"}
    assert shown(outsider) == set()


def test_finance_adds_one_and_ends_it(finance: Client, cast: Cast):
    tagged = {"tag_key": "agent", "tag_value": "nightly", "reason": "Loops at night."}
    added = finance.post(PAGE, WANTED | tagged, follow=True)
    rule = VelocityRule.objects.get()

    assert added.redirect_chain == [(PAGE, 302)]
    assert "The rule is set" in added.content.decode()
    assert (rule.amount, rule.minutes, rule.team, rule.project) == (
        Decimal("1250.5"),
        15,
        None,
        None,
    )
    text = read(finance, PAGE).text
    assert "all of Acme agent=nightly 1,250.50 15 frank" in text
    assert AuditEvent.objects.get(action="velocity_rule.create").reason == "Loops at night."

    ended = finance.post(f"{PAGE}/{rule.pk}/end", follow=True)
    assert "The rule has ended" in ended.content.decode()
    assert "Ended: 1" in read(finance, PAGE).text
    assert AuditEvent.objects.get(action="velocity_rule.end").actor == "frank"


@pytest.mark.parametrize("scope", ["team", "project"])
def test_it_can_be_for_a_team_or_a_project(finance: Client, cast: Cast, scope: str):
    its = {"team": cast.search, "project": cast.answers}[scope]

    finance.post(PAGE, WANTED | {"scope": f"{scope} {its.pk}"})

    assert getattr(VelocityRule.objects.get(), scope) == its


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"amount": ""}, "Type an amount."),
        ({"amount": "much"}, "Type an amount, such as"),
        ({"amount": "0"}, "An amount is more than 0."),
        ({"minutes": "4"}, "greater than or equal to 5"),
        ({"minutes": "1441"}, "less than or equal to 1440"),
        ({"minutes": "200"}, "More than 180 minutes are whole hours"),
        ({"tag_key": "agent"}, "Say which value of the tag counts."),
        ({"tag_value": "nightly"}, "Say which tag has this value."),
        ({"scope": "team 999999"}, "Select a valid choice"),
        ({"tag_key": "a\x00b", "tag_value": "x"}, "Null characters are not allowed."),
    ],
)
def test_what_cannot_be_used_is_said_at_the_field(
    finance: Client, cast: Cast, typed: dict[str, str], said: str
):
    response = finance.post(PAGE, WANTED | typed)

    assert response.status_code == 200
    assert said in response.content.decode()
    assert not VelocityRule.objects.exists()


def test_who_edits_no_budgets_there_only_looks(
    cast: Cast, rules, viewer: Client, person: Callable[..., User], browser: Browser
):
    lead = browser(person("lea", Role.LEAD, cast.acme, cast.search))

    for client in (viewer, lead):
        page = client.get(PAGE).content.decode().partition("<main")[2]
        assert "<form" not in page
        assert client.post(PAGE, WANTED).status_code == 403
        assert client.post(f"{PAGE}/{rules['102.00'].pk}/end").status_code == 403
        for name in ("101.00", "104.00"):
            assert client.post(f"{PAGE}/{rules[name].pk}/end").status_code == 404
    assert VelocityRule.objects.filter(ended_at=None).count() == 4


def test_finance_of_a_team_has_the_rules_of_that_team(
    cast: Cast, rules, person: Callable[..., User], browser: Browser
):
    client = browser(person("fiona", Role.FINANCE, cast.acme, cast.search))

    assert shown(client) == {"102.00", "103.00"}
    assert client.post(PAGE, WANTED).status_code == 200  # no such choice
    for name, status in (("101.00", 404), ("104.00", 404), ("103.00", 302)):
        assert client.post(f"{PAGE}/{rules[name].pk}/end").status_code == status
    assert (
        client.post(PAGE, WANTED | {"scope": f"team {cast.search.pk}"}).status_code == 302
    )
    assert VelocityRule.objects.filter(ended_at=None).count() == 4


def test_one_of_another_organization_is_not_found(rules, outsider: Client):
    assert outsider.post(f"{PAGE}/{rules['101.00'].pk}/end").status_code == 404


def test_what_is_too_fast_now_leads_to_its_alert(rules, cast: Cast, viewer: Client):
    rule = rules["102.00"]
    occasion = Occasion(f"velocity rule {rule.pk}", "x", team=cast.search)
    kind = Alert.Kind.SPEND_VELOCITY
    its = {"organization": cast.acme, "kind": kind, "now": timezone.now()}
    alerts.keep(holding=[occasion], **its)

    page = read(viewer, PAGE)
    assert "Too fast now" in page.text
    path = f"/alerts/{Alert.objects.get().pk}"
    assert path in {one.get("href") for tag, one in page.elements if tag == "a"}

    alerts.keep(holding=[], **its)
    assert "Too fast now" not in read(viewer, PAGE).text


def test_alerts_and_channels_lead_to_it(viewer: Client):
    for path in ("/alerts", "/channels"):
        links = {one.get("href") for tag, one in read(viewer, path).elements if tag == "a"}
        assert PAGE in links


def test_what_changes_something_is_posted_with_a_token(
    cast: Cast, rules, person: Callable[..., User]
):
    client = Client(enforce_csrf_checks=True)
    client.force_login(person("frank", Role.FINANCE, cast.acme))
    path = f"{PAGE}/{rules['101.00'].pk}/end"

    assert client.get(path).status_code == 405
    assert client.post(path).status_code == 403
    assert client.post(PAGE, WANTED).status_code == 403


def test_names_are_text(cast: Cast, finance: Client):
    make(cast, tag_key="<b>", tag_value="<script>alert(1)</script>")

    html = finance.get(PAGE).content.decode()
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_queries_do_not_grow_with_rules(cast: Cast, finance: Client):
    counts = []
    for number in range(3):
        make(cast, amount=Decimal(200 + number), team=cast.search)
        make(cast, amount=Decimal(300 + number), project=cast.answers)
        with CaptureQueriesContext(connection) as queries:
            assert f"30{number}.00" in read(finance, PAGE).text
        counts.append(len(queries))

    assert counts[1] == counts[2]
