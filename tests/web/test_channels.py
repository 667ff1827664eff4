"""The page of channels: who may do what there, and what it says of each."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing.actions import channels
from billing.models import Alert, Channel, Delivery, DeliveryAttempt
from teams.models import Membership, Role, Team
from tests.conftest import NOW, Cast
from tests.web.conftest import Browser, read

pytestmark = pytest.mark.usefixtures("as_app")

PAGE = "/channels"
HOOK = "https://hooks.example.com/T0/path-is-secret"


def make(cast: Cast, kind: str = "webhook", target: str = HOOK, **more) -> Channel:
    made = {"organization": cast.acme, "by": "tests", "now": NOW} | more
    channel, _ = channels.create(kind=Channel.Kind(kind), target=target, **made)
    return channel


def post(client: Client, path: str, **data: str) -> str:
    """What the page says after it."""
    response = client.post(path, data, follow=True)
    assert response.redirect_chain == [(PAGE, 302)]
    return " ".join(response.content.decode().split())


def shown_once(client: Client, path: str, **data: str) -> str:
    """The answer that has a secret: kept by nobody, and in no cookie."""
    response = client.post(path, data)
    assert response.status_code == 200
    assert "no-store" in response["cache-control"]
    assert not response.cookies.keys() & {"messages"}
    return response.content.decode()


def test_finance_adds_one_and_sees_its_secret_once(finance: Client, cast: Cast):
    said = shown_once(finance, PAGE, kind="webhook", target=HOOK, scope="organization")

    channel = Channel.objects.get()
    assert f">{channel.secret}</pre>" in said
    page = finance.get(PAGE).content.decode()
    assert channel.secret not in page
    assert "path-is-secret" not in said + page
    assert "hooks.example.com" in page


@pytest.mark.parametrize("scope", ["team", "project"])
def test_it_can_be_for_a_team_or_a_project(finance: Client, cast: Cast, scope: str):
    its = {"team": cast.search, "project": cast.answers}[scope]

    post(finance, PAGE, kind="email", target="a@example.com", scope=f"{scope} {its.pk}")

    assert getattr(Channel.objects.get(), scope) == its


def test_what_cannot_be_used_is_said_at_the_field(finance: Client, cast: Cast):
    wanted = {"kind": "slack", "target": "https://10.0.0.1/", "scope": "organization"}
    response = finance.post(PAGE, wanted)

    assert response.status_code == 200
    assert "the host is not on the public Internet" in response.content.decode()
    assert not Channel.objects.exists()


def test_it_is_tried_rotated_and_ended(finance: Client, cast: Cast):
    channel = make(cast)
    before = channel.secret

    assert "A test is on its way" in post(finance, f"/channels/{channel.pk}/test")
    said = post(finance, f"/channels/{channel.pk}/test")
    assert re.search(r"every 10 seconds\. Again in (1 second|[0-9]+ seconds)\.", said)
    said = shown_once(finance, f"/channels/{channel.pk}/rotate")
    channel.refresh_from_db()
    assert channel.secret in said
    assert "The secret before signs along for 24 hours." in said
    assert channel.previous_secret == before
    assert "the secret before signs along until" in read(finance, PAGE).text
    assert "ended" in post(finance, f"/channels/{channel.pk}/end")
    channel.refresh_from_db()
    assert channel.disabled_at
    assert Delivery.objects.get().state == "dead"


def test_a_secret_is_not_replaced_while_the_one_before_signs_along(
    finance: Client, cast: Cast
):
    """The receiver may know only that one: a second click must not break it."""
    channel = make(cast)
    first = channel.secret
    finance.post(f"/channels/{channel.pk}/rotate")
    channel.refresh_from_db()
    second = channel.secret

    said = post(finance, f"/channels/{channel.pk}/rotate")

    assert "A new one can be made then." in said
    channel.refresh_from_db()
    assert (channel.secret, channel.previous_secret) == (second, first)
    assert "Make a new secret" not in said
    channels.rotate(channel=channel, by="tests", now=timezone.now() + channels.ROTATION)


def test_the_same_is_not_added_twice(finance: Client, cast: Cast):
    wanted = {"kind": "email", "target": "a@example.com", "scope": "organization"}
    post(finance, PAGE, **wanted)

    again = finance.post(PAGE, wanted)

    assert again.status_code == 200
    assert "There is such a channel already." in again.content.decode()
    post(finance, PAGE, **wanted | {"scope": f"team {cast.search.pk}"})
    channels.disable(channel=Channel.objects.get(team=None), by="tests", now=timezone.now())
    post(finance, PAGE, **wanted)
    assert Channel.objects.filter(disabled_at=None).count() == 2


def test_what_failed_is_red_and_can_be_sent_again(finance: Client, cast: Cast):
    channel = make(cast)
    delivery = channels.send_test(channel=channel, by="tests", now=NOW)
    Delivery.objects.update(state="dead", last_error="the receiver answered 500")

    page = read(finance, PAGE)
    assert "1 not delivered: the receiver answered 500." in page.text
    red = [one for tag, one in page.elements if "notice over" in (one.get("class") or "")]
    assert red

    assert "sent again" in post(finance, f"/deliveries/{delivery.pk}/retry")
    delivery.refresh_from_db()
    assert delivery.state == "waiting"


def test_the_page_of_an_alert_has_each_attempt(finance: Client, cast: Cast):
    """A mail links to it."""
    delivery = channels.send_test(channel=make(cast), by="tests", now=NOW)
    Delivery.objects.update(attempts=2, state="dead", last_error="it answered 500")
    DeliveryAttempt.objects.create(
        delivery=delivery,
        number=2,
        started_at=NOW,
        ended_at=NOW + timedelta(milliseconds=1250),
        error="it answered 500",
    )

    page = read(finance, f"/alerts/{delivery.alert_id}", organization="acme")

    assert "no result is known" in page.text
    assert "1,250 ms: it answered 500" in page.text


@pytest.mark.parametrize("who", ["viewer", "outsider"])
def test_who_edits_no_budgets_there_does_nothing(
    request: pytest.FixtureRequest, who: str, cast: Cast
):
    client: Client = request.getfixturevalue(who)
    channel = make(cast, team=cast.search)
    delivery = channels.send_test(channel=channel, by="tests", now=NOW)
    Delivery.objects.update(state="dead")

    assert "hooks.example.com" not in read(client, PAGE).text
    for path in ("test", "rotate", "end"):
        assert client.post(f"/channels/{channel.pk}/{path}").status_code == 404
    assert client.post(f"/deliveries/{delivery.pk}/retry").status_code == 404
    wanted = {"kind": "email", "target": "a@example.com", "scope": f"team {cast.search.pk}"}
    assert client.post(PAGE, wanted).status_code in (200, 403)
    assert Channel.objects.count() == 1


def test_finance_of_a_team_has_the_channels_of_that_team(
    cast: Cast, person: Callable[..., User], browser: Browser
):
    client = browser(person("fiona", Role.FINANCE, cast.acme, cast.search))
    own, of_project = make(cast, team=cast.search), make(cast, project=cast.answers)
    others = [make(cast), make(cast, team=cast.support), make(cast, project=cast.triage)]

    page = client.get(PAGE).content.decode()

    listed = {int(pk) for pk in re.findall(r'id="channel-(\d+)"', page)}
    assert listed == {own.pk, of_project.pk}
    for channel in others:
        assert client.post(f"/channels/{channel.pk}/end").status_code == 404
    wanted = {"kind": "email", "target": "a@example.com", "scope": "organization"}
    assert client.post(PAGE, wanted).status_code == 200
    assert Channel.objects.count() == 5


def test_everybody_decides_about_mail_to_themselves(
    cast: Cast, person: Callable[..., User], browser: Browser
):
    vera = person("vera", Role.VIEWER, cast.acme, cast.search, email="vera@example.com")
    client = browser(vera)

    assert "come to vera@example.com now" in post(client, "/channels/mine", listen="yes")
    assert Channel.objects.get(user=vera).stand_in is False
    assert "no more" in post(client, "/channels/mine", listen="no")
    assert Channel.objects.get(user=vera).stand_in is True


def test_without_an_address_there_is_nothing_to_switch(viewer: Client):
    assert "no e-mail address" in read(viewer, PAGE).text
    assert "no e-mail address" in post(viewer, "/channels/mine", listen="yes")


def test_what_changes_something_is_posted(finance: Client, cast: Cast):
    channel = make(cast)

    for path in ("mine", f"{channel.pk}/test", f"{channel.pk}/rotate", f"{channel.pk}/end"):
        assert finance.get(f"/channels/{path}").status_code == 405


def test_what_is_posted_carries_a_token(cast: Cast, person: Callable[..., User]):
    client = Client(enforce_csrf_checks=True)
    client.force_login(person("frank", Role.FINANCE, cast.acme))
    channel = make(cast)

    assert client.post(f"/channels/{channel.pk}/end").status_code == 403
    assert Channel.objects.get().disabled_at is None


# --- The admin ----------------------------------------------------------------------


def test_the_admin_makes_tries_and_ends_them(root: Client, cast: Cast):
    listed = reverse("admin:billing_channel_changelist")
    wanted = {"organization": cast.acme.pk, "kind": "webhook", "target": HOOK}
    added = shown_once(root, reverse("admin:billing_channel_add"), **wanted)
    channel = Channel.objects.get()
    assert channel.secret in added

    for action in ("send_test", "disable"):
        chosen = {"action": action, "_selected_action": [channel.pk]}
        if action == "disable":
            rotated = shown_once(root, listed, **chosen | {"action": "rotate"})
        root.post(listed, chosen, follow=True)
    channel.refresh_from_db()
    assert channel.secret in rotated
    assert channel.secret not in added

    assert Alert.objects.get().kind == "test"
    assert channel.previous_secret
    assert channel.disabled_at
    shown = root.get(reverse("admin:billing_channel_change", args=[channel.pk]))
    assert shown.status_code == 200
    assert "path-is-secret" not in shown.content.decode()
    assert channel.secret not in shown.content.decode()


def test_the_admin_refuses_what_the_api_refuses(root: Client, cast: Cast):
    response = root.post(
        reverse("admin:billing_channel_add"),
        {"organization": cast.acme.pk, "kind": "slack", "target": "https://10.0.0.1/"},
    )

    assert "the host is not on the public Internet" in response.content.decode()
    assert not Channel.objects.exists()


def test_the_admin_sends_again(root: Client, cast: Cast):
    channels.send_test(channel=make(cast), by="tests", now=NOW)
    Delivery.objects.update(state="dead")

    root.post(
        reverse("admin:billing_delivery_changelist"),
        {"action": "send_again", "_selected_action": [Delivery.objects.get().pk]},
    )

    assert Delivery.objects.get().state == "waiting"


def test_queries_do_not_grow_with_teams(
    cast: Cast, person: Callable[..., User], browser: Browser
):
    user = person("fay", Role.FINANCE, cast.acme, cast.search)
    client = browser(user)
    counts = []
    for number in range(3):
        team = Team.objects.create(
            organization=cast.acme, name=f"Team {number}", slug=f"team-{number}"
        )
        Membership.objects.create(
            user=user, organization=cast.acme, team=team, role=Role.FINANCE
        )
        with CaptureQueriesContext(connection) as queries:
            assert f"team Team {number}" in read(client, PAGE).text
        counts.append(len(queries))

    assert counts[1] == counts[2]
