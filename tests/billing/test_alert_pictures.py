"""The chart of an e-mail: right figures, in its place, and never in the way."""

import logging
import re
import struct
from datetime import timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from django.core import mail

from billing import tasks
from billing.actions import alerts, budgets, channels, deliver, post
from billing.actions.alerts import Occasion
from billing.actions.budgets import Terms
from billing.charts import drawing
from billing.charts.drawing import LIGHT, Picture
from billing.models import Alert, Budget, Channel, Delivery
from billing.pricing.budget_periods import PeriodKind
from billing.reports import alert_picture
from tests.builders import body, record
from tests.conftest import NOW, Cast, Service, issue

TOKENS = Path(__file__).resolve().parents[2] / "billing/static/purser/tokens.css"
BAR = {"data": {"values": [{"a": 1}]}, "mark": "bar", "encoding": {"x": {"field": "a"}}}


@pytest.fixture
def alert(cast: Cast) -> Alert:
    """The team has spent 0.0084 of 0.01 in two days: 80 %."""
    channels.create(
        organization=cast.acme,
        kind=Channel.Kind.EMAIL,
        target="lead@example.com",
        by="tests",
        now=NOW,
    )
    budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal("0.01"), thresholds=(80,)),
        by="tests",
        now=NOW,
    )
    service = Service(issue(cast.acme)[1])
    earlier = record(occurred_at="2026-11-18T10:00:00Z")
    service.post("usage", body(earlier, record(), record(project="triage")))
    for team in (cast.search, cast.support):
        post.count(team_id=team.pk, now=NOW)
    return Alert.objects.get()


def values(spec: Any) -> list[dict[str, Any]]:
    """All rows that are drawn, of any layer."""
    if isinstance(spec, list):
        return [row for one in spec for row in values(one)]
    if not isinstance(spec, dict):
        return []
    own = spec.get("data", {}).get("values", [])
    return [*own, *(row for one in spec.values() for row in values(one))]


def test_an_alert_of_a_budget_shows_its_period(alert: Alert):
    picture = alert_picture.of_alert(alert, now=NOW)

    assert picture is not None
    assert picture.words == (
        "From 1 Nov to 22 Nov <$0.01 has been spent; the cap of the period until 30 Nov "
        "is $0.01."
    )
    rows = {row["Day"]: row["amount"] for row in values(picture.spec) if "Day" in row}
    assert (rows["Tue 17 Nov"], rows["Wed 18 Nov"]) == (0, 0.0042)
    assert (rows["Fri 20 Nov"], rows["Sun 22 Nov"]) == (0.0084, 0.0084)
    assert "Mon 23 Nov" not in rows


def test_a_period_that_is_over_is_shown_to_its_end(alert: Alert):
    picture = alert_picture.of_alert(alert, now=NOW + timedelta(days=20))

    assert picture is not None
    assert "From 1 Nov to 30 Nov" in picture.words


def test_of_a_day_the_days_before_it_are_shown_too(alert: Alert):
    """A line through a single day would be a point."""
    budgets_of = Budget.objects.filter(pk=alert.budget_id)
    budgets_of.update(period="day")
    Alert.objects.update(period_start="2026-11-20")

    picture = alert_picture.of_alert(Alert.objects.get(), now=NOW)

    assert picture is not None
    assert picture.words == (
        "On 20 Nov <$0.01 has been spent; the cap of that day is $0.01."
    )
    days = [row["Day"] for row in values(picture.spec)]
    assert days == ["Wed 18 Nov", "Fri 20 Nov"]


