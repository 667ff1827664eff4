"""The impact preview is a re-rate: held against every record priced one by one."""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from billing.actions import budgets
from billing.actions.budgets import Terms as BudgetTerms
from billing.models import Publication, rate_book, recorded
from billing.pricing import engine, money
from billing.pricing.budget_periods import PeriodKind
from billing.reports import impact as report
from billing.reports.impact import Impact, OrganizationImpact
from teams.models import Organization
from tests.billing.rates.conftest import ROOT, draft, model, published, terms
from tests.billing.rates.test_drafts import ledger
from tests.builders import record
from tests.conftest import NOW, Cast

pytestmark = pytest.mark.django_db

MONTH_AGO = NOW - timedelta(days=40)
Send = Callable[..., None]


def impact(publication: Publication, organization: Organization, **said: Any):
    found: Impact = report.impact(
        publication, organizations=[organization], now=NOW, **said
    )
    return found.organizations[0] if found.organizations else None


def rerated(cast: Cast, publication: Publication) -> dict[str, Decimal]:
    """Every record of the last 30 days, priced by the engine with the draft, by team.

    A record that the draft leaves without a price costs what it cost.
    """
    rates = [*rate_book.published(), *rate_book.drafted(publication)]
    book = rate_book.of(cast.acme.pk, rates).rates
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT team_id, record_uid, month, sum(cost) FROM billing_charge"
            " WHERE day > %s GROUP BY 1, 2, 3",
            [NOW.date() - timedelta(days=30)],
        )
        charged = cursor.fetchall()
    costs: dict[str, Decimal] = defaultdict(Decimal)
    for team_id, uid, month, cost in charged:
        (one,) = recorded.read(team_id, [uid], [month])
        priced = engine.price(recorded.usage_of(one), book)
        unpriced = isinstance(priced, engine.Unpriced)
        costs[str(team_id)] += cost if unpriced else money.exact(priced.cost)
    return costs


def after(found: OrganizationImpact) -> dict[str, Decimal]:
    """What the teams come to, of the days that are re-rated."""
    costs: dict[str, Decimal] = defaultdict(Decimal)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT team_id, sum(cost) FROM billing_charge WHERE day > %s GROUP BY 1",
            [NOW.date() - timedelta(days=30)],
        )
        costs |= {str(team_id): cost for team_id, cost in cursor.fetchall()}
    for one in found.months:
        costs[str(one.team.pk)] += one.difference
    return costs


def usage(tokens: int, **more: int) -> dict[str, Any]:
    return {"input_tokens": tokens, "output_tokens": 100, **more}


def month_of_use(name: str = "claude-opus-5-5") -> list[dict[str, Any]]:
    """Every four hours of the last 35 days, in sizes around the tiers, by two teams."""
    sizes = (1_000, 50_000, 99_999, 100_000, 100_001, 150_000, 200_000, 200_001, 700_001)
    return [
        record(
            occurred_at=(NOW - timedelta(hours=4 * n, seconds=n)).isoformat(),
            model=name,
            project=("answers", "triage")[n % 2],
            usage=usage(sizes[n % len(sizes)], cache_read_input_tokens=n),
        )
        for n in range(35 * 6)
    ]


def several_steps(name: str) -> list[dict[str, Any]]:
    """Records of two calls each, which are priced call by call."""
    steps = [
        {"type": "message", "input_tokens": size, "output_tokens": 50}
        for size in (60_000, 90_000)
    ]
    return [
        record(
            occurred_at=(NOW - timedelta(days=day)).isoformat(),
            model=name,
            usage=usage(150_000, iterations=steps),
        )
        for day in range(1, 6)
    ]


def test_nothing_is_written(cast: Cast, send: Send):
    send(*month_of_use())
    prices = {"input": "8", "output": "40", "cache_read": "1"}
    publication = draft(terms(MONTH_AGO, prices=prices))
    before = ledger()

    assert impact(publication, cast.acme).difference > 0

    assert ledger() == before


