"""The inbox of alerts: who sees what, what is done there, and what became of each."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from billing.actions import alerts, budgets, channels, raises
from billing.actions.alerts import Occasion
from billing.actions.budgets import Terms
from billing.models import Alert, Channel, Delivery
from billing.pricing.budget_periods import PeriodKind
from teams.models import Role
from tests.conftest import NOW, Cast
from tests.web.conftest import Browser, read

pytestmark = pytest.mark.usefixtures("as_app")

INBOX = "/alerts"


def silence(name: str, **bound) -> Occasion:
    details = {"name": name, "last": "2026-11-20T15:00:00+01:00"}
    return Occasion(f"project {name}", "2026-11-20", details=details, **bound)


@pytest.fixture
def fired(cast: Cast) -> dict[str, int]:
    """One each of a project, of teams, of the organization."""
    channels.create(
        organization=cast.acme,
        kind=Channel.Kind.EMAIL,
        target="ops@example.com",
        by="tests",
        now=NOW,
    )
    alerts.keep(
        organization=cast.acme,
        kind=Alert.Kind.GONE_SILENT,
        holding=[
            silence("Answering", project=cast.answers),
            silence("Searching", team=cast.search),
            silence("Supporting", team=cast.support),
            silence("Acting"),
        ],
        now=timezone.now(),
    )
    return dict(Alert.objects.values_list("details__name", "pk"))


@pytest.fixture
def lead(cast: Cast, person: Callable[..., User], browser: Browser) -> Client:
    return browser(person("lea", Role.LEAD, cast.acme, cast.search))


def shown(client: Client, **query: str) -> set[str]:
    text = read(client, INBOX, **query).text
    every = ("Answering", "Searching", "Supporting", "Acting")
    return {name for name in every if f"heard of {name}" in text}


def test_a_visitor_sees_the_alerts_of_their_teams(
    fired, viewer: Client, finance: Client, outsider: Client
):
    assert shown(viewer) == {"Answering", "Searching"}
    assert shown(finance) == {"Answering", "Searching", "Supporting", "Acting"}
    assert shown(outsider) == set()


def test_the_menu_counts_those(fired, viewer: Client, finance: Client, outsider: Client):
    assert "Alerts 2 firing" in read(viewer, "/prices").text
    assert "Alerts 4 firing" in read(finance, "/prices").text
    assert "firing" not in read(outsider, "/prices").text


def test_the_filter_has_every_kind_but_tests_which_are_not_listed(finance: Client):
    options = {
        one.get("value") for tag, one in read(finance, INBOX).elements if tag == "option"
    }

    assert {"gone_silent", "cap_reached"} <= options
    assert "test" not in options


def test_one_that_is_not_yours_looks_like_none(fired, lead: Client):
    for name in ("Supporting", "Acting"):
        path = f"{INBOX}/{fired[name]}"
        assert lead.get(path).status_code == 404
        assert lead.post(path, {"step": "acknowledge"}).status_code == 404
    assert lead.get(f"{INBOX}/999999").status_code == 404
    assert set(Alert.objects.values_list("state", flat=True)) == {"firing"}


def test_what_concerns_a_team_is_seen_by_it(cast: Cast, lead: Client, outsider: Client):
    alerts.keep(
        organization=cast.acme,
        kind=Alert.Kind.UNPRICED_MODEL,
        holding=[
            Occasion(
                "anthropic claude-opus-99",
                details={"provider": "anthropic", "name": "claude-opus-99"},
                concerned=frozenset([cast.search.pk]),
            )
        ],
        now=timezone.now(),
    )
    path = f"{INBOX}/{Alert.objects.get().pk}"

    assert "claude-opus-99" in read(lead, path).text
    assert outsider.get(path).status_code == 404


def test_where_it_went_is_for_who_edits_budgets(fired, viewer: Client, finance: Client):
    path = f"{INBOX}/{fired['Searching']}"

    assert "ops@example.com" in read(finance, path).text
    text = read(viewer, path).text
    assert "E-mail" in text
    assert "ops@example.com" not in text


def test_who_only_looks_has_no_buttons(fired, viewer: Client):
    path = f"{INBOX}/{fired['Searching']}"

    assert "<button" not in viewer.get(INBOX).content.decode().partition("<main")[
        2
    ].replace('<button class="button">Show</button>', "")
    assert viewer.post(path, {"step": "acknowledge"}).status_code == 403
    assert Alert.objects.get(pk=fired["Searching"]).state == "firing"


def test_a_lead_takes_care_of_one_and_comes_back_to_the_list(fired, lead: Client):
    path = f"{INBOX}/{fired['Answering']}"

    reply = lead.post(path, {"step": "acknowledge", "kept": "kind=gone_silent&evil=1"})

    assert reply["location"] == f"{INBOX}?kind=gone_silent"
    text = read(lead, INBOX).text
    assert "lea takes care of it" in text
    assert "Acknowledged: it is yours." in text
    assert "Alerts 1 firing" in text


def test_a_snooze_wants_a_reason_and_is_off_the_list(fired, lead: Client):
    path = f"{INBOX}/{fired['Answering']}"

    refused = lead.post(path, {"step": "snooze", "hours": "24", "reason": ""})
    assert refused.status_code == 400
    assert "Say why" in refused.content.decode()
    assert (
        lead.post(path, {"step": "snooze", "hours": "9999", "reason": "x"}).status_code
        == 400
    )

    done = lead.post(path, {"step": "snooze", "hours": "24", "reason": "A load test."})
    assert done["location"] == path
    assert shown(lead, state="firing") == {"Searching"}
    assert shown(lead, state="snoozed") == {"Answering"}
    assert "by lea: A load test." in read(lead, INBOX).text

    lead.post(path, {"step": "unsnooze"})
    assert shown(lead, state="firing") == {"Answering", "Searching"}


def test_the_page_of_one_tells_its_history_and_deliveries(fired, lead: Client):
    pk = fired["Answering"]
    Delivery.objects.filter(alert=pk).update(
        state="dead", attempts=10, last_error="the receiver answered 500"
    )
    lead.post(f"{INBOX}/{pk}", {"step": "acknowledge", "note": "Deploying."})

    page = read(lead, f"{INBOX}/{pk}")

    assert "Fired" in page.text
    assert "lea acknowledged it" in page.text
    assert "Deploying." in page.text
    assert "E-mail Given up 10" in page.text
    assert "the receiver answered 500" in page.text
    assert ("span", {"class": "status over"}) in page.elements


def test_what_is_resolved_has_no_buttons(cast: Cast, fired, lead: Client):
    kind = Alert.Kind.GONE_SILENT
    alerts.keep(organization=cast.acme, kind=kind, holding=[], now=timezone.now())

    text = read(lead, f"{INBOX}/{fired['Answering']}").text
    assert "Resolved: it holds no longer" in text
    assert shown(lead, state="resolved") == {"Answering", "Searching"}
    assert "Nothing is open" in read(lead, INBOX).text
    reply = lead.post(f"{INBOX}/{fired['Answering']}", {"step": "acknowledge"}, follow=True)
    assert "It is resolved" in reply.content.decode()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"team": "search"}, {"Answering", "Searching"}),
        ({"team": "support"}, {"Supporting"}),
        ({"kind": "anomaly"}, set()),
        ({"kind": "gone_silent", "team": "support"}, {"Supporting"}),
        ({"kind": "nonsense"}, {"Answering", "Searching", "Supporting", "Acting"}),
        ({"team": "elsewhere"}, {"Answering", "Searching", "Supporting", "Acting"}),
        ({"state": "acknowledged"}, set()),
    ],
)
def test_the_address_narrows_the_list(fired, finance: Client, query, expected):
    assert shown(finance, **query) == expected


def test_an_empty_inbox_says_what_will_come(viewer: Client):
    assert "Purser tells when a level of a budget is reached" in read(viewer, INBOX).text


def test_a_test_of_a_channel_is_nothing_to_see_to(cast: Cast, finance: Client):
    details = {"by": "lea", "organization": "Acme"}
    alerts.keep(
        organization=cast.acme,
        kind=Alert.Kind.TEST,
        holding=[Occasion("channel 1", details=details)],
        now=timezone.now(),
    )

    assert "firing" not in read(finance, "/prices").text
    assert "Nothing is open" in read(finance, INBOX).text
    path = f"{INBOX}/{Alert.objects.get().pk}"
    assert "lea tries this channel" in read(finance, path).text


def test_nonsense_is_not_found(fired, lead: Client):
    assert lead.post(f"{INBOX}/{fired['Answering']}", {"step": "burn"}).status_code == 404


def test_a_form_without_its_token_is_refused(
    cast: Cast, fired, person: Callable[..., User]
):
    client = Client(enforce_csrf_checks=True)
    client.force_login(person("lea", Role.LEAD, cast.acme, cast.search))

    path = f"{INBOX}/{fired['Answering']}"
    assert client.post(path, {"step": "acknowledge"}).status_code == 403


def test_names_are_text(cast: Cast, lead: Client):
    alerts.keep(
        organization=cast.acme,
        kind=Alert.Kind.GONE_SILENT,
        holding=[silence("<script>alert(1)</script>", team=cast.search)],
        now=timezone.now(),
    )
    html = lead.get(INBOX).content.decode()
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_a_state_that_is_none_narrows_nothing(fired, finance: Client):
    assert shown(finance, state="nonsense") == shown(finance)


def test_an_alert_of_a_raise_has_its_cap(cast: Cast, finance: Client):
    now = timezone.now()
    budget = budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal(100)),
        by="tests",
        now=now,
    )
    raises.ask(
        budget=budget,
        amount=Decimal(150),
        until=None,
        reason="Two more countries.",
        by="lea",
        now=now,
    )

    text = read(finance, f"/alerts/{Alert.objects.get().pk}").text

    assert "New cap $150.00" in text
    assert "Cap before $100.00" in text
    assert "Told from" not in text