@pytest.mark.parametrize(
    ("bound", "total"), [("search", "<$0.01"), ("support", "<$0.01"), (None, "$0.0126")]
)
def test_another_alert_shows_the_last_days_of_its_team(
    cast: Cast, alert: Alert, bound: str | None, total: str
):
    team = getattr(cast, bound) if bound else None
    kind, occasion = Alert.Kind.GONE_SILENT, Occasion("x", team=team)
    [made] = alerts.keep(organization=cast.acme, kind=kind, holding=[occasion], now=NOW)

    picture = alert_picture.of_alert(Alert.objects.get(pk=made), now=NOW)

    assert picture is not None
    name = team.name if team else "Acme"
    assert picture.words == (
        f"{name}, day by day from 24 Oct to 22 Nov: {total} altogether."
    )


@pytest.mark.parametrize(
    "kind", ["key_expiring", "backlog", "ledger_wrong", "unpriced_model"]
)
def test_what_no_spend_shows_has_none(cast: Cast, kind: str):
    alert = Alert(kind=kind, organization=cast.acme, fired_at=NOW)

    assert alert_picture.of_alert(alert, now=NOW) is None


def test_a_picture_is_drawn_small_and_twice_as_sharp(alert: Alert):
    picture = alert_picture.of_alert(alert, now=NOW)
    assert picture is not None

    png = drawing.png(picture.spec)

    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    assert width == 2 * drawing.WIDTH
    assert 400 < height < 800
    assert len(png) < 200_000


def test_colours_are_those_of_the_pages_in_the_light():
    stated = dict(
        re.findall(r"(--[\w-]+): light-dark\((#\w+),", TOKENS.read_text(encoding="utf-8"))
    )

    colours = {name: value for name, value in LIGHT.items() if name != "--font"}
    assert colours == {name: stated[name] for name in colours}


def test_what_cannot_be_drawn_says_so():
    with pytest.raises(ValueError, match="Vega"):
        drawing.png({"mark": "nonsense"})


def test_a_picture_loads_nothing():
    spec = BAR | {"data": {"url": "https://example.com/data.json"}}

    with pytest.raises(ValueError, match=r"(?i)allowed|access|url"):
        drawing.png(spec)


def test_it_stands_in_the_mail_and_not_beside_it(alert: Alert):
    Delivery.objects.update(due_at=NOW - timedelta(days=400))  # by any clock

    tasks.deliver_alerts()

    [sent] = mail.outbox
    message = message_from_bytes(sent.message().as_bytes(), policy=policy.default)
    assert message.get_content_type() == "multipart/related"
    alternative, image = message.iter_parts()
    assert alternative.get_content_type() == "multipart/alternative"
    text, html = (part.get_content() for part in alternative.iter_parts())
    assert image["Content-ID"] == "<figures>"
    assert image.get_content_disposition() == "inline"
    assert image.get_content()[:4] == b"\x89PNG"
    assert 'src="cid:figures"' in html
    for said in (text, html):
        assert "the cap of the period until 30 Nov is $0.01." in said


def send(picture: Any) -> None:
    deliver.send_due(clock=lambda: NOW, picture=picture, spread=lambda: 0)


def unreadable(alert: Alert) -> Picture:
    raise RuntimeError


def undrawable(alert: Alert) -> Picture:
    return Picture({"mark": "nonsense"}, "All in words.")


@pytest.mark.parametrize("broken", [unreadable, undrawable])
def test_a_mail_goes_without_a_picture_that_fails(alert: Alert, broken: Any, caplog):
    with caplog.at_level(logging.ERROR):
        send(broken)

    [message] = mail.outbox
    assert Delivery.objects.get().state == "sent"
    assert "cid:" not in message.alternatives[0][0]
    assert ("All in words." in message.body) == (broken is undrawable)
    assert "picture" in caplog.text


def test_after_two_attempts_without_result_it_goes_without(alert: Alert):
    """The picture may be what the sender died of."""
    asked = []
    for attempts, expected in ((1, 1), (2, 1)):
        mail.outbox.clear()
        Delivery.objects.update(state="sending", attempts=attempts, due_at=NOW)
        send(lambda alert: asked.append(alert))
        assert len(mail.outbox) == 1
        assert len(asked) == expected
