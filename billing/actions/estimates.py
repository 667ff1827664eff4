"""Estimates: what a team or project plans, priced by the same rates as its usage."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from billing.actions import estimate_caps, estimate_notices
from billing.models import (
    BudgetPolicy,
    Estimate,
    EstimateCap,
    EstimateLine,
    EstimateModel,
    EstimateShape,
    LanguageModel,
    Sample,
)
from billing.models.estimates import Scenario
from billing.models.planned import Chosen, Line, lines_of, priced, settled
from billing.pricing import figures, money
from billing.pricing.levers import Factor, Levers
from teams.actions import audit
from teams.models import Project, Team

_STATES = {state.value: state.label.lower() for state in Estimate.State}
_SUBMISSION = ("submitted_by", "submitted_at", "submitter")


class NotPossible(ValidationError):
    """As things stand: it is not in the state for this."""


@transaction.atomic
def save(
    *,
    team: Team,
    month: date,
    lines: Sequence[Line],
    by: str,
    now: datetime,
    project: Project | None = None,
    months: int = 1,
    plan: Scenario = Scenario.MEDIUM,
    contingency_percent: int = 0,
    source: str = "",
    sample: Sample | None = None,
    reference: LanguageModel | None = None,
    note: str = "",
    estimate: Estimate | None = None,
    version: str | None = None,
) -> Estimate:
    """A draft, new or in place of another draft, priced at the rates in force now.

    `version` is the one of the other draft that was changed into this. Raises
    ValidationError for what is no draft, NotPossible where it has another version by now,
    and as `priced` does.
    """
    first = month.replace(day=1)
    lines = [line._replace(month=line.month or first) for line in lines]
    costs = priced(lines, organization_id=team.organization_id, now=now)
    if estimate is None:
        estimate = Estimate(team=team, created_by=by, created_at=now)
    else:
        estimate = held(estimate)
        _check_draft(estimate)
        _check_version(estimate, version)
    estimate.project, estimate.month, estimate.months = project, first, months
    estimate.plan, estimate.source, estimate.note = plan, source, note
    estimate.contingency_percent, estimate.sample = contingency_percent, sample
    estimate.reference = reference
    estimate.priced_at, estimate.changed_by = now, by
    estimate.full_clean()
    estimate.check_owner(now)
    if any(line.month not in estimate.covered_months for line in lines):
        raise ValidationError("A line is for a month of the estimate.")
    estimate.save()
    # Made by hand: what it may have been multiplied out from says nothing of it any more.
    for part in (estimate.lines, estimate.shapes, estimate.models):
        part.all().delete()
    EstimateLine.objects.bulk_create(
        EstimateLine(
            estimate=estimate,
            month=line.month or first,
            model=line.model,
            processing=line.processing,
            scenario=line.scenario,
            requests=line.requests,
            cost=cost,
            **line.quantities._asdict(),
        )
        for line, cost in zip(lines, costs, strict=True)
    )
    return estimate


@transaction.atomic
def save_shapes(
    *,
    team: Team,
    month: date,
    months: int,
    shapes: Mapping[Scenario, Levers],
    models: Sequence[Chosen],
    by: str,
    now: datetime,
    plan: Scenario = Scenario.MEDIUM,
    source: str = "",
    reference: LanguageModel | None = None,
    **terms: Any,
) -> Estimate:
    """The same as `save`, of the lines that levers come to; they are kept beside them.

    Raises ValidationError as `save` and `lines_of` do.
    """
    organization_id = team.organization_id
    models = settled(models, shapes, reference, organization_id=organization_id, now=now)
    estimate = save(
        team=team,
        month=month,
        months=months,
        lines=lines_of(shapes, models, month.replace(day=1), months, plan),
        by=by,
        now=now,
        plan=plan,
        source=source,
        reference=reference,
        **terms,
    )
    kept = [(None, shapes), *((one.model, one.own) for one in models)]
    EstimateShape.objects.bulk_create(
        EstimateShape(estimate=estimate, model=model, scenario=scenario, **its._asdict())
        for model, of_model in kept
        for scenario, its in of_model.items()
    )
    EstimateModel.objects.bulk_create(_model(estimate, one) for one in models)
    return estimate


def _model(estimate: Estimate, chosen: Chosen) -> EstimateModel:
    factor = chosen.factor or Factor()
    return EstimateModel(
        estimate=estimate,
        model=chosen.model,
        share_percent=chosen.share_percent,
        token_factor=factor.mid,
        factor_low=None if factor.is_certain else factor.low,
        factor_high=None if factor.is_certain else factor.high,
    )


@transaction.atomic
def submit(
    *,
    estimate: Estimate,
    by: str,
    now: datetime,
    person: User | None = None,
    version: str | None = None,
) -> Estimate:
    """Ask for a draft to be approved; who may is told. Twice is once.

    `person` is who asks; an API key is none. `version` is the one that was looked at.
    Raises ValidationError, NotPossible.
    """
    estimate = held(estimate)
    if estimate.state == Estimate.State.SUBMITTED:
        return estimate
    _check_draft(estimate)
    _check_version(estimate, version)
    if not estimate.lines.exists():
        raise ValidationError("There is nothing in this estimate to approve yet.")
    estimate.state = Estimate.State.SUBMITTED
    estimate.submitted_by, estimate.submitted_at, estimate.submitter = by, now, person
    estimate.save(update_fields=["state", *_SUBMISSION])
    _audit(estimate, "estimate.submit", by=by, now=now)
    estimate_notices.submitted(estimate, now=now)
    return estimate


@transaction.atomic
def send_back(
    *, estimate: Estimate, note: str, by: str, now: datetime, version: str | None = None
) -> Estimate:
    """Make what was submitted a draft again, and say why.

    `version` is the one that was looked at. Raises ValidationError, NotPossible.
    """
    estimate = held(estimate)
    if estimate.state != Estimate.State.SUBMITTED:
        raise NotPossible(f"This estimate is {_STATES[estimate.state]}.")
    _check_version(estimate, version)
    if not note.strip():
        raise ValidationError({"note": "Say what has to change."})
    submitter = estimate.submitter
    estimate.state, estimate.decision_note = Estimate.State.DRAFT, note.strip()
    estimate.submitted_by, estimate.submitted_at, estimate.submitter = "", None, None
    estimate.save(update_fields=["state", "decision_note", *_SUBMISSION])
    _audit(estimate, "estimate.send_back", by=by, now=now, reason=note)
    estimate_notices.decided(estimate, by=by, now=now, person=submitter)
    return estimate


@transaction.atomic
def approve(
    *,
    estimate: Estimate,
    by: str,
    now: datetime,
    cap: Decimal | None = None,
    version: str | None = None,
    person: User | None = None,
) -> Estimate:
    """Make it the plan of its months; one approved before stays, and is not it any more.

    With a `cap` the monthly budget of its team or project has that cap from the first day
    of the plan on, at once where that has come, and is made where there is none. A cap
    for which the policy wants two people needs a `person` who is not the one that
    submitted it; an API key is none. `version` is the one that was looked at. Twice is
    once. Raises ValidationError, NotPossible.
    """
    estimate = held(estimate)
    if estimate.state == Estimate.State.APPROVED:
        _check_same(estimate, cap, by)
        return estimate
    _check_version(estimate, version)
    if not estimate.lines.exists():
        raise ValidationError("There is nothing in this estimate to approve yet.")
    if cap is not None:
        _check_people(estimate, cap, by, person)
    estimate.state = Estimate.State.APPROVED
    estimate.approved_by, estimate.approved_at, estimate.decision_note = by, now, ""
    estimate.save(update_fields=["state", "approved_by", "approved_at", "decision_note"])
    _audit(
        estimate,
        "estimate.approve",
        by=by,
        now=now,
        after={
            "month": f"{estimate.month:%Y-%m}",
            "months": estimate.months,
            "plan": estimate.plan,
            "cap": None if cap is None else money.plain(cap),
        },
    )
    if cap is not None:
        estimate_caps.keep(estimate=estimate, amount=cap, by=by, now=now)
    estimate_notices.decided(estimate, by=by, now=now, person=estimate.submitter)
    return estimate


@transaction.atomic
def take_back_cap(*, estimate: Estimate, by: str, now: datetime) -> EstimateCap:
    """Let the cap that waits for its day not be set; the plan stays. Twice is once.

    Raises NotPossible where none waits.
    """
    cap = estimate_caps.held(estimate)
    if cap is None:
        raise NotPossible("This estimate was approved without a cap.")
    if cap.state == EstimateCap.State.TAKEN_BACK:
        return cap
    if cap.state != EstimateCap.State.WAITING:
        raise NotPossible(f"The cap of this estimate is {cap.get_state_display().lower()}.")
    estimate_caps.settle(cap, EstimateCap.State.TAKEN_BACK, by=by, now=now)
    return cap


def held(estimate: Estimate) -> Estimate:
    """As it is now, ours until the transaction ends."""
    rows = Estimate.objects.with_scope().select_for_update(of=("self",))
    return rows.get(pk=estimate.pk)


def _check_draft(estimate: Estimate) -> None:
    if estimate.state != Estimate.State.DRAFT:
        raise NotPossible(
            f"This estimate is {_STATES[estimate.state]} and does not change: "
            "make a new one."
        )


def _check_version(estimate: Estimate, seen: str | None) -> None:
    """None where they do not say what they looked at."""
    if seen not in (None, estimate.version):
        raise NotPossible(
            f"{estimate.changed_by or 'Somebody'} changed it meanwhile, "
            f"{estimate.moment(estimate.priced_at)}: look at it again."
        )


def _check_same(estimate: Estimate, cap: Decimal | None, by: str) -> None:
    """What was approved is approved again as it was, and by the same."""
    its = EstimateCap.objects.filter(estimate=estimate).first()
    amount = None if its is None else its.amount
    if estimate.approved_at is None or (estimate.approved_by, amount) == (by, cap):
        return
    said = "without a cap"
    if amount is not None:
        currency = estimate.team.organization.currency
        said = f"with a cap of {figures.with_currency(amount, currency)}"
    when = estimate.moment(estimate.approved_at)
    raise NotPossible(f"{estimate.approved_by} approved it {said}, {when}.")


def _check_people(estimate: Estimate, cap: Decimal, by: str, person: User | None) -> None:
    """Where a raise to this cap takes two people, it does so here: one submits, another
    approves."""
    policy = BudgetPolicy.of(estimate.team.organization_id)
    if policy.two_approvals_above is None or policy.needed_for(cap) == 1:
        return
    currency = estimate.team.organization.currency
    above = figures.with_currency(policy.two_approvals_above, currency)
    said = f"A cap above {above} takes two people, signed in"
    if person is None:
        raise NotPossible(f"{said}: an API key does not approve it.")
    if estimate.state != Estimate.State.SUBMITTED or estimate.submitter_id is None:
        raise NotPossible(f"{said}: one submits the estimate, then another approves it.")
    if person.pk == estimate.submitter_id or by == estimate.submitted_by:
        raise NotPossible(f"{said}: you submitted it, so somebody else has to approve it.")


def _audit(estimate: Estimate, action: str, **said: Any) -> None:
    audit.record(
        action=action,
        subject=f"estimate {estimate.pk} of {estimate.scope}",
        organization=estimate.team.organization.slug,
        **said,
    )
