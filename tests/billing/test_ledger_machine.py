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
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from billing.actions import budgets, post, receive, rerates, voids
from billing.actions.budgets import Terms
from billing.actions.rerates import Scope
from billing.formats.body import split
from billing.models import Charge, DailySpend, HourlySpend, UsageRecord, Void
from billing.pricing.budget_periods import PeriodKind
from billing.reports import verification
from teams.models import ApiKey, Team
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


def test_whatever_happens_the_ledger_adds_up(cast: Cast):
    Team.objects.update(created_at="2026-01-15T00:00:00Z")
    Ledger.cast = cast
    Ledger.key = issue(cast.acme, project=cast.answers)[0]

    run_state_machine_as_test(
        Ledger,
        settings=settings(max_examples=20, stateful_step_count=20, deadline=None),
    )
