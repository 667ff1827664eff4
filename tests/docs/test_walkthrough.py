"""docs/walkthrough.md: its calls are made, and its figures worked out another time.

Figures of a month are those of 30 days on the page; the running month may have others.
"""

import json
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from billing.models import Budget
from teams.actions import projects
from teams.models import Role
from teams.reporting_days import ReportingDays
from tests.conftest import NOW, Cast, Service
from tests.docs import calls
from tests.docs.pages import CHECKOUT
from tests.web.conftest import Browser, Page, browser, person, read

__all__ = ["browser", "person"]

PAGE = CHECKOUT / "docs" / "walkthrough.md"
# Of Claude Opus 5.5, per million tokens.
INPUT, WRITE, READ, OUTPUT = Decimal(4), Decimal(8), Decimal("0.2"), Decimal(20)
REQUESTS, WRITING = 100, 5

PLAIN = (9_550 * INPUT + 1_500 * OUTPUT) / 1_000_000
WRITES = (8_000 * WRITE + 1_550 * INPUT + 1_500 * OUTPUT) / 1_000_000
READS = (8_000 * READ + 1_550 * INPUT + 1_500 * OUTPUT) / 1_000_000
CACHED = (WRITING * WRITES + (REQUESTS - WRITING) * READS) / REQUESTS


def shown_answers() -> list[Any]:
    """In the order of the calls."""
    return [one for one in calls.shown(PAGE) if "usage" not in one]


def shown_records() -> list[dict[str, Any]]:
    return [one for one in calls.shown(PAGE) if "usage" in one]


@dataclass
class Reader:
    """Types what the page says, on another day."""

    service: Service
    today: date
    now: datetime
    estimate: str = ""

    @property
    def days(self) -> int:
        return monthrange(self.today.year, self.today.month)[1]

    def call(self, command: str) -> Any:
        text = command.replace("2026-11-21", f"{self.today + timedelta(days=1)}")
        text = text.replace("2026-11-20", f"{self.today}")
        text = text.replace("2026-11", f"{self.today:%Y-%m}")
        text = text.replace("$ESTIMATE", self.estimate)
        return calls.answer(self.service, text)

    def post_usage(self) -> list[Decimal]:
        """A day of it; what each record cost."""
        writing, reading = shown_records()
        day = [writing] * WRITING + [reading] * (REQUESTS - WRITING)
        records = [
            {**record, "id": f"msg_{number:03}", "occurred_at": self.now.isoformat()}
            for number, record in enumerate(day)
        ]
        answer = self.service.post(
            "usage", json.dumps(records), headers={"prefer": "wait=5"}
        )
        assert answer.status_code == 202
        return [Decimal(result["cost"]) for result in answer.json()["results"]]


@pytest.fixture
def reader(cast: Cast, bob: Service) -> Reader:
    projects.create(
        team=cast.support, name="Policy answers", slug="policy-answers", by="tests", now=NOW
    )
    now = timezone.now()
    return Reader(bob, ReportingDays(cast.acme).day(now), now)


