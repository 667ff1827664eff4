"""Prices at once, prices later, and prices that nobody knows yet."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.chaos import oracle
from tests.chaos.service import Client, Service, await_that

pytestmark = pytest.mark.xdist_group("journeys")

PUBLISH = """
from datetime import UTC, date, datetime
from django.utils import timezone
from billing.actions import rate_cards
from billing.models import Alias, LanguageModel, Publication, Rate, RateCard
model = LanguageModel.objects.create(
    provider="anthropic", name="claude-tomorrow-9", display_name="Claude Tomorrow 9",
    family="Claude Tomorrow")
Alias.objects.create(model=model, provider="anthropic", name="claude-tomorrow-9-20270101")
publication = Publication.objects.create(
    card=RateCard.objects.get(kind="list", provider="anthropic"), note="A new model.",
    created_by="tests", created_at=timezone.now())
Rate.objects.create(
    publication=publication, model=model, effective_from=datetime(2026, 1, 1, tzinfo=UTC),
    input="7", output="35", source="tests", observed_on=date(2026, 1, 1))
rate_cards.publish(publication=publication, by="tests", now=timezone.now())
"""
RETRY = "from billing import tasks; tasks.retry_unpriced()"


def call(record_id: str, model: str = "claude-haiku-4-5", **members: Any) -> dict[str, Any]:
    return {
        "id": record_id,
        "provider": "anthropic",
        "model": model,
        "occurred_at": datetime.fromtimestamp(time.time(), UTC).isoformat(),
        "usage": {"input_tokens": 1_000, "output_tokens": 300},
        **members,
    }


def unpriced(demo: Client) -> int:
    """In this month's report."""
    return int(demo.get("reports/spend").body["unpriced_records"])


def test_who_prefers_to_wait_gets_the_price_with_the_answer(demo: Client) -> None:
    record = call("wait-1")

    reply = demo.post("usage", record, Prefer="wait=5")

    assert reply.status == 202
    assert reply.headers["preference-applied"] == "wait=5"
    (result,) = reply.body["results"]
    assert (result["status"], result["state"]) == ("accepted", "priced")
    assert Decimal(result["cost"]) == oracle.expected_cost(record) == Decimal("0.0025")


def test_who_waits_is_answered_when_the_sums_are_locked(
    service: Service, demo: Client
) -> None:
    """The record is committed: it is accepted, and its price comes later."""
    with service.sql() as other, other.transaction():
        other.execute("LOCK TABLE billing_daily_spend IN SHARE MODE")
        reply = demo.post("usage", call("wait-2"), Prefer="wait=1")

    assert reply.status == 202, reply
    assert reply.body["results"][0]["state"] == "pending"
    await_that(lambda: demo.get("usage/wait-2").body["state"] == "priced", 5, "priced")


def test_an_unknown_model_is_unpriced_until_its_price_is_published(
    service: Service, demo: Client
) -> None:
    before = unpriced(demo)

    reply = demo.post("usage", call("new-1", "claude-tomorrow-9-20270101"), Prefer="wait=5")

    assert reply.body["results"][0]["state"] == "unpriced"
    assert reply.body["results"][0]["cost"] is None
    found = demo.get("usage/new-1").body
    assert (found["state"], found["reason"]) == ("unpriced", "unknown_model")
    assert unpriced(demo) == before + 1

    service.shell(PUBLISH)
    service.shell(RETRY, role="worker")

    await_that(lambda: demo.get("usage/new-1").body["state"] == "priced", 5, "priced")
    # 1,000 tokens at 7 dollars and 300 at 35 dollars per million.
    assert Decimal(demo.get("usage/new-1").body["cost"]) == Decimal("0.0175")
    assert unpriced(demo) == before
    service.manage("verify_ledger")
