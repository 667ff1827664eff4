"""Caps of approved estimates: in force from the plan's first day on, unless somebody has
decided on the cap since."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection

from billing.actions import budgets, estimate_caps, estimates, raises, sweep
from billing.actions.budgets import Terms
from billing.actions.estimates import NotPossible
from billing.models import Budget, BudgetRevision, Estimate, EstimateCap, LanguageModel
from billing.models.estimates import Scenario
from billing.models.planned import Line
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.token_classes import NOTHING
from teams.actions import projects
from teams.models import AuditEvent
from tests.conftest import NOW, Cast

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DECEMBER = date(2026, 12, 1)
# In Berlin, by whose days the organization goes, it is an hour later.
BEGINS = datetime(2026, 11, 30, 23, tzinfo=UTC)


def draft(cast: Cast, **changes: Any) -> Estimate:
    model = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    line = Line(model, Scenario.MEDIUM, 1, NOTHING._replace(input=1_000_000))
    given = {"team": cast.search, "month": DECEMBER, "lines": [line], "by": "lead"}
    return estimates.save(**{**given, "now": NOW, **changes})


def approve(estimate: Estimate, cap: str, **said: Any) -> EstimateCap:
    given = {"by": "frank", "now": NOW, "cap": Decimal(cap), **said}
    estimates.approve(estimate=estimate, **given)
    return EstimateCap.objects.get(estimate=estimate)


def budget(cast: Cast, amount: str = "300", **changes: Any) -> Budget:
    given = {"organization": cast.acme, "team": cast.search, "period": PeriodKind.MONTH}
    said = {"terms": Terms(Decimal(amount)), "by": "finance", "now": NOW - DAY}
    return budgets.create(**{**given, **said, **changes})


def amount_of(its: Budget) -> Decimal:
    return Budget.objects.get(pk=its.pk).amount


def test_the_cap_of_a_plan_to_come_waits_for_its_first_day(cast: Cast):
    its = budget(cast)

    cap = approve(draft(cast), "500")

    assert (cap.state, cap.holds_from, cap.amount) == ("waiting", DECEMBER, 500)
    sweep.sweep(now=BEGINS - timedelta(microseconds=1))
    assert amount_of(its) == 300


def test_on_that_day_it_is_a_revision_by_who_approved_it(cast: Cast, as_worker: None):
    its = budget(cast)
    cap = approve(draft(cast), "500")

    sweep.sweep(now=BEGINS)
    sweep.sweep(now=BEGINS + HOUR)

    last = BudgetRevision.objects.filter(budget=its).order_by("-revision").first()
    assert last is not None
    assert (last.revision, last.amount, last.changed_by) == (2, 500, "frank")
    assert last.changed_at == BEGINS
    assert last.reason == (
        f"Estimate #{cap.estimate_id} approved: its cap holds from 1 Dec 2026."
    )
    cap.refresh_from_db()
    assert (cap.state, cap.revision, cap.settled_at) == ("set", last, BEGINS)


def test_where_there_is_no_budget_it_makes_one_that_day(cast: Cast, as_worker: None):
    approve(draft(cast, project=cast.answers), "500")
    assert not Budget.objects.exists()

    sweep.sweep(now=BEGINS)

    made = Budget.objects.get()
    assert (made.project, made.period, made.amount) == (cast.answers, "month", 500)


@pytest.mark.parametrize("month", [date(2026, 11, 1), date(2026, 9, 1)])
def test_the_cap_of_a_plan_that_runs_holds_at_once(cast: Cast, month: date):
    its = budget(cast)

    cap = approve(draft(cast, month=month), "500")

    assert amount_of(its) == 500
    assert (cap.state, cap.settled_by) == ("set", "frank")
    assert cap.holds_from == NOW.date()


def test_a_day_that_has_begun_in_its_zone_alone_has_begun(cast: Cast):
    its = budget(cast)

    approve(draft(cast), "500", now=BEGINS)

    assert amount_of(its) == 500


def test_it_is_taken_back_before_its_day(cast: Cast):
    its = budget(cast)
    cap = approve(draft(cast), "500")

    for _ in range(2):
        taken = estimates.take_back_cap(estimate=cap.estimate, by="anna", now=NOW + HOUR)

    assert (taken.state, taken.settled_by) == ("taken_back", "anna")
    sweep.sweep(now=BEGINS)
    assert amount_of(its) == 300
    assert Estimate.objects.get().state == "approved"
    said = AuditEvent.objects.get(action="estimate_cap.taken_back")
    assert (said.actor, said.after["cap"]) == ("anna", "500")


def test_what_holds_is_not_taken_back(cast: Cast):
    approved = approve(draft(cast, month=date(2026, 11, 1)), "500").estimate
    with pytest.raises(NotPossible, match="is set"):
        estimates.take_back_cap(estimate=approved, by="anna", now=NOW)

    bare = draft(cast)
    estimates.approve(estimate=bare, by="frank", now=NOW)
    with pytest.raises(NotPossible, match="without a cap"):
        estimates.take_back_cap(estimate=bare, by="anna", now=NOW)


# --- What is decided in between -----------------------------------------------------


def test_a_cap_that_somebody_sets_meanwhile_stays(cast: Cast, as_worker: None):
    its = budget(cast)
    cap = approve(draft(cast), "500")
    budgets.amend(
        budget=its, changes={"amount": Decimal(800)}, by="anna", now=NOW + 3 * DAY
    )

    sweep.sweep(now=NOW + 3 * DAY + HOUR)
    sweep.sweep(now=BEGINS)

    cap.refresh_from_db()
    assert (cap.state, cap.settled_by) == ("lapsed", "purser")
    assert cap.why == "anna set the cap to $800.00 on 25 Nov 2026."
    assert amount_of(its) == 800


def test_a_change_of_other_terms_is_no_decision_on_the_cap(cast: Cast):
    its = budget(cast)
    approve(draft(cast), "500")
    raised = {"raised_to": Decimal(400), "raised_until": BEGINS + 5 * DAY}
    for number, changes in enumerate(({"hard": True}, {"thresholds": (60,)}, raised)):
        budgets.amend(budget=its, changes=changes, by="anna", now=NOW + (number + 1) * HOUR)

    sweep.sweep(now=BEGINS)

    after = Budget.objects.get()
    assert (after.amount, after.hard, after.thresholds) == (500, True, [60])
    assert after.raised_to is None  # below the new cap


def test_a_budget_that_is_ended_meanwhile_stays_ended(cast: Cast):
    its = budget(cast)
    cap = approve(draft(cast), "500")
    budgets.archive(budget=its, by="anna", now=NOW + DAY)

    sweep.sweep(now=BEGINS)

    cap.refresh_from_db()
    assert cap.why == "The monthly budget was ended on 23 Nov 2026."
    assert not Budget.objects.active().exists()


def test_a_budget_that_is_made_meanwhile_keeps_its_cap(cast: Cast):
    cap = approve(draft(cast), "500")
    made = budget(cast, "50", now=NOW + DAY)

    sweep.sweep(now=BEGINS)

    cap.refresh_from_db()
    assert (cap.state, amount_of(made)) == ("lapsed", 50)


def test_budgets_of_something_else_do_not_matter(cast: Cast):
    its = budget(cast)
    approve(draft(cast), "500")
    later = {"now": NOW + DAY}
    budget(cast, "1", period=PeriodKind.WEEK, **later)
    budget(cast, "1", team=None, project=cast.answers, **later)
    budget(cast, "1", team=cast.support, **later)

    sweep.sweep(now=BEGINS)

    assert amount_of(its) == 500


def test_of_two_estimates_of_a_month_the_cap_approved_last_is_set(cast: Cast):
    its = budget(cast)
    second = draft(cast, months=2, month=date(2026, 11, 1))
    first = approve(draft(cast), "500")
    approve(second, "600", now=NOW + HOUR)

    sweep.sweep(now=BEGINS)

    first.refresh_from_db()
    assert first.why == (
        f"frank approved estimate #{second.pk}, with a cap for the same month, on 22 Nov "
        "2026."
    )
    assert amount_of(its) == 600


def test_one_of_other_months_takes_the_place_of_none(cast: Cast):
    its = budget(cast)
    approve(draft(cast), "500")
    approve(draft(cast, month=date(2026, 11, 1)), "200", now=NOW + HOUR)
    approve(draft(cast, month=date(2027, 1, 1)), "700", now=NOW + HOUR)
    estimates.approve(estimate=draft(cast), by="frank", now=NOW + HOUR)  # without a cap

    assert amount_of(its) == 200
    sweep.sweep(now=BEGINS)
    assert amount_of(its) == 500
    sweep.sweep(now=BEGINS + 31 * DAY)
    assert amount_of(its) == 700


def test_one_that_is_overtaken_lapses_at_that_approval_and_stays_so(cast: Cast):
    its = budget(cast)
    first = approve(draft(cast), "500")
    other = approve(draft(cast), "600", now=NOW + HOUR)

    first.refresh_from_db()
    assert (first.state, first.settled_at) == ("lapsed", NOW + HOUR)
    estimates.take_back_cap(estimate=other.estimate, by="frank", now=NOW + 2 * HOUR)
    sweep.sweep(now=BEGINS)
    assert amount_of(its) == 300


@pytest.mark.parametrize("state", ["taken_back", "lapsed"])
def test_one_that_never_holds_takes_the_place_of_none(cast: Cast, state: str):
    its = budget(cast)
    first = approve(draft(cast), "500", now=NOW + HOUR)
    other = approve(draft(cast), "600")
    why = "Nobody owns it." if state == "lapsed" else ""
    estimate_caps.settle(other, EstimateCap.State(state), by="x", now=NOW, why=why)
    Estimate.objects.filter(pk=other.estimate_id).update(approved_at=NOW + 2 * HOUR)

    sweep.sweep(now=BEGINS)

    first.refresh_from_db()
    assert first.state == "set"
    assert amount_of(its) == 500


def test_where_the_project_has_gone_to_another_team_it_lapses(cast: Cast):
    cap = approve(draft(cast, project=cast.answers), "500")
    moved = {"project": cast.answers, "team": cast.support, "effective_from": NOW + DAY}
    projects.move(**moved, by="tests", now=NOW)

    sweep.sweep(now=BEGINS)

    cap.refresh_from_db()
    assert (cap.state, cap.why) == ("lapsed", "This team does not own the project.")
    assert not Budget.objects.exists()


def test_a_cap_that_it_has_already_makes_no_revision(cast: Cast):
    its = budget(cast, "500")
    cap = approve(draft(cast), "500")

    sweep.sweep(now=BEGINS)

    cap.refresh_from_db()
    assert (cap.state, cap.revision) == ("set", None)
    assert Budget.objects.get(pk=its.pk).revision == 1


def test_each_is_settled_once(cast: Cast):
    for scope in ({"team": cast.search}, {"team": cast.support}, {"project": cast.answers}):
        approve(draft(cast, **scope), "5")

    assert estimate_caps.put_in_force(now=BEGINS) == 3
    assert estimate_caps.put_in_force(now=BEGINS) == 0
    assert Budget.objects.count() == 3


def test_one_that_cannot_be_looked_at_is_put_off_and_the_next_is_set(
    cast: Cast, caplog: pytest.LogCaptureFixture
):
    later = approve(draft(cast, month=date(2027, 1, 1)), "5")
    approve(draft(cast, team=cast.support), "6")
    looks: list[str] = []

    def fail_first(execute: Any, sql: str, *rest: Any) -> Any:
        if "billing_budgetrevision" in sql:
            looks.append(sql)
            if len(looks) == 1:
                raise OperationalError("canceling statement due to lock timeout")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail_first):
        assert estimate_caps.put_in_force(now=BEGINS) == 1

    assert f"the {later} is put off" in caplog.text
    assert [one.amount for one in Budget.objects.all()] == [6]


def test_a_cap_that_is_none_waits_for_no_day(cast: Cast):
    for wrong in ("-1", "1e12"):
        with pytest.raises(ValidationError):
            approve(draft(cast), wrong)

    assert not EstimateCap.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "set"},
        {"state": "lapsed", "settled_by": "x", "settled_at": NOW},
        {"why": "Because."},
        {"settled_by": "x"},
        {"amount": Decimal(-1)},
    ],
)
def test_the_database_keeps_no_cap_that_makes_no_sense(cast: Cast, changes: dict[str, Any]):
    cap = approve(draft(cast), "5")

    with pytest.raises(IntegrityError):
        EstimateCap.objects.filter(pk=cap.pk).update(**changes)


# --- Two people ---------------------------------------------------------------------


@pytest.fixture
def frank(cast: Cast) -> User:
    raises.set_policy(
        organization=cast.acme, two_approvals_above=Decimal(400), by="tests", now=NOW
    )
    return User.objects.create_user("frank")


@pytest.fixture
def anna(cast: Cast) -> User:
    return User.objects.create_user("anna")


def submitted(cast: Cast, person: User | None, by: str = "key") -> Estimate:
    made = draft(cast, month=date(2026, 11, 1))
    name = person.get_username() if person else by
    return estimates.submit(estimate=made, by=name, person=person, now=NOW)


def test_who_submits_does_not_approve_a_cap_for_which_a_raise_takes_two(
    cast: Cast, frank: User, anna: User
):
    made = submitted(cast, frank)

    with pytest.raises(NotPossible, match=r"above \$400\.00 takes two.*you submitted it"):
        approve(made, "400.01", person=frank)
    with pytest.raises(NotPossible, match="you submitted it"):
        approve(made, "400.01", person=frank, by="frank@home")
    assert Estimate.objects.get().state == "submitted"

    approve(made, "400.01", person=anna, by="anna")
    assert Budget.objects.get().amount == Decimal("400.01")


def test_up_to_that_amount_and_without_a_cap_one_is_enough(cast: Cast, frank: User):
    approve(submitted(cast, frank), "400", person=frank)
    estimates.approve(
        estimate=submitted(cast, frank), by="frank", person=frank, now=NOW + HOUR
    )

    assert set(Estimate.objects.values_list("state", flat=True)) == {"approved"}


@pytest.mark.parametrize("state", ["draft", "submitted"])
def test_what_no_person_submitted_is_not_approved_with_such_a_cap(
    cast: Cast, frank: User, state: str
):
    made = draft(cast)
    if state == "submitted":
        estimates.submit(estimate=made, by="a key", now=NOW)

    with pytest.raises(NotPossible, match="one submits the estimate, then another"):
        approve(made, "500", person=frank)


def test_an_api_key_does_not_approve_such_a_cap(cast: Cast, frank: User):
    with pytest.raises(NotPossible, match="an API key does not"):
        approve(submitted(cast, frank), "500", person=None, by="a key")
