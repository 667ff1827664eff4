"""What is charged for a closed month counts today; what the month said stays."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from billing.actions import budgets, catalog, parked, post, receive, rollups, voids
from billing.actions.budgets import Terms
from billing.formats.body import split
from billing.models import (
    BudgetTotal,
    Charge,
    DailySpend,
    HourlySpend,
    LanguageModel,
    UsageRecord,
    months,
)
from billing.models.months import OpenMonths
from billing.pricing.budget_periods import PeriodKind
from billing.reports import spend, verification
from teams.actions import organizations
from teams.models import Team
from teams.reporting_days import ReportingDays
from tests.billing.test_rerates import DEARER, carry_out, plan, publish
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, issue

PRICE = Decimal(COST)
# In Berlin, whose October is open until the end of 3 November.
IN_OCTOBER = "2026-10-20T10:00:00Z"
OCTOBER = datetime(2026, 10, 21, 12, tzinfo=UTC)
LAST_MOMENT = datetime(2026, 11, 3, 22, 59, tzinfo=UTC)
TODAY = "2026-11-22"


@pytest.fixture
def count(cast: Cast) -> Callable[..., None]:
    """Receive and count records at a moment, which is after OCTOBER unless it is said."""
    Team.objects.update(created_at="2026-01-15T00:00:00Z")
    key, _ = issue(cast.acme, scopes=["usage:write", "import"])

    def receive_and_count(*records: dict[str, Any], now: datetime = NOW) -> None:
        raws = split(body(*records), "application/json", 1000) if records else []
        receive.receive(key=key, raws=raws, now=now)
        for team_id in post.batches_waiting():
            while post.count(team_id=team_id, now=now):
                pass

    return receive_and_count


def days() -> dict[str, tuple[int, Decimal, Decimal]]:
    """Requests, cost and what of it adjusts earlier months, per day."""
    return {
        f"{one.day}": (one.requests, one.cost, one.adjustment)
        for one in DailySpend.objects.order_by("day")
    }


def take_back(team: Team, *record_ids: str, now: datetime = NOW) -> None:
    records = UsageRecord.objects.filter(record_id__in=record_ids)
    uids = [one.uid for one in records]
    voids.void(team=team, uids=uids, reason="posted twice", by="lead", now=now)


def faults() -> list[Any]:
    return [check for check in verification.checks() if not check.ok]


# --- Late records -------------------------------------------------------------------


def test_a_late_record_of_an_open_month_is_of_its_own_day(count: Any):
    count(record(occurred_at="2026-11-03T12:00:00Z"))
    count(record(occurred_at=IN_OCTOBER), now=LAST_MOMENT)

    assert days() == {"2026-10-20": (1, PRICE, 0), "2026-11-03": (1, PRICE, 0)}


def test_a_late_record_of_a_closed_month_is_an_adjustment_of_today(count: Any):
    count(record(occurred_at=IN_OCTOBER), now=OCTOBER)

    count(record(occurred_at=IN_OCTOBER), now=LAST_MOMENT + timedelta(minutes=1))

    assert days() == {"2026-10-20": (1, PRICE, 0), "2026-11-04": (1, PRICE, PRICE)}
    charge = Charge.objects.get(day="2026-11-04")
    assert charge.occurred_at.isoformat() == "2026-10-20T10:00:00+00:00"
    # The provider's hour is what it is.
    hour = HourlySpend.objects.get()
    assert (f"{hour.hour:%Y-%m-%dT%H}", hour.cost) == ("2026-10-20T10", 2 * PRICE)
    assert faults() == []


def test_the_month_is_that_of_the_zone(count: Any):
    """23:30 UTC on 31 October is in November in Berlin."""
    count(record(occurred_at="2026-10-31T23:30:00Z"))
    count(record(occurred_at="2026-10-31T22:30:00Z"))

    assert days() == {"2026-11-01": (1, PRICE, 0), TODAY: (1, PRICE, PRICE)}
    assert faults() == []


def test_months_from_before_the_team_are_never_closed(count: Any, cast: Cast):
    """Imported history: nobody was given a figure of it."""
    Team.objects.filter(pk=cast.search.pk).update(created_at="2026-10-25T00:00:00Z")
    count(record(occurred_at="2026-09-30T21:00:00Z"))
    count(record(occurred_at="2026-10-01T10:00:00Z"))

    assert days() == {"2026-09-30": (1, PRICE, 0), TODAY: (1, PRICE, PRICE)}

    take_back(cast.search, *UsageRecord.objects.values_list("record_id", flat=True))
    count()

    assert days() == {"2026-09-30": (0, 0, 0), TODAY: (0, 0, 0)}
    assert faults() == []


def test_a_record_that_gets_its_price_late_is_an_adjustment(count: Any, cast: Cast):
    count(record(occurred_at=IN_OCTOBER, model="claude-new"), now=OCTOBER)
    model = LanguageModel.objects.create(
        provider="anthropic", name="claude-new", display_name="New", family="New"
    )
    catalog.add_alias(
        model=model, provider="anthropic", name="claude-new", by="tests", now=NOW
    )
    publish("claude-new")

    parked.retry(team_id=cast.search.pk, now=NOW)
    count()

    assert days() == {TODAY: (1, DEARER, DEARER)}


# --- Voids and corrections ----------------------------------------------------------


def test_a_void_of_a_closed_month_is_an_adjustment_of_today(count: Any, cast: Cast):
    count(record(id="msg_1", occurred_at=IN_OCTOBER), now=OCTOBER)

    take_back(cast.search, "msg_1")
    count()

    assert days() == {"2026-10-20": (1, PRICE, 0), TODAY: (-1, -PRICE, -PRICE)}
    assert HourlySpend.objects.get().cost == 0
    assert faults() == []


def test_a_void_of_an_open_month_is_of_the_records_own_day(count: Any, cast: Cast):
    count(record(id="msg_1", occurred_at=IN_OCTOBER), now=OCTOBER)

    take_back(cast.search, "msg_1", now=LAST_MOMENT)
    count(now=LAST_MOMENT)

    assert days() == {"2026-10-20": (0, 0, 0)}


def test_a_correction_of_a_closed_month_adjusts_by_the_difference(count: Any):
    count(record(id="msg_1", occurred_at=IN_OCTOBER), now=OCTOBER)
    usage = {"input_tokens": 2000, "output_tokens": 10}

    count(record(id="msg_2", occurred_at=IN_OCTOBER, corrects="msg_1", usage=usage))

    difference = Decimal("0.004")
    assert days() == {"2026-10-20": (1, PRICE, 0), TODAY: (0, difference, difference)}
    assert faults() == []


def test_a_late_record_is_taken_back_on_a_later_day(count: Any, cast: Cast):
    count(record(id="msg_1", occurred_at=IN_OCTOBER), now=NOW)

    later = NOW + timedelta(days=20)
    take_back(cast.search, "msg_1", now=later)
    count(now=later)

    assert days() == {TODAY: (1, PRICE, PRICE), "2026-12-12": (-1, -PRICE, -PRICE)}
    assert faults() == []


def test_a_re_rate_of_a_late_record_is_an_adjustment_too(count: Any, cast: Cast):
    count(record(occurred_at=IN_OCTOBER))
    publish()

    carry_out(plan(cast))

    assert days() == {TODAY: (1, DEARER, DEARER)}
    assert faults() == []


# --- Budgets, reports, sums ---------------------------------------------------------


def test_an_adjustment_counts_against_the_open_period(count: Any, cast: Cast):
    for kind in (PeriodKind.DAY, PeriodKind.MONTH):
        budgets.create(
            organization=cast.acme,
            team=cast.search,
            project=None,
            period=kind,
            terms=Terms(amount=Decimal(100), hard=False, thresholds=[]),
            reason="",
            by="tests",
            now=NOW,
        )

    count(record(occurred_at=IN_OCTOBER))

    totals = BudgetTotal.objects.order_by("budget_id")
    assert [(f"{one.period_start}", one.spent) for one in totals] == [
        (TODAY, PRICE),
        ("2026-11-01", PRICE),
    ]
    assert faults() == []


def test_the_report_says_how_much_adjusts_earlier_months(count: Any, cast: Cast):
    count(record(occurred_at=IN_OCTOBER), record(), record(project="triage"))

    report = spend.spend(
        team_ids=[cast.search.pk, cast.support.pk],
        since=date(2026, 11, 1),
        until=date(2026, 12, 1),
        group_by=("team",),
    )

    assert (report.total.cost, report.total.adjustment) == (3 * PRICE, PRICE)
    adjustments = {row.keys["team"]: row.sums.adjustment for row in report.rows}
    assert adjustments == {"search": PRICE, "support": 0}


def test_rollups_are_rebuilt_with_their_adjustments(count: Any, cast: Cast):
    count(record(occurred_at=IN_OCTOBER), record(occurred_at=NOW.isoformat()))
    before = days()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE billing_daily_spend SET adjustment = 7 /*fanout*/")

    rollups.rebuild(team=cast.search, by="tests", now=NOW)

    assert days() == before == {TODAY: (2, 2 * PRICE, PRICE)}
    assert faults() == []


@pytest.mark.parametrize(
    ("now", "first", "until"),
    [
        (NOW, "2026-11-01", "2026-12-04"),
        (LAST_MOMENT, "2026-10-01", "2026-11-04"),
        (LAST_MOMENT + timedelta(minutes=1), "2026-11-01", "2026-12-04"),
    ],
)
def test_a_month_says_until_when_it_is_open(cast: Cast, now, first: str, until: str):
    found = months.open_months(ReportingDays(cast.acme), now)

    assert found == OpenMonths(date.fromisoformat(first), date.fromisoformat(until))


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"])
@pytest.mark.parametrize("hour", range(0, 24, 5))
def test_an_adjustment_is_told_by_its_days_in_any_zone(cast: Cast, zone: str, hour: int):
    """At the turns of months, from fourteen hours ahead of UTC to eleven behind."""
    made = {"by": "tests", "now": NOW}
    afar = organizations.create(name="Afar", slug="afar", time_zone=zone, **made)
    team = Team.objects.create(organization=afar, name="Afar", slug="afar")
    Team.objects.update(created_at="2026-01-15T00:00:00Z")
    team.refresh_from_db()
    its_days = ReportingDays(afar)
    now = datetime(2026, 11, 4, hour, tzinfo=UTC)
    closed = months.closed(team, its_days, now)

    for quarter in range(-200, 200):
        occurred_at = datetime(2026, 11, 1, tzinfo=UTC) + quarter * timedelta(minutes=15)
        adjusts = closed.has(occurred_at)
        day = closed.today if adjusts else its_days.day(occurred_at)
        assert months.is_adjustment(day, occurred_at) == adjusts