def test_a_draft_that_says_what_is_so_moves_nothing(cast: Cast, send: Send):
    send(*month_of_use())
    opus = model()
    in_force = opus.rates.get(processing="standard", speed="standard", geo="global")
    same = {"input": in_force.input, "output": in_force.output}
    same["cache_read"] = in_force.cache_read

    found = impact(draft(terms(MONTH_AGO, prices=same)), cast.acme)

    assert (found.difference, found.months, found.crossings) == (0, [], [])


@pytest.mark.parametrize(
    "start",
    [
        MONTH_AGO,
        datetime(2026, 11, 10, tzinfo=UTC),  # one o'clock in the reporting zone
        datetime(2026, 11, 9, 23, tzinfo=UTC),  # midnight there
        datetime(2026, 11, 10, 9, 17, 31, tzinfo=UTC),
        NOW - timedelta(hours=1),
        datetime(2026, 10, 23, 22, 30, tzinfo=UTC),  # around the first day of all
    ],
)
def test_it_is_the_re_rate_from_any_instant_on(cast: Cast, send: Send, start: datetime):
    prices = {"input": "8.123456789", "output": "41", "cache_read": "0.3"}
    send(*month_of_use(), *several_steps("claude-opus-5-5"))
    publication = draft(terms(start, prices=prices))

    found = impact(publication, cast.acme)

    assert found.difference > 0
    assert after(found) == rerated(cast, publication)


@pytest.mark.parametrize("tiers", [(0,), (100_000,), (0, 100_000), (50_000,), (0, 150_000)])
@pytest.mark.parametrize("start", [MONTH_AGO, datetime(2026, 11, 12, 15, 30, tzinfo=UTC)])
def test_tiers_are_kept_or_moved(
    cast: Cast, send: Send, start: datetime, tiers: tuple[int, ...]
):
    """Haiku 5.5 has a tier above 100,000 tokens: 0.10 and 0.50 for input."""
    name = "claude-haiku-5-5"
    send(*month_of_use(name), *several_steps(name))
    stated = [
        terms(
            start,
            name=name,
            context_tier=tier,
            prices={"input": str(3 + at), "output": "7", "cache_read": "1"},
        )
        for at, tier in enumerate(tiers)
    ]
    publication = draft(*stated)

    found = impact(publication, cast.acme)

    assert found.difference > 0
    assert after(found) == rerated(cast, publication)


def test_the_end_of_a_tier_is_the_base_price(cast: Cast, send: Send):
    name = "claude-haiku-5-5"
    send(*month_of_use(name), *several_steps(name))
    start = datetime(2026, 11, 12, 15, 30, tzinfo=UTC)
    publication = draft(terms(start, name=name, context_tier=100_000, prices={}))

    found = impact(publication, cast.acme)

    assert found.difference < 0
    assert after(found) == rerated(cast, publication)


def test_a_contract_of_one_organization_moves_it_alone(cast: Cast, send: Send, contract):
    send(*month_of_use())
    prices = {"input": "2", "output": "10", "cache_read": "0.1"}
    publication = draft(terms(MONTH_AGO, prices=prices), card=contract)

    assert impact(publication, cast.outsiders) is None
    found = impact(publication, cast.acme)
    assert after(found) == rerated(cast, publication)
    # Half of every price is half of all.
    assert sum(after(found).values()) * 2 == sum(one for one in _charged().values())


def _charged() -> dict[int, Decimal]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT team_id, sum(cost) FROM billing_charge WHERE day > %s GROUP BY 1",
            [NOW.date() - timedelta(days=30)],
        )
        return dict(cursor.fetchall())


