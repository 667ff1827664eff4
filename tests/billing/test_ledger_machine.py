"""Any order of what can happen to records: what is charged, and where, is what it must be.

Beside the ledger one number is kept by hand, the price, and of each record whether it
stands.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from billing.actions import budgets, post, receive, rerates, voids
from billing.actions.budgets import Limits, Terms
from billing.actions.rerates import Scope
from billing.formats.body import split
from billing.models import (
    Budget,
    BudgetTotal,
    Charge,
    DailySpend,
    HourlySpend,
    LanguageModel,
    UsageRecord,
    Void,
)
from billing.pricing.budget_periods import Period, PeriodKind
from billing.reports import verification
from teams.models import ApiKey, Team
from tests.billing import machines
from tests.billing.test_rerates import publish
from tests.builders import body, record
from tests.conftest import Cast, issue

BERLIN = ZoneInfo("Europe/Berlin")
BEGIN = datetime(2026, 10, 25, 12, tzinfo=UTC)
ZERO = Decimal()


class Ledger(RuleBasedStateMachine):
    """One project's records, each of some million tokens in, and its moments."""

    cast: Cast
    key: ApiKey

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.now = BEGIN
        self.posted: dict[str, dict[str, Any]] = {}
        self.void: set[str] = set()
        self.price = 4  # dollars per million tokens in
        self.figures: dict[date, Decimal] = {}
        self.note_figures()
        budgets.create(
            organization=self.cast.acme,
            team=self.cast.search,
            project=None,
            period=PeriodKind.MONTH,
            terms=Terms(amount=Decimal("0.01"), hard=False, thresholds=[50]),
            reason="",
            by="tests",
            now=self.now,
        )

    # --- What happens -----------------------------------------------------------------

    def send(self, *records: dict[str, Any]) -> list[str]:
        raws = split(body(*records), "application/json", 1000)
        outcomes = receive.receive(key=self.key, raws=raws, now=self.now)
        return [str(one.status) for one in outcomes]

    def new(self, age: timedelta, tokens: int, **more: Any) -> dict[str, Any]:
        one = record(
            id=f"msg_{len(self.posted):03}",
            occurred_at=(self.now - age).isoformat(),
            usage={"input_tokens": tokens, "output_tokens": 0},
            **more,
        )
        self.posted[one["id"]] = one
        return one

    ages = st.sampled_from([0, 1, 20, 34]).map(lambda days: timedelta(days=days))
    tokens = st.sampled_from([1_000_000, 2_000_000, 5_000_000])
    picks = st.integers(0, 1000)

    def pick(self, number: int) -> str:
        ids = sorted(self.posted)
        return ids[number % len(ids)]

    @rule(age=ages, tokens=tokens)
    def post(self, age: timedelta, tokens: int) -> None:
        assert self.send(self.new(age, tokens)) == ["accepted"]

    @precondition(lambda self: self.posted)
    @rule(number=picks)
    def repeat(self, number: int) -> None:
        assert self.send(self.posted[self.pick(number)]) == ["duplicate"]

    @precondition(lambda self: self.posted)
    @rule(number=picks)
    def take_back(self, number: int) -> None:
        record_id = self.pick(number)
        uid = UsageRecord.objects.get(record_id=record_id).uid
        taken = voids.void(
            team=self.cast.search, uids=[uid], reason="a rule", by="tests", now=self.now
        )
        assert taken == ([] if record_id in self.void else [record_id])
        self.void.add(record_id)

    @precondition(lambda self: self.posted)
    @rule(number=picks, age=ages, tokens=tokens)
    def correct(self, number: int, age: timedelta, tokens: int) -> None:
        old = self.pick(number)
        new = self.new(age, tokens, corrects=old)
        if old in self.void:
            del self.posted[new["id"]]
            assert self.send(new) == ["conflict"]
        else:
            assert self.send(new) == ["accepted"]
            self.void.add(old)

    @rule(age=ages, tokens=tokens)
    def post_and_correct_at_once(self, age: timedelta, tokens: int) -> None:
        old = self.new(age, tokens)
        new = self.new(age, tokens, corrects=old["id"])
        assert self.send(new, old) == ["accepted", "accepted"]
        self.void.add(old["id"])

    @rule()
    def count(self) -> None:
        while post.count(team_id=self.cast.search.pk, now=self.now):
            pass

    @rule(dollars=st.integers(1, 9))
    def re_rate(self, dollars: int) -> None:
        """All that is counted so far gets another price; what comes later has it too."""
        publish(input=str(dollars), output="20")
        scope = Scope(
            organization=self.cast.acme, since=date(2026, 1, 1), until=date(2028, 1, 1)
        )
        wanted = rerates.plan(scope=scope, reason="a rule", by="tests", now=self.now)
        rerates.advance(rerate=wanted, clock=lambda: self.now)
        rerates.start(rerate=wanted, by="tests", now=self.now)
        rerates.advance(rerate=wanted, clock=lambda: self.now)
        self.price = dollars

    @rule(days=st.sampled_from([1, 9, 30]))
    def go_on(self, days: int) -> None:
        self.now += timedelta(days=days)
        self.note_figures()

    # --- What must hold ---------------------------------------------------------------

    def closed_months(self) -> Iterator[date]:
        """From before anything was used on; each closes three days after its end."""
        month = date(2026, 8, 1)
        while True:
            following = (month + timedelta(days=31)).replace(day=1)
            if self.now.astimezone(BERLIN).date() < following + timedelta(days=3):
                return
            yield month
            month = following

    def spent(self, month: date) -> Decimal:
        following = (month + timedelta(days=31)).replace(day=1)
        days = DailySpend.objects.filter(day__gte=month, day__lt=following)
        return sum(days.values_list("cost", flat=True), ZERO)

    def note_figures(self) -> None:
        """What a month says when it closes, once and for all."""
        for month in self.closed_months():
            if month not in self.figures:
                self.figures[month] = self.spent(month)

    @invariant()
    def closed_months_say_what_they_said(self) -> None:
        for month, cost in self.figures.items():
            assert self.spent(month) == cost, month

    @invariant()
    def sums_are_those_of_the_charges(self) -> None:
        charged = sum(Charge.objects.values_list("cost", flat=True), ZERO)
        for sums in (DailySpend, HourlySpend):
            assert sum(sums.objects.values_list("cost", flat=True), ZERO) == charged

    @invariant()
    def each_is_taken_back_once(self) -> None:
        taken_back = Void.objects.values_list("record_id", flat=True)
        assert sorted(taken_back) == sorted(self.void)

    def each_record_costs_its_price(self) -> None:
        charged: dict[str, Decimal] = defaultdict(Decimal)
        ids = dict(UsageRecord.objects.values_list("uid", "record_id"))
        for uid, cost in Charge.objects.values_list("record_uid", "cost"):
            charged[ids[uid]] += cost
        for record_id, one in self.posted.items():
            millions = one["usage"]["input_tokens"] // 1_000_000
            price = ZERO if record_id in self.void else Decimal(millions * self.price)
            assert charged[record_id] == price, record_id

    def teardown(self) -> None:
        try:
            self.count()
            self.each_record_costs_its_price()
            self.closed_months_say_what_they_said()
            assert [check for check in verification.checks() if not check.ok] == []
        finally:
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)


