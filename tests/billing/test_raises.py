"""Requests for a higher cap: who may decide, what becomes of the cap, what is written."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from billing.actions import budgets, raises, sweep
from billing.actions.budgets import Terms
from billing.actions.raises import NotPossible
from billing.models import Alert, Budget, BudgetPolicy, RaiseDecision, RaiseRequest
from billing.pricing.budget_periods import Period, PeriodKind
from billing.reports import raises as reports
from teams.actions import memberships
from teams.models import AuditEvent, Membership, Role
from teams.reporting_days import ReportingDays
from tests.billing.spending import make
from tests.conftest import NOW, Cast

UNTIL = NOW + timedelta(days=3)
State = RaiseRequest.State


@pytest.fixture
def people(cast: Cast) -> dict[str, User]:
    roles = {"lea": Role.LEAD} | dict.fromkeys(("frank", "fiona", "flora"), Role.FINANCE)
    made = {name: User.objects.create_user(name) for name in roles}
    for name, role in roles.items():
        memberships.grant(
            user=made[name], organization=cast.acme, role=role, by="tests", now=NOW
        )
    return made


@pytest.fixture
def budget(cast: Cast) -> Budget:
    return make(cast, "100")


@pytest.fixture
def ask(budget: Budget, people: dict[str, User]) -> Callable[..., RaiseRequest]:
    def asked(amount: str = "150", until=None, by: str = "lea", **more) -> RaiseRequest:
        said = {"reason": "Two more countries.", "person": people.get(by)} | more
        return raises.ask(
            budget=budget, amount=Decimal(amount), until=until, by=by, now=NOW, **said
        )

    return asked


@pytest.fixture
def approve(people: dict[str, User]) -> Callable[..., RaiseRequest]:
    def approved(
        request: RaiseRequest, by: str = "frank", amount: str = "", until=..., now=NOW
    ) -> RaiseRequest:
        return raises.approve(
            request=request,
            amount=Decimal(amount) if amount else request.amount,
            until=request.until if until is ... else until,
            by=by,
            person=people.get(by),
            now=now,
        )

    return approved


@pytest.fixture
def two_above_120(cast: Cast) -> None:
    raises.set_policy(
        organization=cast.acme, two_approvals_above=Decimal(120), by="tests", now=NOW
    )


def cap(budget: Budget, now=NOW) -> Decimal:
    return Budget.objects.get(pk=budget.pk).cap(now)


def test_what_is_asked_changes_nothing_yet(ask, budget):
    request = ask()

    assert (request.state, request.asked_by) == (State.PENDING, "lea")
    assert (cap(budget), Budget.objects.get().revision) == (100, 1)
    event = AuditEvent.objects.get(action="raise.ask")
    assert (event.actor, event.reason) == ("lea", "Two more countries.")
    assert event.after == {"amount": "150", "until": None}


def test_asking_twice_is_asking_once(ask):
    first, second = ask(), ask()

    assert first == second
    assert AuditEvent.objects.filter(action="raise.ask").count() == 1


@pytest.mark.parametrize("other", [{"amount": "160"}, {"until": UNTIL}])
def test_who_waits_for_a_decision_asks_for_nothing_else(ask, other, people):
    first = ask()

    with pytest.raises(NotPossible, match=f"raise request {first.pk} waits"):
        ask(**other)
    # Nor under another name.
    User.objects.filter(username="lea").update(username="leah")
    with pytest.raises(NotPossible):
        ask(by="leah", person=people["lea"], **other)

    assert RaiseRequest.objects.get() == first
    assert Alert.objects.filter(kind=Alert.Kind.RAISE_REQUEST).count() == 1
    assert ask(by="frank", **other) != first


def test_what_is_withdrawn_can_be_asked_for_again(ask, people):
    raises.withdraw(request=ask(), by="lea", person=people["lea"], now=NOW)

    assert ask("160").state == State.PENDING


def test_an_expired_budget_is_not_raised(ask, approve, budget, cast):
    request = ask()
    tomorrow = ReportingDays(cast.acme).day(NOW) + timedelta(days=1)
    budgets.amend(budget=budget, changes={"expires_on": tomorrow}, by="tests", now=NOW)
    assert ask(by="flora").state == State.PENDING
    later = NOW + timedelta(days=2)

    with pytest.raises(NotPossible, match="has expired"):
        approve(request, now=later)
    with pytest.raises(NotPossible, match="has expired"):
        raises.ask(
            budget=budget,
            amount=Decimal(200),
            until=None,
            reason="More.",
            by="frank",
            now=later,
        )

    assert cap(budget, later) == 100


def test_a_custom_period_that_is_over_is_not_raised(cast: Cast):
    days = ReportingDays(cast.acme).day(NOW) - timedelta(days=9)
    over = make(
        cast,
        "100",
        period=PeriodKind.CUSTOM,
        custom=Period(days, days + timedelta(days=5)),
    )

    with pytest.raises(NotPossible, match="has ended"):
        raises.ask(
            budget=over, amount=Decimal(200), until=None, reason="x", by="lea", now=NOW
        )


def test_an_approval_for_good_is_a_revision(ask, approve, budget):
    request = approve(ask())

    assert (request.state, request.granted_amount, request.ended_at) == (
        State.APPROVED,
        150,
        NOW,
    )
    budget.refresh_from_db()
    assert (budget.amount, budget.revision) == (150, 2)
    revision = budget.revisions.get(revision=2)
    assert (revision.changed_by, revision.reason) == (
        "frank",
        "Asked for by lea: Two more countries.",
    )
    (event,) = AuditEvent.objects.filter(action="raise.approve")
    assert (event.actor, event.after) == ("frank", {"amount": "150", "until": None})


def test_an_approval_with_an_end_falls_back_by_itself(ask, approve, budget):
    approve(ask(until=UNTIL))

    assert [cap(budget, at) for at in (NOW, UNTIL - timedelta(seconds=1), UNTIL)] == [
        150,
        150,
        100,
    ]


def test_an_approver_may_change_amount_and_end(ask, approve, budget):
    request = approve(ask("150"), amount="110", until=UNTIL)

    assert (request.granted_amount, request.granted_until) == (110, UNTIL)
    assert (cap(budget), cap(budget, UNTIL)) == (110, 100)
    event = AuditEvent.objects.get(action="raise.approve")
    assert (event.before["amount"], event.after["amount"]) == ("150", "110")


def test_who_asks_does_not_decide(ask, approve, people, budget):
    request = ask(by="frank")

    with pytest.raises(NotPossible):
        approve(request, by="frank")
    with pytest.raises(NotPossible):
        raises.decline(request=request, by="frank", person=people["frank"], now=NOW)
    # Nor under another name.
    User.objects.filter(username="frank").update(username="francis")
    with pytest.raises(NotPossible):
        raises.approve(
            request=request,
            amount=request.amount,
            until=None,
            by="francis",
            person=people["frank"],
            now=NOW,
        )

    assert (cap(budget), RaiseDecision.objects.count()) == (100, 0)


@pytest.mark.usefixtures("two_above_120")
def test_above_the_amount_of_the_policy_two_people_have_to(ask, approve, budget):
    request = ask("150")

    assert approve(request, by="frank").state == State.PENDING
    assert approve(request, by="frank").state == State.PENDING
    assert cap(budget) == 100
    assert RaiseDecision.objects.count() == 1

    assert approve(request, by="fiona").state == State.APPROVED
    assert cap(budget) == 150
    revision = budget.revisions.get(revision=2)
    assert revision.changed_by == "fiona"
    assert "Approved by frank too." in revision.reason


@pytest.mark.usefixtures("two_above_120")
def test_exactly_the_amount_of_the_policy_is_not_above_it(ask, approve, budget):
    assert approve(ask("120")).state == State.APPROVED
    assert cap(budget) == 120


@pytest.mark.usefixtures("two_above_120")
def test_who_approved_before_the_policy_changed_can_finish_it(ask, approve, budget, cast):
    request = ask()
    assert approve(request).state == State.PENDING
    raises.set_policy(organization=cast.acme, two_approvals_above=None, by="tests", now=NOW)

    assert approve(request).state == State.APPROVED
    assert cap(budget) == 150
    assert RaiseDecision.objects.count() == 1


def leaves(user: User) -> None:
    Membership.objects.filter(user=user).delete()


def deactivated(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def deleted(user: User) -> None:
    user.delete()


@pytest.mark.usefixtures("two_above_120")
@pytest.mark.parametrize("happens", [leaves, deactivated, deleted])
def test_who_may_approve_no_more_has_not_approved(ask, approve, people, budget, happens):
    request = ask("150")
    approve(request, by="frank")
    happens(people["frank"])

    assert approve(request, by="fiona").state == State.PENDING
    assert cap(budget) == 100
    decided = reports.decided(request, now=NOW)
    assert [one.decided_by for one in decided.approvals] == ["fiona"]
    assert [one.decided_by for one in decided.lapsed] == ["frank"]

    assert approve(request, by="flora").state == State.APPROVED
    revision = budget.revisions.get(revision=2)
    assert "frank" not in revision.reason


@pytest.mark.usefixtures("two_above_120")
def test_a_role_in_another_team_is_none_here(ask, approve, people, budget, cast):
    request = ask("150")
    approve(request, by="frank")
    leaves(people["frank"])
    memberships.grant(
        user=people["frank"],
        organization=cast.acme,
        team=cast.support,
        role=Role.FINANCE,
        by="tests",
        now=NOW,
    )

    assert approve(request, by="fiona").state == State.PENDING


@pytest.mark.usefixtures("two_above_120")
def test_who_may_again_is_counted_when_somebody_approves_again(ask, approve, people, cast):
    request = ask("150")
    approve(request, by="frank")
    leaves(people["frank"])
    approve(request, by="fiona")
    memberships.grant(
        user=people["frank"],
        organization=cast.acme,
        role=Role.FINANCE,
        by="tests",
        now=NOW,
    )

    assert approve(request, by="fiona").state == State.APPROVED


@pytest.mark.usefixtures("two_above_120")
def test_two_people_have_to_approve_the_same(ask, approve, budget):
    request = ask("150")

    approve(request, by="frank")
    assert approve(request, by="fiona", amount="140").state == State.PENDING
    assert approve(request, by="flora", until=UNTIL).state == State.PENDING
    assert cap(budget) == 100

    assert approve(request, by="frank", amount="140").state == State.APPROVED
    assert cap(budget) == 140


@pytest.mark.usefixtures("two_above_120")
def test_what_somebody_said_last_counts(ask, approve, people, budget):
    request = ask("150")

    approve(request, by="frank")
    approve(request, by="frank", amount="140")

    assert approve(request, by="fiona").state == State.PENDING
    assert cap(budget) == 100


@pytest.mark.usefixtures("two_above_120")
def test_an_api_key_is_none_of_two_people(ask, approve, budget):
    request = ask("150")

    with pytest.raises(NotPossible):
        approve(request, by="automation (purser_abc…)")

    assert approve(request, by="automation (purser_abc…)", amount="110").state == (
        State.APPROVED
    )
    assert cap(budget) == 110


@pytest.mark.usefixtures("two_above_120")
def test_one_may_decline_what_another_approved(ask, approve, people, budget):
    request = ask("150")
    approve(request, by="frank")

    declined = raises.decline(
        request=request, by="fiona", person=people["fiona"], now=NOW, note="Not this month."
    )

    assert (declined.state, cap(budget)) == (State.DECLINED, 100)
    event = AuditEvent.objects.get(action="raise.decline")
    assert (event.actor, event.reason) == ("fiona", "Not this month.")
    with pytest.raises(NotPossible):
        approve(request, by="flora")


def test_declining_twice_is_declining_once(ask, people):
    request = ask()

    for _ in range(2):
        raises.decline(request=request, by="frank", person=people["frank"], now=NOW)

    assert RaiseDecision.objects.count() == 1


def test_only_who_asked_withdraws(ask, approve, people, budget):
    request = ask()

    with pytest.raises(NotPossible):
        raises.withdraw(request=request, by="frank", person=people["frank"], now=NOW)
    for _ in range(2):
        raises.withdraw(request=request, by="lea", person=people["lea"], now=NOW)

    request.refresh_from_db()
    assert (request.state, request.ended_at) == (State.WITHDRAWN, NOW)
    assert AuditEvent.objects.filter(action="raise.withdraw").count() == 1
    with pytest.raises(NotPossible):
        approve(request)


def test_what_was_not_decided_in_time_expires(ask, approve, budget):
    request = ask(until=UNTIL)

    assert request.state_at(UNTIL - timedelta(microseconds=1)) == State.PENDING
    assert request.state_at(UNTIL) == State.EXPIRED
    with pytest.raises(NotPossible):
        approve(request, until=None, now=UNTIL)
    sweep.sweep(now=UNTIL - timedelta(microseconds=1))
    assert RaiseRequest.objects.get().state == State.PENDING
    sweep.sweep(now=UNTIL)
    sweep.sweep(now=UNTIL)
    assert RaiseRequest.objects.get().state == State.EXPIRED
    assert AuditEvent.objects.filter(action="raise.expire").count() == 1


def test_a_budget_that_ends_takes_its_requests_along(ask, approve, budget):
    request = ask()
    budgets.archive(budget=budget, by="tests", now=NOW)

    with pytest.raises(NotPossible):
        approve(request)
    with pytest.raises(NotPossible):
        ask("200")
    sweep.sweep(now=NOW)

    assert RaiseRequest.objects.get().state == State.EXPIRED


@pytest.mark.usefixtures("as_worker")
def test_a_worker_may_let_requests_expire(ask):
    ask(until=UNTIL)

    assert [raises.expire(now=UNTIL), raises.expire(now=UNTIL)] == [1, 0]


@pytest.mark.parametrize(
    "terms",
    [
        {"amount": "100"},
        {"amount": "99"},
        {"amount": "150", "until": NOW},
        {"amount": "150", "reason": " "},
        {"amount": "1000000000000"},
    ],
)
def test_what_is_no_raise_is_refused(ask, terms):
    with pytest.raises(ValidationError):
        ask(**terms)

    assert not RaiseRequest.objects.exists()


def test_a_raise_can_be_made_longer_and_not_smaller(ask, approve, budget):
    approve(ask("150", until=UNTIL))
    later = UNTIL + timedelta(days=1)

    for amount, until in (("150", UNTIL), ("140", later)):
        with pytest.raises(ValidationError):
            ask(amount, until=until)

    approve(ask("150", until=later))
    assert cap(budget, UNTIL) == 150


def test_a_cap_that_was_raised_meanwhile_is_not_lowered_by_an_approval(
    ask, approve, budget
):
    request = ask("150")
    budgets.change(budget=budget, terms=Terms(Decimal(200)), by="tests", now=NOW)

    with pytest.raises(ValidationError):
        approve(request)

    assert cap(budget) == 200


def test_a_policy_is_changed_by_name(cast: Cast):
    for amount in (Decimal(500), Decimal(500), None):
        raises.set_policy(
            organization=cast.acme, two_approvals_above=amount, by="fiona", now=NOW
        )

    assert BudgetPolicy.objects.get().two_approvals_above is None
    events = AuditEvent.objects.filter(action="budget_policy.change").order_by("pk")
    assert [(one.actor, one.before, one.after) for one in events] == [
        ("fiona", {"two_approvals_above": None}, {"two_approvals_above": "500"}),
        ("fiona", {"two_approvals_above": "500"}, {"two_approvals_above": None}),
    ]
