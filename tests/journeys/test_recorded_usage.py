"""The recorded calls: posted, priced to the last digit, counted once."""

import json
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.chaos.service import CHECKOUT, Client, Service, await_that

pytestmark = pytest.mark.xdist_group("journeys")

RECORDED = CHECKOUT / "tests" / "data" / "recorded_usage.jsonl"
EXAMPLES = CHECKOUT / "tests" / "data" / "price_examples.json"
AUGUST = "reports/spend?group_by=model&from=2026-08-01&to=2026-09-01"
SECONDS = 20

# The names in the file that are not the models' own.
CANONICAL = {
    "claude-3-opus-20240229": "claude-3-opus",
    "claude-haiku-4-5-20251001": "claude-haiku-4-5",
    "claude-sonnet-4-20250514": "claude-sonnet-4",
    "claude-sonnet-4-5-20250929": "claude-sonnet-4-5",
}


class Recorded(NamedTuple):
    record: dict[str, Any]
    cost: Decimal
    model: str


def recorded_calls() -> Iterator[Recorded]:
    for line in RECORDED.read_text().splitlines():
        record = json.loads(line)
        cost = Decimal(record.pop("expected_usd"))
        yield Recorded(record, cost, CANONICAL.get(record["model"], record["model"]))


CALLS = list(recorded_calls())
RECORDS = [call.record for call in CALLS]
COSTS = {call.record["id"]: call.cost for call in CALLS}


def post_all(demo: Client) -> list[dict[str, Any]]:
    """One by one, as lines, as an array, in an envelope; what each record was answered."""
    lines = "\n".join(map(json.dumps, RECORDS[20:55])).encode()
    replies = [demo.post("usage?verbose=1", record) for record in RECORDS[:20]]
    replies += [
        demo.post("usage?verbose=1", lines, Content_Type="application/x-ndjson"),
        demo.post("usage?verbose=1", RECORDS[55:90]),
        demo.post("usage?verbose=1", {"records": RECORDS[90:]}),
    ]
    assert {reply.status for reply in replies} == {202}
    return [result for reply in replies for result in reply.body["results"]]


def ledger(service: Service) -> list[tuple[Any, ...]]:
    """How much is in each table, and what it comes to; besides what was received."""
    tables = ("usage_record", "charge", "daily_spend", "hourly_spend")
    counts = [service.query(f"SELECT count(*) FROM billing_{table}") for table in tables]
    waiting = service.query("SELECT sum(records) FROM billing_posting WHERE records > 0")
    return [*counts, waiting, *service.query("SELECT sum(cost) FROM billing_daily_spend")]


@pytest.fixture(scope="module")
def posted(running: Service) -> list[dict[str, Any]]:
    """All of them have been posted and are priced; what they were answered."""
    demo = running.client(running.demo_key)
    results = post_all(demo)
    for record_id in COSTS:
        await_that(
            lambda path=f"usage/{record_id}": demo.get(path).body["state"] == "priced",
            SECONDS,
            f"{record_id} is priced",
        )
    return results


def test_each_recorded_call_costs_what_it_should(
    posted: list[dict[str, Any]], demo: Client
) -> None:
    assert [result["id"] for result in posted] == list(COSTS)
    assert {result["status"] for result in posted} == {"accepted"}

    costs = {
        record_id: Decimal(demo.get(f"usage/{record_id}").body["cost"])
        for record_id in COSTS
    }

    assert len(costs) == 124
    assert costs == COSTS


def test_the_report_is_their_exact_sum(posted: list[dict[str, Any]], demo: Client) -> None:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for call in CALLS:
        sums[call.model] += call.cost

    report = demo.get(AUGUST).body

    assert Decimal(report["total"]["cost"]) == sum(COSTS.values())
    assert report["total"]["requests"] == 124
    assert {row["model"]: Decimal(row["cost"]) for row in report["rows"]} == sums


def test_posting_all_of_it_again_changes_nothing(
    posted: list[dict[str, Any]], service: Service, demo: Client
) -> None:
    before, report = ledger(service), demo.get(AUGUST).body

    again = post_all(demo)

    assert {result["status"] for result in again} == {"duplicate"}
    assert ledger(service) == before
    assert demo.get(AUGUST).body["rows"] == report["rows"]


def test_the_ledger_adds_up(posted: list[dict[str, Any]], service: Service) -> None:
    assert "FAIL" not in service.manage("verify_ledger").stdout


def test_a_quote_is_what_was_charged(demo: Client) -> None:
    quotes = demo.post("prices/quote", RECORDS).body["results"]

    assert {quote["id"]: Decimal(quote["cost"]) for quote in quotes} == COSTS


def test_the_command_prices_the_file_as_the_service_does(service: Service) -> None:
    said = service.manage("price_usage", str(RECORDED))

    quotes = [json.loads(line) for line in said.stdout.splitlines()]
    assert {quote["id"]: Decimal(quote["cost"]) for quote in quotes} == COSTS
    assert "124 of 124 prices equal their expected_usd." in said.stderr


def test_the_command_prices_every_example(service: Service, tmp_path: Path) -> None:
    """Of every provider and format; one of them brings a rate card of its own."""
    examples = [
        example
        for example in json.loads(EXAMPLES.read_text())
        if "rate_card_per_token" not in example
    ]
    file = tmp_path / "examples.jsonl"
    file.write_text("\n".join(map(json.dumps, examples)))

    said = service.manage("price_usage", str(file))

    quotes = [json.loads(line) for line in said.stdout.splitlines()]
    assert [(quote["id"], Decimal(quote["cost"])) for quote in quotes] == [
        (example["id"], Decimal(example["expected_usd"])) for example in examples
    ]
    assert "335 of 335 prices equal their expected_usd." in said.stderr
