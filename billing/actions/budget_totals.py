"""What is spent against each budget, kept while counting and re-derivable at any time.

Whoever writes totals of a team takes its ledger row first: counting, which adds to them
in its own transaction, and re-deriving, which sets them from the rollups. So a budget
made or changed in the middle of a period starts with exactly what is spent, while
records keep coming.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from django.db import connection
from django.db.models import Sum

from billing.actions import tagged_spend
from billing.actions.tagged_spend import Written
from billing.models import Budget, BudgetTotal, DailySpend, TeamLedger, unnest


class Spent(NamedTuple):
    """An amount of one place on one day of the reporting zone."""

    project_id: int
    model_id: int
    processing: str
    day: date
    cost: Decimal


_LEDGER = TeamLedger._meta.db_table

_MAKE_LEDGER = f"INSERT INTO {_LEDGER} (team_id) VALUES (%s) ON CONFLICT DO NOTHING"
_TAKE = f"SELECT 1 FROM {_LEDGER} WHERE team_id = %s FOR UPDATE"


def take_ledger(team_id: int) -> None:
    """Wait for whoever has the team's ledger; have it until this transaction ends.

    One at a time, counters too. They meet in the rows of the sums anyway; sharing this
    one, they would come in past a change of a budget that waits, for as long as records
    come.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [team_id])
        if cursor.fetchone() is None:
            cursor.execute(_MAKE_LEDGER, [team_id])
            cursor.execute(_TAKE, [team_id])


_COLUMNS: unnest.Columns = {
    "budget_id": "bigint",
    "period_start": "date",
    "spent": "numeric",
}
_ON_CONFLICT = "ON CONFLICT (team_id, budget_id, period_start) DO UPDATE SET spent = "


def add(
    team_id: int, budgets: Sequence[Budget], spent: Sequence[Spent], written: Written
) -> None:
    """Add newly counted amounts of a team to the totals of these budgets.

    `written` names the same charges, for the budgets that are limited to a tag.
    """
    daily: dict[tuple[int, int, str, date], Decimal] = defaultdict(Decimal)
    for one in spent:
        daily[one.project_id, one.model_id, one.processing, one.day] += one.cost
    sums = _Sums()
    for budget in budgets:
        for (project_id, model_id, processing, day), cost in daily.items():
            if not budget.tag_key and budget.covers(
                project_id=project_id, model_id=model_id, processing=processing, tags=None
            ):
                sums.add(budget, day, cost)
    tagged = {budget.pk: budget for budget in budgets if budget.tag_key}
    if tagged and written.uids:
        its_days = tagged_spend.add(team_id, list(tagged.values()), written)
        for (budget_id, day), cost in its_days.items():
            sums.add(tagged[budget_id], day, cost)
    _write(team_id, sums.found, f"{_ON_CONFLICT} kept.spent + EXCLUDED.spent")


def rederive(team_id: int, budgets: Iterable[Budget]) -> None:
    """Set a team's totals of these budgets, in every period, to what the rollups say.

    Those of budgets that are limited to a tag: to what the charges say. The caller holds
    the team's ledger (`take_ledger`).
    """
    budgets = list(budgets)
    kept = BudgetTotal.objects.filter(team_id=team_id, budget__in=budgets)
    # A period that nothing is left of is set to nothing.
    sums = _Sums(dict.fromkeys(kept.values_list("budget_id", "period_start"), Decimal()))
    for budget in budgets:
        if not budget.tag_key:
            days = DailySpend.objects.filter(budget.covered_rollups, team_id=team_id)
            for day, cost in days.values_list("day").order_by("day").annotate(Sum("cost")):
                sums.add(budget, day, cost)
    tagged = {budget.pk: budget for budget in budgets if budget.tag_key}
    if tagged:
        its_days = tagged_spend.rederive(team_id, list(tagged.values()))
        for (budget_id, day), cost in its_days.items():
            sums.add(tagged[budget_id], day, cost)
    _write(team_id, sums.found, f"{_ON_CONFLICT} EXCLUDED.spent")


class _Sums:
    """Of budgets, by the period that a day lies in."""

    def __init__(self, found: Mapping[tuple[int, date], Decimal] | None = None) -> None:
        self.found = defaultdict(Decimal, found or {})

    def add(self, budget: Budget, day: date, cost: Decimal) -> None:
        its = budget.window.period(day)
        if its is not None:  # else before or after a custom period
            self.found[budget.pk, its.first] += cost


def total(budget: Budget, period_start: date) -> Decimal:
    """What is spent against a budget in one period, over all teams it covers."""
    totals = BudgetTotal.objects.filter(budget=budget, period_start=period_start)
    return totals.aggregate(total=Sum("spent"))["total"] or Decimal()


def totals(firsts: Mapping[int, date]) -> dict[int, Decimal]:
    """The same for several budgets, by id, each in the period that begins so."""
    spent = dict.fromkeys(firsts, Decimal())
    kept = BudgetTotal.objects.filter(
        budget__in=firsts.keys(), period_start__in=set(firsts.values())
    )
    rows = kept.values_list("budget_id", "period_start").annotate(total=Sum("spent"))
    for budget_id, first, total in rows:
        if first == firsts[budget_id]:
            spent[budget_id] = total
    return spent


def _write(team_id: int, sums: Mapping[tuple[int, date], Decimal], then: str) -> None:
    unnest.insert(
        table=BudgetTotal._meta.db_table,
        columns=_COLUMNS,
        rows=[(*key, spent) for key, spent in sums.items()],
        team_id=team_id,
        # In one order everywhere, so that two writers never wait for each other.
        order_by=("budget_id", "period_start"),
        then=then,
    )
