"""Counting: charges and rollups, once, together, and past what cannot be counted."""

from decimal import Decimal

import pytest
from django.db import ProgrammingError, connection, transaction

from billing.actions import budgets, parked, post, rate_cards, receive
from billing.formats.body import split
from billing.models import (
    Alias,
    Charge,
    DailySpend,
    HourlySpend,
    LanguageModel,
    Posting,
    Publication,
    QuarantinedRecord,
    Rate,
    RateCard,
    UnpricedRecord,
    UsageRecord,
    recorded,
)
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Step
from billing.reports import verification
from teams import isolation
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, issue


@pytest.fixture
def send(cast: Cast):
    """Receive records for `answers` without counting them."""
    key, _ = issue(cast.acme)

    def receive_all(*records: dict) -> None:
        raws = split(body(*records), "application/json", 1000)
        receive.receive(key=key, raws=raws, now=NOW)

    return receive_all


def count(cast: Cast) -> int:
    return post.count(team_id=cast.search.pk, now=NOW)


def test_counting_makes_charges_and_rollups_and_ends_the_posting(cast: Cast, send):
    send(record(), record())

    assert count(cast) == 1

    assert [charge.cost for charge in Charge.objects.all()] == [Decimal(COST)] * 2
    day = DailySpend.objects.get()
    assert (day.requests, day.input, day.output) == (2, 2000, 20)
    assert (day.input_cost, day.output_cost) == (Decimal("0.008"), Decimal("0.0004"))
    assert day.cost == HourlySpend.objects.get().cost == 2 * Decimal(COST)
    assert not Posting.objects.exists()


def test_counting_twice_counts_once(cast: Cast, send):
    send(record())
    count(cast)
    stored = UsageRecord.objects.get()
    with isolation.visible_teams([cast.search.pk]):
        Posting.objects.create(
            team_id=cast.search.pk,
            uid=stored.uid,
            received_at=NOW,
            record_uids=[stored.uid],
            records=1,
            months=[stored.month],
        )

    assert count(cast) == 1

    assert Charge.objects.count() == 1
    assert DailySpend.objects.get().cost == Decimal(COST)


def test_a_second_posting_adds_to_the_same_day(cast: Cast, send):
    send(record())
    count(cast)
    send(record(), record(model="claude-opus-5"))
    count(cast)

    costs = DailySpend.objects.values_list("model__name", "requests", "cost")
    assert set(costs) == {
        ("claude-opus-5-5", 2, 2 * Decimal(COST)),
        ("claude-opus-5", 1, Decimal("0.00525")),
    }


def test_the_day_is_that_of_the_reporting_zone(cast: Cast, send):
    send(record(occurred_at="2026-11-20T23:30:00Z"))  # half past midnight in Berlin
    count(cast)

    assert DailySpend.objects.get().day.isoformat() == "2026-11-21"
    assert HourlySpend.objects.get().hour.isoformat() == "2026-11-20T23:00:00+00:00"


def test_iterations_are_charged_at_their_own_models_and_are_one_request(cast: Cast, send):
    usage = {
        "input_tokens": 1000,
        "output_tokens": 10,
        "iterations": [
            {"type": "message", "input_tokens": 1000, "output_tokens": 10},
            {
                "type": "advisor_message",
                "model": "claude-sonnet-5",
                "input_tokens": 2000,
                "output_tokens": 20,
            },
        ],
    }
    send(record(usage=usage))
    count(cast)

    spend = DailySpend.objects.values_list("model__name", "requests", "cost")
    assert set(spend) == {
        ("claude-opus-5-5", 1, Decimal(COST)),
        ("claude-sonnet-5", 0, Decimal("0.0042")),  # 2,000 × 2 + 20 × 10 per million
    }


def test_session_beside_iterations_is_read_back_as_it_came(cast: Cast, send):
    usage = {
        "input_tokens": 1000,
        "output_tokens": 10,
        "active_seconds": 2.5,
        "iterations": [
            {"type": "message", "input_tokens": 1000, "output_tokens": 10},
            {"type": "compaction", "input_tokens": 2000, "output_tokens": 20},
        ],
    }
    send(record(usage=usage, product="managed_agents_api"))

    kept = UsageRecord.objects.get()
    (stored,) = recorded.read(cast.search.pk, [kept.uid], [kept.month])

    assert recorded.usage_of(stored).steps == (
        Step("claude-opus-5-5", Quantities(1000, output=10)),
        Step("claude-opus-5-5", Quantities(2000, output=20, session=2500)),
    )