TAGS = ({}, {"env": "prod"}, {"env": "dev", "job": "7"})
WINDOWS: tuple[dict[str, Any], ...] = (
    {"period": PeriodKind.MONTH},
    {"period": PeriodKind.DAY},
    {"period": PeriodKind.WEEK, "week_starts_on": 6},
    {"period": PeriodKind.QUARTER, "fiscal_starts_in": 2},
    {"period": PeriodKind.YEAR, "fiscal_starts_in": 11},
    {
        "period": PeriodKind.CUSTOM,
        "custom": Period(date(2026, 10, 10), date(2026, 11, 5)),
    },
)


class BudgetedLedger(Ledger):
    """The same with records of two models, two kinds of processing and three tags, and
    budgets of parts of them that are made in the middle."""

    def new(self, age: timedelta, tokens: int, **more: Any) -> dict[str, Any]:
        number = len(self.posted)
        return super().new(
            age,
            tokens,
            tags=TAGS[number % 3],
            processing=("standard", "batch")[number // 2 % 2],
            model=("claude-opus-5-5", "claude-haiku-4-5")[number // 3 % 2],
            **more,
        )

    @rule(
        scope=st.sampled_from(["search", "answers", "support", "acme"]),
        models=st.sets(st.sampled_from(["claude-opus-5-5", "claude-haiku-4-5"])),
        processing=st.sets(st.sampled_from(["standard", "batch"])),
        tag=st.sampled_from([(), ("env", "prod"), ("env", "dev", "prod"), ("job", "8")]),
        window=st.sampled_from(WINDOWS),
    )
    def make_budget(
        self,
        scope: str,
        models: set[str],
        processing: set[str],
        tag: tuple[str, ...],
        window: dict[str, Any],
    ) -> None:
        named = LanguageModel.objects.filter(provider="anthropic", name__in=models)
        budgets.create(
            organization=self.cast.acme,
            team=getattr(self.cast, scope) if scope in ("search", "support") else None,
            project=self.cast.answers if scope == "answers" else None,
            terms=Terms(Decimal(3)),
            limits=Limits(
                model_ids=tuple(named.values_list("pk", flat=True)),
                processing=tuple(processing),
                tag_key=tag[0] if tag else "",
                tag_values=tag[1:],
            ),
            by="tests",
            now=self.now,
            **window,
        )

    @invariant()
    def totals_are_the_charges_that_count(self) -> None:
        tags = dict(UsageRecord.objects.values_list("uid", "tags"))
        expected: dict[tuple[int, int, date], Decimal] = defaultdict(Decimal)
        for budget in Budget.objects.all():
            for charge in Charge.objects.all():
                first = first_day(budget, charge.day)
                if first and counts(budget, charge, tags[charge.record_uid]):
                    expected[charge.team_id, budget.pk, first] += charge.cost
        kept = BudgetTotal.objects.values_list(
            "team_id", "budget_id", "period_start", "spent"
        )
        found = {tuple(key): spent for *key, spent in kept if spent}
        assert found == {key: cost for key, cost in expected.items() if cost}

    def each_record_costs_its_price(self) -> None:
        """The price that is kept by hand is that of one model."""


def counts(budget: Budget, charge: Charge, tags: dict[str, str]) -> bool:
    return all(
        (
            budget.team_id is None or budget.team_id == charge.team_id,
            budget.project_id is None or budget.project_id == charge.project_id,
            not budget.model_ids or charge.model_id in budget.model_ids,
            not budget.processing or charge.processing in budget.processing,
            not budget.tag_key or tags.get(budget.tag_key, "-") in budget.tag_values,
        )
    )


def first_day(budget: Budget, day: date) -> date | None:
    """Going back from the day: the first one that a period of the budget begins with."""
    if budget.period == "custom":
        inside = budget.custom_first <= day < budget.custom_until
        return budget.custom_first if inside else None
    while not begins(budget, day):
        day -= timedelta(days=1)
    return day


def begins(budget: Budget, day: date) -> bool:
    from_start = (day.month - budget.fiscal_starts_in) % 12
    return {
        "day": True,
        "week": day.weekday() == budget.week_starts_on,
        "month": day.day == 1,
        "quarter": day.day == 1 and from_start in (0, 3, 6, 9),
        "year": day.day == 1 and from_start == 0,
    }[budget.period]


def test_whatever_happens_limited_budgets_say_what_counts(cast: Cast):
    Team.objects.update(created_at="2026-01-15T00:00:00Z")
    BudgetedLedger.cast = cast
    BudgetedLedger.key = issue(cast.acme, project=cast.answers)[0]

    machines.run(BudgetedLedger, examples=8, steps=15)


def test_whatever_happens_the_ledger_adds_up(cast: Cast):
    Team.objects.update(created_at="2026-01-15T00:00:00Z")
    Ledger.cast = cast
    Ledger.key = issue(cast.acme, project=cast.answers)[0]

    machines.run(Ledger, examples=10, steps=20)