def test_months_are_whole_and_say_which_team_moves(cast: Cast, send: Send):
    at = ["2026-10-20T12:00:00Z", "2026-10-30T12:00:00Z", "2026-11-02T12:00:00Z"]
    send(*(record(occurred_at=one) for one in at))
    send(record(project="triage", model="claude-haiku-4-5"))

    found = impact(draft(terms(MONTH_AGO)), cast.acme)

    # 0.0042 becomes 0.0084; the 20th lies before the 30 days.
    shown = [
        (one.team.slug, f"{one.month:%Y-%m}", one.before, one.after) for one in found.months
    ]
    assert shown == [
        ("search", "2026-10", Decimal("0.0084"), Decimal("0.0126")),
        ("search", "2026-11", Decimal("0.0042"), Decimal("0.0084")),
    ]
    assert [one.percent for one in found.months] == [50, 100]
    assert found.requests == 2
    assert f"{found.since:%Y-%m-%d} {found.until:%Y-%m-%d}" == "2026-10-24 2026-11-23"


# --- In the future, or as if it had been so all the time -----------------------------


def test_a_scheduled_draft_is_taken_as_if_it_had_been_in_force(cast: Cast, send: Send):
    send(record())
    publication = draft(terms(NOW + timedelta(days=9)))

    assert report.impact(publication, organizations=[], now=NOW).throughout
    assert impact(publication, cast.acme).difference == Decimal("0.0042")
    assert impact(publication, cast.acme, throughout=False).difference == 0


def test_throughout_the_draft_stands_before_what_was_published_since(cast: Cast, send):
    send(record(), record(occurred_at="2026-11-02T12:00:00Z"))
    published(terms(datetime(2026, 11, 15, tzinfo=UTC), prices={"input": "5"}))
    publication = draft(terms(NOW + timedelta(days=9)))

    assert impact(publication, cast.acme).difference == 2 * Decimal("0.0042")


# --- What has no price ---------------------------------------------------------------


def test_requests_that_would_lose_their_price_are_counted(cast: Cast, send: Send):
    send(record(), record(), record(model="claude-haiku-4-5"))

    found = impact(draft(terms(MONTH_AGO, prices={})), cast.acme)

    assert (found.without_price, found.requests, found.difference) == (2, 0, 0)


def test_records_that_get_their_first_price_are_counted_apart(cast: Cast, send: Send):
    """Speed fast of Opus 5 under geo `mars` has none so far."""
    send(record(geo="mars"), record())

    found = impact(draft(terms(MONTH_AGO, geo="mars")), cast.acme)

    assert (found.newly_priced, found.newly_priced_cost) == (1, Decimal("0.0084"))
    assert found.difference == Decimal("0.0084")


# --- Budgets --------------------------------------------------------------------------


def cap(cast: Cast, amount: str, **said: Any) -> None:
    budgets.create(
        organization=cast.acme,
        period=said.pop("period", PeriodKind.MONTH),
        terms=BudgetTerms(Decimal(amount)),
        **said,
        **ROOT,
    )


def test_budgets_that_would_cross_a_level_are_named(cast: Cast, send: Send):
    send(record(), record(project="triage", model="claude-haiku-4-5"))
    cap(cast, "0.0080", team=cast.search)  # 52.5 % → 105 %
    cap(cast, "0.0160", project=cast.answers)  # 26 % → 52 %
    cap(cast, "100")
    cap(cast, "0.0001", team=cast.support)  # over it before and after
    cap(cast, "0.0100", team=cast.search, period=PeriodKind.DAY)  # 42 % → 84 %

    found = impact(draft(terms(MONTH_AGO)), cast.acme)

    assert [
        (one.budget.scope, one.budget.period, one.levels, one.before, one.after)
        for one in found.crossings
    ] == [
        ("team search", "month", (80, 100), Decimal("0.0042"), Decimal("0.0084")),
        ("project answers", "month", (50,), Decimal("0.0042"), Decimal("0.0084")),
        ("team search", "day", (50, 80), Decimal("0.0042"), Decimal("0.0084")),
    ]
    assert f"{found.crossings[2].period.first:%Y-%m-%d}" == "2026-11-20"


@pytest.mark.usefixtures("as_app")
def test_the_web_process_reads_no_other_team(cast: Cast, send: Send):
    send(record())

    found = impact(draft(terms(MONTH_AGO)), cast.acme)

    assert found.difference == Decimal("0.0042")
    assert impact(draft(terms(MONTH_AGO)), cast.outsiders).difference == 0
