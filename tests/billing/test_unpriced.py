"""Records without a price: what they cost at most, one alert a model, and their price."""

import json
from decimal import Decimal

import pytest
from django.db import connection

from billing.actions import alert_messages, catalog, parked, post, receive, sweep
from billing.actions.alert_bodies import mail
from billing.formats.body import split
from billing.models import Alert, Channel, Delivery, LanguageModel
from billing.reports import budgets as budget_reports
from billing.reports import exposure, overview, spend
from billing.reports.exposure import Exposure
from tests.billing.test_rerates import count_all, make_budget, publish
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, Service, issue

UNKNOWN = "claude-opus-99"


@pytest.fixture
def send(cast: Cast):
    key, _ = issue(cast.acme)

    def send_and_count(*records: dict) -> None:
        raws = split(body(*records), "application/json", 1000)
        receive.receive(key=key, raws=raws, now=NOW)
        count_all()

    return send_and_count


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} /*fanout*/")


# --- Exposure -----------------------------------------------------------------------


def test_it_is_bounded_by_the_highest_price_of_each_class(cast: Cast, send):
    """Beyond every card: 150 in, 300 out per million, on different models."""
    publish("claude-haiku-4-5", input="150", output="1")
    publish("claude-sonnet-5", input="1", output="300")
    send(record(model=UNKNOWN))

    [model] = exposure.unpriced_models(team_ids=[cast.search.pk])

    # 1,000 tokens at 150 and 10 at 300 dollars per million.
    assert model.exposure == Exposure(1, Decimal("0.153"))


def test_prices_that_were_not_in_force_do_not_bound_it(cast: Cast, send):
    publish(since="2026-12-01", input="3000", output="3000")
    send(record(model=UNKNOWN))
    before = exposure.unpriced_models(team_ids=[cast.search.pk])[0].exposure.at_most
    publish(since="2026-11-30", input="3000", output="3000")

    after = exposure.unpriced_models(team_ids=[cast.search.pk])[0].exposure.at_most

    assert before is not None
    assert before < Decimal(1) < after == Decimal("3.03")


def test_it_is_not_less_than_what_the_record_costs_in_the_end(cast: Cast, send):
    send(record(model=UNKNOWN, processing="batch", speed="fast"), record(model=UNKNOWN))
    [model] = exposure.unpriced_models(team_ids=[cast.search.pk])

    catalog.add_alias(
        model=LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5"),
        name=UNKNOWN,
        by="tests",
        now=NOW,
    )
    parked.retry(team_id=cast.search.pk, now=NOW)
    count_all()

    assert model.records == 2
    assert model.exposure.at_most >= Decimal(COST)


def test_without_rates_of_the_provider_all_cards_bound_it(cast: Cast, send):
    send(record(model=UNKNOWN))
    with_its_own = exposure.unpriced_models(team_ids=[cast.search.pk])[0].exposure
    execute("UPDATE billing_unpriced_record SET provider = 'nobody'")

    [model] = exposure.unpriced_models(team_ids=[cast.search.pk])

    assert (model.provider, model.exposure.records) == ("nobody", 1)
    assert model.exposure.at_most >= with_its_own.at_most


def test_a_class_that_no_card_prices_leaves_it_unknown(cast: Cast, send):
    send(record(model=UNKNOWN))
    execute("UPDATE billing_usage_record SET output_image = 7")

    [model] = exposure.unpriced_models(team_ids=[cast.search.pk])

    assert model.exposure == Exposure(1, None)


def test_it_stands_beside_the_budgets_it_may_count_against(cast: Cast, send):
    of_team = make_budget(cast, "1")
    send(
        record(),
        record(model=UNKNOWN),
        record(model=UNKNOWN, project="triage"),
        record(model=UNKNOWN, occurred_at="2026-10-25T12:00:00Z"),
    )

    [status] = budget_reports.statuses([of_team], now=NOW)

    assert status.spent == Decimal(COST)
    assert status.exposure.records == 1
    assert status.exposure.at_most > 0


def test_it_stands_beside_the_spend(cast: Cast, send):
    send(record(), record(model=UNKNOWN), record(model=UNKNOWN, project="triage"))
    extent = {"since": NOW.date().replace(day=1), "until": NOW.date().replace(month=12)}

    report = spend.spend(team_ids=[cast.search.pk], group_by=("team",), **extent)
    whole = overview.overview(
        organization=cast.acme,
        teams=[cast.search, cast.support],
        whole=True,
        now=NOW,
        **extent,
    )

    assert report.total.cost == Decimal(COST)
    assert report.unpriced_records == report.exposure.records == 1
    assert whole.exposure.records == 2
    assert whole.exposure.at_most == 2 * report.exposure.at_most