def test_a_message_that_a_tool_made_up_costs_nothing(cast: Cast, send):
    send(record(model="<synthetic>", usage={"input_tokens": 0, "output_tokens": 0}))
    count(cast)

    charge = Charge.objects.get()
    assert (charge.cost, charge.reason) == (0, "synthetic")


def test_what_the_provider_does_not_bill_is_a_request_of_no_cost(cast: Cast, send):
    send(record(batch_result="expired", processing="batch"))
    count(cast)

    charge = Charge.objects.get()
    assert (charge.cost, charge.reason) == (0, "batch_expired")
    assert DailySpend.objects.get().requests == 1


def test_an_unknown_model_is_kept_apart_and_not_counted_as_zero(cast: Cast, send):
    send(record(model="claude-opus-99"), record())
    count(cast)

    unpriced = UnpricedRecord.objects.get()
    assert (unpriced.reason, unpriced.model_name) == ("unknown_model", "claude-opus-99")
    assert Charge.objects.count() == DailySpend.objects.get().requests == 1


def publish_opus_99() -> None:
    model = LanguageModel.objects.create(
        provider="anthropic", name="claude-opus-99", display_name="Opus 99", family="Opus"
    )
    Alias.objects.create(model=model, provider="anthropic", name="claude-opus-99")
    publication = Publication.objects.create(
        card=RateCard.objects.get(provider="anthropic"), created_by="tests", created_at=NOW
    )
    Rate.objects.create(
        publication=publication,
        model=model,
        effective_from=NOW.replace(year=2025),
        input=3,
        output=15,
        source="test",
        observed_on=NOW.date(),
    )
    rate_cards.publish(publication=publication, by="tests", now=NOW)


def test_unpriced_records_are_priced_once_the_rate_is_published(cast: Cast, send):
    send(record(model="claude-opus-99"))
    count(cast)
    assert parked.retry(team_id=cast.search.pk, now=NOW) == 0  # nothing has changed

    publish_opus_99()
    assert parked.retry(team_id=cast.search.pk, now=NOW) == 1
    count(cast)

    assert Charge.objects.get().cost == Decimal("0.00315")
    assert not UnpricedRecord.objects.exists()


def test_a_publication_alone_changes_no_past_total(cast: Cast, send):
    send(record())
    count(cast)
    before = list(DailySpend.objects.values())

    publish_opus_99()
    dearer = Publication.objects.create(
        card=RateCard.objects.get(provider="anthropic"), created_by="tests", created_at=NOW
    )
    Rate.objects.create(
        publication=dearer,
        model=LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5"),
        effective_from=NOW.replace(year=2025),
        input=100,
        output=100,
        source="test",
        observed_on=NOW.date(),
    )
    rate_cards.publish(publication=dearer, by="tests", now=NOW)
    parked.retry(team_id=cast.search.pk, now=NOW)
    count(cast)

    assert list(DailySpend.objects.values()) == before


def break_constraint_for(record_id: str) -> None:
    """Make the database refuse to charge this one record, whatever the application does."""
    uid = UsageRecord.objects.get(record_id=record_id).uid
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE billing_charge "
            f"ADD CONSTRAINT poison CHECK (record_uid <> '{uid}')"
        )


@pytest.mark.parametrize("position", [0, 3, 6])
def test_a_record_that_cannot_be_counted_is_set_aside_and_the_others_go_on(
    cast: Cast, send, position: int
):
    records = [record() for _ in range(7)]
    send(*records)
    break_constraint_for(records[position]["id"])

    count(cast)

    assert QuarantinedRecord.objects.get().record_id == records[position]["id"]
    assert "poison" in QuarantinedRecord.objects.get().detail
    assert Charge.objects.count() == DailySpend.objects.get().requests == 6
    assert not Posting.objects.exists()


def test_a_record_is_in_one_state_whatever_it_was_before(cast: Cast, send):
    send(record(id="msg_1", model="claude-opus-99"))
    count(cast)
    break_constraint_for("msg_1")
    publish_opus_99()
    parked.retry(team_id=cast.search.pk, now=NOW)

    count(cast)

    assert QuarantinedRecord.objects.get().record_id == "msg_1"
    assert not UnpricedRecord.objects.exists()
    assert [check for check in verification.checks() if not check.ok] == []


