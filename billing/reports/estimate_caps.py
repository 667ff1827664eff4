"""What somebody who approves an estimate decides its cap by, and what becomes of the cap:
the one function behind page, API and admin."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.contrib.auth.models import User

from billing.models import Budget, BudgetPolicy, Estimate, EstimateCap
from billing.models.estimate_caps import on_day
from billing.models.estimates import Scenario
from billing.pricing import figures
from billing.reports.estimate_view import EstimateView
from teams.reporting_days import ReportingDays

State = EstimateCap.State


@dataclass(frozen=True, slots=True)
class Approval:
    """Amounts are of a month. `budget` is the one that a cap would be of (None: it would
    make one), `largest_months` what the dearest month of each scenario comes to;
    `two_people_above` the cap above which who submits does not approve."""

    budget: Budget | None
    largest_months: dict[Scenario, Decimal]
    holds_from: date
    waits: bool
    two_people_above: Decimal | None


@dataclass(frozen=True, slots=True)
class CapView:
    """The cap that an estimate was approved with, and what becomes of it, in a sentence.

    One that waits and that somebody has decided against is lapsed already.
    """

    amount: Decimal
    holds_from: date
    state: State
    sentence: str
    settled_by: str
    settled_at: datetime | None

    @property
    def waits(self) -> bool:
        return self.state == State.WAITING


def approval(estimate: Estimate, view: EstimateView, *, now: datetime) -> Approval | None:
    """None where it is approved. Select the estimate `with_scope()`."""
    if estimate.state == Estimate.State.APPROVED:
        return None
    organization = estimate.team.organization
    today = ReportingDays(organization).day(now)
    budgets = Budget.objects.active().with_scope()
    return Approval(
        budget=budgets.monthly(team=estimate.team, project=estimate.project).first(),
        largest_months={
            scenario: max(row.costs[scenario] for row in view.rows)
            for scenario in view.scenarios
        },
        holds_from=max(estimate.month, today),
        waits=estimate.month > today,
        two_people_above=BudgetPolicy.of(organization.pk).two_approvals_above,
    )


def of_people(estimate: Estimate, approval: Approval | None, user: User) -> str:
    """That a high cap takes two people, and who of them is there, in sentences; nothing
    where one is enough for any."""
    if approval is None or approval.two_people_above is None:
        return ""
    currency = estimate.team.organization.currency
    above = figures.with_currency(approval.two_people_above, currency)
    said = f"A cap above {above} takes two people: one submits, another approves."
    if estimate.state != Estimate.State.SUBMITTED:
        return f"{said} Nobody has submitted this estimate yet."
    if estimate.submitter_id is None:
        return f"{said} No person submitted this estimate: send it back."
    if user.pk == estimate.submitter_id:
        return f"{said} You submitted this estimate: somebody else has to approve it."
    return said


def of(estimate: Estimate) -> CapView | None:
    """None where it was approved without a cap, or is not."""
    cap = EstimateCap.objects.with_estimate().filter(estimate=estimate).first()
    if cap is None:
        return None
    state, why = State(cap.state), cap.why
    if state == State.WAITING and (why := cap.overtaken):
        state = State.LAPSED
    return CapView(
        amount=cap.amount,
        holds_from=cap.holds_from,
        state=state,
        sentence=_sentence(cap, state, why),
        settled_by=cap.settled_by,
        settled_at=cap.settled_at,
    )


def to_come(budget: Budget) -> list[str]:
    """Of the caps that wait to be this budget's, what they do to it, in a sentence each."""
    waiting = EstimateCap.objects.waiting().with_estimate().for_budget(budget)
    return [
        f"From {on_day(cap.holds_from)} on the cap is {_money(cap)}, by estimate "
        f"#{cap.estimate_id}. A cap that is set before then is the later "
        "decision and stays."
        for cap in waiting
        if not cap.overtaken
    ]


def _sentence(cap: EstimateCap, state: State, why: str) -> str:
    amount, day = _money(cap), on_day(cap.holds_from)
    if state == State.WAITING:
        return (
            f"The monthly cap of {amount} holds from {day} on, the first day of the plan. "
            "One that somebody sets before then is the later decision and stays."
        )
    if state == State.SET:
        return f"With it the monthly cap of {amount} was set, from {day} on."
    if state == State.TAKEN_BACK:
        return (
            f"{cap.settled_by} took back the monthly cap of {amount} that was to hold from "
            f"{day} on."
        )
    return (
        f"The monthly cap of {amount}, which was to hold from {day} on, is not set. {why} "
        "What was decided later holds."
    )


def _money(cap: EstimateCap) -> str:
    return figures.with_currency(cap.amount, cap.estimate.team.organization.currency)