def test_the_api_says_so_everywhere(cast: Cast, send, bob: Service, charlie: Service):
    service = Service(issue(cast.acme)[1])
    make_budget(cast, "1")
    send(record(), record(model=UNKNOWN), record(model="claude-opus-98"))
    send(record(model=UNKNOWN, project="triage"))

    report = service.get("reports/unpriced").json()

    assert [(one["model"], one["records"]) for one in report["models"]] == [
        (UNKNOWN, 2),
        ("claude-opus-98", 1),
    ]
    first = report["models"][0]
    assert (first["teams"], first["reasons"]) == (["search", "support"], ["unknown_model"])
    assert first["first_seen"] == first["last_seen"] == "2026-11-20T09:30:00Z"
    assert report["total"]["records"] == 3
    per_record = Decimal(report["total"]["at_most"]) / 3
    assert Decimal(first["at_most"]) == 2 * per_record
    [budget] = service.get("budgets").json()["data"]
    assert budget["spent"] == COST
    assert budget["unpriced"]["records"] == 2
    days = {"from": "2026-11-01", "to": "2026-12-01"}
    shown = service.get("reports/spend", **days).json()["unpriced"]
    assert shown == report["total"]
    assert bob.get("reports/unpriced").json()["total"]["records"] == 1
    assert charlie.get("reports/unpriced").json()["models"] == []


# --- Alerts -------------------------------------------------------------------------


def listen(cast: Cast, target: str, **scope) -> Channel:
    return Channel.objects.create(
        organization=scope.pop("organization", cast.acme),
        kind="email",
        target=target,
        created_at=NOW,
        **scope,
    )


def test_each_model_is_said_once_to_whom_it_concerns(cast: Cast, send):
    of_all, of_search = listen(cast, "all@x"), listen(cast, "s@x", team=cast.search)
    listen(cast, "support@x", team=cast.support)
    listen(cast, "other@x", organization=cast.outsiders)
    send(*(record(model=UNKNOWN) for _ in range(5)), record(model="claude-opus-98"))

    assert sweep.sweep_unpriced(now=NOW) == 2
    send(record(model=UNKNOWN))
    assert sweep.sweep_unpriced(now=NOW) == 0

    assert [str(one) for one in Alert.objects.order_by("subject")] == [
        "Model without a price: anthropic claude-opus-98",
        f"Model without a price: anthropic {UNKNOWN}",
    ]
    assert {one.kind for one in Alert.objects.all()} == {"unpriced_model"}
    sent_to = Delivery.objects.values_list("alert__details__name", "channel")
    assert set(sent_to) == {
        (name, channel.pk)
        for name in ("claude-opus-98", UNKNOWN)
        for channel in (of_all, of_search)
    }


def test_it_is_resolved_when_none_is_left(cast: Cast, send):
    send(record(model=UNKNOWN))
    sweep.sweep_unpriced(now=NOW)
    catalog.add_alias(
        model=LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5"),
        name=UNKNOWN,
        by="tests",
        now=NOW,
    )
    parked.retry(team_id=cast.search.pk, now=NOW)
    post.count(team_id=cast.search.pk, now=NOW)

    sweep.sweep_unpriced(now=NOW)

    alert = Alert.objects.get()
    assert (alert.state, alert.resolved_at) == ("resolved", NOW)


def test_the_message_says_which_model_has_no_price(cast: Cast, send):
    Channel.objects.create(
        organization=cast.acme, kind="email", target="a@example.com", created_at=NOW
    )
    send(record(model=UNKNOWN))
    sweep.sweep_unpriced(now=NOW)
    alert = Alert.objects.get()

    message = mail.letter(alert.deliveries.get()).message(None, None)

    assert message.subject == f"[Purser] No price for {UNKNOWN}"
    assert f"anthropic {UNKNOWN} has no price" in message.body
    said = json.loads(alert_messages.payload(alert))["data"]
    assert said["kind"] == "unpriced_model"
    assert said["model"] == {"provider": "anthropic", "name": UNKNOWN}
    assert said["organization"] == "acme"


def test_only_keys_of_the_organization_read_them(cast: Cast, send, alice, charlie):
    send(record(model=UNKNOWN))
    sweep.sweep_unpriced(now=NOW)

    [alert] = Service(issue(cast.acme)[1]).get("alerts").json()["data"]

    assert (alert["kind"], alert["model"]) == ("unpriced_model", UNKNOWN)
    assert (alert["budget"], alert["spent"], alert["threshold"]) == (None, None, None)
    assert alice.get("alerts").json()["data"] == []
    assert charlie.get("alerts").json()["data"] == []