def test_a_fault_of_the_schema_quarantines_nothing(cast: Cast, send):
    send(record())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_charge RENAME COLUMN reason TO why")

    savepoint = transaction.savepoint()
    with pytest.raises(ProgrammingError):
        count(cast)
    transaction.savepoint_rollback(savepoint)

    assert Posting.objects.count() == 1
    assert not QuarantinedRecord.objects.exists()


def test_a_claim_takes_whole_postings_up_to_its_limit(cast: Cast, send, monkeypatch):
    monkeypatch.setattr(post, "RECORDS_AT_ONCE", 3)
    for _ in range(4):
        send(record(), record())

    assert [count(cast), count(cast), count(cast)] == [2, 2, 0]


def test_teams_are_found_by_how_long_they_have_waited(cast: Cast, send):
    send(record(project="triage"))
    send(record())
    send(record(project="triage"))

    assert list(post.batches_waiting()) == [cast.support.pk, cast.search.pk]


def test_the_ledger_verifies_after_all_of_this(cast: Cast, send):
    send(record(), record(model="claude-opus-99"), record(batch_result="errored"))
    count(cast)
    send(record())

    assert [check for check in verification.checks() if not check.ok] == []


@pytest.mark.parametrize(
    ("damage", "found_by"),
    [
        ("UPDATE billing_daily_spend SET cost = cost + 1", "daily rollups = Σ charges"),
        ("UPDATE billing_hourly_spend SET input = input + 1", "hourly rollups = Σ charges"),
        ("DELETE FROM billing_daily_spend", "daily rollups = Σ charges"),
        (
            "UPDATE billing_daily_spend SET input_cost = 0",
            "cost of a day = Σ of its token classes",
        ),
        (
            "UPDATE billing_budget_total SET spent = spent + 0.000000000000001",
            "budget totals = Σ daily rollups",
        ),
        ("DELETE FROM billing_budget_total", "budget totals = Σ daily rollups"),
        (
            "UPDATE billing_tagged_spend SET cost = cost + 0.000000000000001",
            "tagged spend = Σ charges of the tagged records",
        ),
        (
            "DELETE FROM billing_tagged_spend",
            "tagged spend = Σ charges of the tagged records",
        ),
        ("DELETE FROM billing_tagged_spend", "budget totals = Σ daily rollups"),
        ("UPDATE billing_charge SET cost = cost * 2", "charge = Σ quantity × rate"),
        (
            "UPDATE billing_usage_record SET output = 11",
            "Σ charges of a record = its usage",
        ),
        (
            "DELETE FROM billing_charge",
            "each record is pending, priced, unpriced, quarantined or void",
        ),
        ("DELETE FROM billing_usage_record", "no charge without its record"),
    ],
)
def test_the_verifier_finds_damage(cast: Cast, send, damage: str, found_by: str):
    made = {
        "organization": cast.acme,
        "project": cast.answers,
        "terms": budgets.Terms(Decimal(1)),
        "by": "tests",
        "now": NOW,
    }
    for period in set(PeriodKind) - {PeriodKind.CUSTOM}:
        budgets.create(period=period, **made)
    tagged = budgets.Limits(tag_key="env", tag_values=("prod",))
    budgets.create(period=PeriodKind.MONTH, limits=tagged, **made)
    send(record(tags={"env": "prod"}))
    count(cast)
    assert all(check.ok for check in verification.checks())
    with connection.cursor() as cursor:
        cursor.execute(damage + " /*fanout*/")

    failed = {check.name for check in verification.checks() if not check.ok}

    assert found_by in failed


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE billing_posting SET record_uids = array[gen_random_uuid()]",
        "UPDATE billing_unpriced_record SET record_uid = gen_random_uuid()",
        "UPDATE billing_quarantined_record SET record_uid = gen_random_uuid()",
    ],
)
def test_the_verifier_finds_what_waits_without_its_record(cast: Cast, send, damage: str):
    send(record(model="claude-opus-99"), record(id="msg_1"))
    break_constraint_for("msg_1")
    count(cast)
    send(record())
    with connection.cursor() as cursor:
        cursor.execute(damage + " /*fanout*/")

    failed = {check.name for check in verification.checks() if not check.ok}

    assert failed == {
        "each record is pending, priced, unpriced, quarantined or void",
        "nothing waits or is set aside without its record",
    }


def test_the_verifier_finds_an_id_twice(cast: Cast, send):
    one = record()
    send(one, one | {"occurred_at": "2026-10-30T00:00:00Z"})
    count(cast)

    failed = [check.name for check in verification.checks() if not check.ok]

    assert failed == ["no id twice: in two months, or under two owners"]
