"""Any order of what can happen to holds: who is granted what, and what is left, is what a
few lines without a database say.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from billing.actions import budgets, holds, post, receive
from billing.actions.budgets import Terms
from billing.formats import expected
from billing.formats.body import split
from billing.models import Budget, BudgetTotal, Hold, HoldPart
from billing.pricing.budget_periods import PeriodKind
from teams.models import ApiKey
from tests.billing import machines
from tests.builders import body, record
from tests.conftest import NOW, Cast, issue

PAST = datetime(2026, 1, 1, tzinfo=UTC)
TEAM_OF = {"answers": "search", "triage": "support"}
LEVELS = ("answers", "triage", "search", "support", "acme")


@dataclass
class Modelled:
    """A hold as it should be; `reserves` is whether it counts against the caps."""

    project: str
    amount: int
    hold: Hold
    state: str = "held"
    reserves: bool = True


def above(project: str) -> tuple[str, str, str]:
    return project, TEAM_OF[project], "acme"


class Holding(RuleBasedStateMachine):
    """Two teams with a project each; a hard budget of each, and of the organization."""

    cast: Cast
    key: ApiKey

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.held: list[Modelled] = []
        self.spent = dict.fromkeys(TEAM_OF, 0)
        # Posted and not counted: dollars, and the hold that it settles if any.
        self.waiting: dict[str, list[tuple[int, Modelled | None]]]
        self.waiting = {project: [] for project in TEAM_OF}
        self.caps = dict.fromkeys(LEVELS, 9)
        self.budgets = {level: self.make(level) for level in LEVELS}

    def make(self, level: str) -> Budget:
        cast = self.cast
        scope = {
            "answers": {"project": cast.answers},
            "triage": {"project": cast.triage},
            "search": {"team": cast.search},
            "support": {"team": cast.support},
            "acme": {},
        }[level]
        return budgets.create(
            organization=cast.acme,
            period=PeriodKind.MONTH,
            terms=Terms(Decimal(9), hard=True, thresholds=()),
            by="tests",
            now=NOW,
            **scope,
        )

    def used(self, level: str) -> int:
        """What is spent and reserved of a budget, by the few lines."""
        spent = sum(
            amount for project, amount in self.spent.items() if level in above(project)
        )
        return spent + sum(
            one.amount for one in self.held if one.reserves and level in above(one.project)
        )

    # --- What happens -----------------------------------------------------------------

    projects = st.sampled_from(sorted(TEAM_OF))
    dollars = st.integers(1, 6)
    picks = st.integers(0, 1000)

    def pick(self, number: int) -> Modelled:
        return self.held[number % len(self.held)]

    @rule(project=projects, amount=dollars)
    def hold(self, project: str, amount: int) -> None:
        said = {"project": project, "model": "any", "estimate": str(amount)}
        decision = holds.make(
            key=self.key, call=expected.decode(json.dumps(said).encode()), now=NOW
        )
        left = {level: self.caps[level] - self.used(level) for level in above(project)}
        fits = all(amount <= its for its in left.values())
        assert (decision.hold is not None) == fits
        now_left = [its - amount if fits else its for its in left.values()]
        assert [level.remaining for level in decision.levels] == now_left
        if decision.hold is not None:
            self.held.append(Modelled(project, amount, decision.hold))
        else:
            assert decision.refused_by is not None
            assert decision.refused_by.remaining < amount

    @precondition(lambda self: self.held)
    @rule(number=picks)
    def release(self, number: int) -> None:
        one = self.pick(number)
        holds.release(key=self.key, hold_id=one.hold.pk)
        if one.state == "held":
            one.state, one.reserves = "released", False

    @precondition(lambda self: self.held)
    @rule(number=picks)
    def expire(self, number: int) -> None:
        one = self.pick(number)
        HoldPart.objects.filter(hold=one.hold, until__isnull=False).update(until=PAST)
        if one.state == "held":
            one.reserves = False

    @precondition(lambda self: self.held)
    @rule(number=picks, project=projects, amount=dollars)
    def settle(self, number: int, project: str, amount: int) -> None:
        """By a record that may be of another project, and cost more or less."""
        one = self.pick(number)
        usage = {"input_tokens": 250_000 * amount, "output_tokens": 0}
        sent = record(project=project, usage=usage, hold=str(one.hold.pk))
        raws = split(body(sent), "application/json", 1)
        (outcome,) = receive.receive(key=self.key, raws=raws, now=NOW)
        takes = one.state == "held" and one.project == project
        assert outcome.status == "accepted"
        assert outcome.code == (None if takes else "hold_not_settled")
        self.waiting[project].append((amount, one if takes else None))
        if takes:
            one.state, one.reserves = "settling", True

    @rule(project=projects)
    def count(self, project: str) -> None:
        team = {"answers": self.cast.search, "triage": self.cast.support}[project]
        while post.count(team_id=team.pk, now=NOW):
            pass
        for amount, settled in self.waiting[project]:
            self.spent[project] += amount
            if settled is not None:
                settled.state, settled.reserves = "settled", False
        self.waiting[project].clear()

    @rule(level=st.sampled_from(LEVELS), cap=st.integers(0, 20))
    def change_cap(self, level: str, cap: int) -> None:
        self.budgets[level] = budgets.change(
            budget=self.budgets[level],
            terms=Terms(Decimal(cap), hard=True, thresholds=()),
            by="tests",
            now=NOW,
        )
        self.caps[level] = cap

    # --- What is always so ------------------------------------------------------------

    @invariant()
    def every_hold_is_in_its_state(self) -> None:
        kept = dict(Hold.objects.values_list("pk", "state"))
        assert kept == {one.hold.pk: one.state for one in self.held}

    @invariant()
    def what_is_spent_is_in_the_totals(self) -> None:
        totals = dict.fromkeys((one.pk for one in self.budgets.values()), Decimal())
        for budget_id, spent in BudgetTotal.objects.values_list("budget", "spent"):
            totals[budget_id] += spent
        assert totals == {
            self.budgets[level].pk: sum(
                amount for project, amount in self.spent.items() if level in above(project)
            )
            for level in LEVELS
        }

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undo.__exit__(None, None, None)


def test_any_order_of_what_happens_to_holds(cast: Cast):
    Holding.cast, (Holding.key, _) = cast, issue(cast.acme)

    machines.run(Holding, examples=10, steps=20)