def check(shown: Any, answer: Any, month_factor: Decimal = Decimal(1)) -> None:
    """What is shown is in the answer; sums of a month are this one's."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            if name in ("totals", "largest_month"):
                check_scaled(value, answer[name], month_factor)
            elif name != "proposed_cap":
                check(value, answer[name], month_factor)
    elif isinstance(shown, list):
        for one, other in zip(shown, answer, strict=True):
            check(one, other, month_factor)
    else:
        assert answer == shown


def check_scaled(shown: Any, answer: Any, factor: Decimal) -> None:
    if isinstance(shown, dict):
        assert answer.keys() == shown.keys()
        for name, value in shown.items():
            check_scaled(value, answer[name], factor)
    else:
        assert Decimal(answer) == Decimal(shown) * factor


def cap(month: Decimal) -> Decimal:
    """A fifth on top, up to two digits: of a hundred and more, to the ten."""
    return (month * 12 / 100).to_integral_value(ROUND_CEILING) * 10


def test_the_calls_of_the_page_are_answered_as_shown(
    cast: Cast, reader: Reader, person: Callable[..., User], browser: Browser
) -> None:
    typed, answers = calls.typed(PAGE), shown_answers()
    assert len(typed) == len(answers) == 8
    factor = Decimal(reader.days) / 30

    # 1. Plan: without and with a cache.
    uncached, cached = (reader.call(call) for call in typed[:2])
    check(answers[0], uncached, factor)
    check(answers[1], cached, factor)
    month = PLAIN * REQUESTS * reader.days
    assert Decimal(uncached["totals"]["medium"]) == month
    assert Decimal(uncached["proposed_cap"]["amount"]) == cap(month)
    assert Decimal(cached["totals"]["medium"]) == CACHED * REQUESTS * reader.days
    assert cap(PLAIN * REQUESTS * 30) == Decimal(answers[0]["proposed_cap"]["amount"])
    assert cap(CACHED * REQUESTS * 30) == Decimal(answers[1]["proposed_cap"]["amount"])
    for_five_minutes = reader.call(typed[1].replace('"1h"', '"5m"'))
    assert any("14 minutes" in warning for warning in for_five_minutes["warnings"])

    # 2. Approve.
    draft = reader.call(typed[2])
    check(answers[2], draft, factor)
    reader.estimate = draft["id"]
    check(answers[3], reader.call(typed[3]))
    check(answers[4], reader.call(typed[4]))
    budget = Budget.objects.get(project__slug="policy-answers")
    assert (budget.amount, budget.period) == (250, "month")

    # 3. It happens.
    assert reader.post_usage() == [WRITES] * WRITING + [READS] * (REQUESTS - WRITING)

    # 4. Why; 5. The same, asked twice more.
    check(answers[5], reader.call(typed[5]))
    check(answers[6], reader.call(typed[6]))
    check(answers[7], reader.call(typed[7]))

    on_pages(browser(person("lea", Role.LEAD, cast.acme, cast.support)), reader)


def on_pages(lead: Client, reader: Reader) -> None:
    """The same in the estimate, beside what was spent, and among the savings."""
    planned, spent = PLAIN * REQUESTS, CACHED * REQUESTS
    saved = (REQUESTS - WRITING) * 8_000 * (INPUT - READ) / 1_000_000
    premium = WRITING * 8_000 * (WRITE - INPUT) / 1_000_000
    today = {"from": f"{reader.today}", "through": f"{reader.today}"}

    estimate = read(lead, f"/estimates/{reader.estimate}")
    variance = read(lead, "/teams/support/variance", project="policy-answers", **today)
    savings = read(lead, "/teams/support/savings", **today)

    assert {planned * reader.days, cap(planned * reader.days)} <= figures_of(estimate)
    assert {planned, spent, spent - planned} <= figures_of(variance)
    assert "Caching made input cheaper than planned" in variance.text
    assert {saved, premium, saved - premium} <= figures_of(savings)


def figures_of(page: Page) -> set[Decimal]:
    return {Decimal(value) for value in page.values() if value}


def test_the_figures_of_the_page_are_these() -> None:
    text = PAGE.read_text()
    saved = REQUESTS * (PLAIN - CACHED)

    assert PLAIN * Decimal("0.6") == CACHED
    prompt, prompt_cached = 8_000 * INPUT, 7_600 * READ + 400 * WRITE
    found = {
        f"8,000 × $4 = ${prompt / 1_000_000:f}",
        f"7,600 × $0.20 + 400 × $8 = ${prompt_cached / 1_000_000:f}",
        f"| {1_550:,} | ${1_550 * INPUT / 1_000_000:f} |",
        f"**${PLAIN:f}** | **${CACHED:f}**",
        f"${PLAIN * REQUESTS:.2f} | ${CACHED * REQUESTS:.3f} |",
        f"${PLAIN * REQUESTS * 30:.2f} | ${CACHED * REQUESTS * 30:.2f} |",
        f"costs ${PLAIN - CACHED:f} less: 40 % of ${PLAIN:f}",
        f"policies alone cost {(1 - prompt_cached / prompt) * 100:.2f} % less",
        f"= ${PLAIN * REQUESTS * 30 * 12 / 10:.2f}, rounded up",
        f"a million: ${WRITES:f}",
        f"at ${READS:f} each",
        f"5 × ${WRITES:f} + 95 × ${READS:f} = ${CACHED * REQUESTS:.3f}.",
        f"−${760_000 * (INPUT - READ) / 1_000_000:.3f}; 40,000",
        f"+${40_000 * (WRITE - INPUT) / 1_000_000:.2f}",
    }
    assert {one for one in found if one not in text} == set()
    assert saved == Decimal("2.728")
