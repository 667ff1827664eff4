"""Names that want to be markup, a header, a mention or the rest of the line (42, 43).

They are kept as they were sent, and said harmlessly: pages and admin escape them, mails
flatten them, Slack is told which characters are text. What an export does with formulas
is tested beside the answer that it is one form of.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.contrib.admin.sites import site
from django.test import Client
from django.urls import reverse

from billing.actions import alert_messages, budgets, post, sweep
from billing.actions.alert_bodies import mail as letter
from billing.actions.alert_bodies import slack
from billing.actions.budgets import Terms
from billing.models import Alert, Channel, Delivery, UsageRecord
from billing.pricing.budget_periods import PeriodKind
from billing.reports import alert_picture
from tests.builders import body, record
from tests.conftest import NOW, Cast, Service, as_owner
from tests.web.conftest import NOVEMBER

pytestmark = pytest.mark.usefixtures("as_app")

HOSTILE = "=1<script>alert(1)</script>'\"><img src=x>\u202egnp<!channel>\r\nBcc: a@b.c"
MARKUP = re.compile(r"<script>alert|<img src=x|<!channel>")


@pytest.fixture
def hostile(cast: Cast, alice: Service) -> str:
    """Everything that has a name has this one, and one record cannot be priced."""
    for named in (cast.acme, cast.search, cast.answers):
        named.name = HOSTILE
        named.save()
    Channel.objects.create(
        organization=cast.acme, kind="email", target="lead@example.com", created_at=NOW
    )
    budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal("0.001")),
        reason=HOSTILE,
        by=HOSTILE,
        now=NOW,
    )
    sent = record(id=HOSTILE, model=HOSTILE, tags={HOSTILE[:64]: HOSTILE})
    assert alice.post("usage", body(sent, record(tags={"a": HOSTILE}))).status_code == 202
    post.count(team_id=cast.search.pk, now=NOW)
    with as_owner():
        sweep.sweep_unpriced(now=NOW)
    return HOSTILE


def admin_pages(root: Client) -> Iterator[str]:
    """Each list, and the first of what it lists."""
    for model in site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        listed = reverse(f"{name}_changelist")
        yield listed
        links = re.findall(
            rf'href="({listed}[^"?]+/change/)', root.get(listed).content.decode()
        )
        yield from links[:1]


def test_it_is_kept_as_it_is(hostile: str):
    with as_owner():
        stored = UsageRecord.objects.get(record_id=hostile)

    assert (stored.model_name, stored.tags) == (hostile, {hostile[:64]: hostile})


@pytest.mark.parametrize("path", ["/", "/teams/search/", "/prices"])
def test_no_page_takes_it_for_markup(finance: Client, hostile: str, path: str):
    response = finance.get(path, NOVEMBER)
    html = response.content.decode()

    assert response.status_code == 200
    assert not MARKUP.search(html)
    assert path == "/prices" or "&lt;script&gt;alert" in html


def test_no_page_of_the_admin_takes_it_for_markup(root: Client, hostile: str):
    escaped = []
    for path in admin_pages(root):
        response = root.get(path)
        html = response.content.decode()

        assert response.status_code == 200, path
        assert not MARKUP.search(html), path
        escaped += [path] * ("&lt;script&gt;alert" in html)

    said = " ".join(escaped)
    for listed in ("usagerecordrow", "unpricedrecordrow", "alert", "budget", "team"):
        assert f"/{listed}/" in said


@pytest.mark.parametrize("kind", ["cap_reached", "unpriced_model"])
def test_no_mail_takes_it_for_a_header_or_markup(hostile: str, kind: str):
    alert = next(one for one in Alert.objects.all() if one.kind == kind)

    delivery = alert.deliveries.select_related("channel").get()
    picture = alert_picture.of_alert(alert, now=NOW)
    mail = letter.letter(delivery).message(picture, None)
    head, _, _ = mail.message().as_bytes().partition(b"\n\n")
    html = mail.alternatives[0][0]

    assert mail.recipients() == ["lead@example.com"]
    assert mail.subject.isprintable()
    assert not re.search(rb"^bcc", head, re.MULTILINE | re.IGNORECASE)
    assert "\u202e" not in mail.body + html
    assert not MARKUP.search(html)
    assert "&lt;script&gt;alert" in html


def test_slack_takes_it_for_text(hostile: str):
    for delivery in Delivery.objects.select_related("alert__organization"):
        text = json.loads(slack.body(delivery))["text"].partition("\n<http")[0]

        assert not set("<>") & set(text)


def test_a_webhook_carries_it_as_text(hostile: str):
    alert = next(one for one in Alert.objects.all() if one.kind == "unpriced_model")

    content = alert_messages.payload(alert)

    assert content.isascii()
    assert b"\n" not in content
    assert json.loads(content)["data"]["model"]["name"] == hostile
