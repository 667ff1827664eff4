"""Budgets: made, changed and ended by a named person, for a reason."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError, transaction

from billing.actions import alerts, budget_totals
from billing.models import Budget, BudgetRevision, LanguageModel
from billing.pricing import caps, money
from billing.pricing.budget_periods import Period, PeriodKind
from teams import isolation
from teams.actions import audit
from teams.models import Organization, Project, Team
from teams.reporting_days import ReportingDays

logger = logging.getLogger(__name__)

MAX_PERCENT = 1000
# By whom the clock makes a change.
ITSELF = "purser"
FIRST_REVISION = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """What a budget says: the part of it that revisions change."""

    amount: Decimal
    hard: bool = False
    thresholds: tuple[int, ...] = caps.DEFAULT_THRESHOLDS
    # How likely it has to be exceeded, in percent, for an alert; None: no such alert.
    forecast_alert: int | None = caps.DEFAULT_FORECAST_ALERT
    expires_on: date | None = None
    exempt_free: bool = True
    # The cap for now, and when it ends: both or neither.
    raised_to: Decimal | None = None
    raised_until: datetime | None = None

    @classmethod
    def of(cls, budget: Budget, **changes: Any) -> "Terms":
        """What a budget says, but for these changes.

        A temporary raise stays as long as it is above the cap.
        """
        its = {name: getattr(budget, name) for name in _NAMES}
        its |= {"thresholds": tuple(budget.thresholds)} | changes
        if its["raised_to"] is not None and its["raised_to"] <= its["amount"]:
            its |= {"raised_to": None, "raised_until": None}
        return cls(**its)

    def put_on(self, budget: Budget) -> None:
        """Have the budget say this; not saved."""
        for name, value in _columns(self).items():
            setattr(budget, name, value)

    def __post_init__(self) -> None:
        if (self.raised_to is None) != (self.raised_until is None):
            raise ValidationError("A temporary raise has an amount and an end.")
        if self.raised_to is not None and self.raised_to <= self.amount:
            raise ValidationError("A temporary raise is above the cap.")
        if any(not 0 < level <= MAX_PERCENT for level in self.thresholds):
            raise ValidationError(
                {"thresholds": f"A threshold is a percentage from 1 to {MAX_PERCENT}."}
            )


_NAMES = tuple(field.name for field in fields(Terms))


@dataclass(frozen=True, slots=True)
class Limits:
    """What of its scope's spend a budget counts; what is empty limits nothing."""

    model_ids: tuple[int, ...] = ()
    processing: tuple[str, ...] = ()
    tag_key: str = ""
    tag_values: tuple[str, ...] = ()


NO_LIMITS = Limits()


@transaction.atomic
def create(
    *,
    organization: Organization,
    period: PeriodKind,
    terms: Terms,
    by: str,
    now: datetime,
    team: Team | None = None,
    project: Project | None = None,
    limits: Limits = NO_LIMITS,
    week_starts_on: int = 0,
    fiscal_starts_in: int = 1,
    custom: Period | None = None,
    reason: str = "",
) -> Budget:
    """A new budget, with what is already spent in its periods.

    `week_starts_on` (0 is Monday) is of weeks, `fiscal_starts_in` (a month, 1 to 12) of
    quarters and years, `custom` of a custom period. Raises ValidationError.
    """
    budget = Budget(
        organization=organization,
        team=team,
        project=project,
        model_ids=sorted(set(limits.model_ids)),
        processing=sorted(set(limits.processing)),
        tag_key=limits.tag_key,
        tag_values=sorted(set(limits.tag_values)),
        period=period,
        week_starts_on=week_starts_on,
        fiscal_starts_in=fiscal_starts_in,
        custom_first=custom.first if custom else None,
        custom_until=custom.until if custom else None,
        created_at=now,
        **_columns(terms),
    )
    check_new(budget, now=now)
    budget.save()
    _revise(budget, by=by, now=now, reason=reason, before=None)
    _settle(budget, now=now)
    return budget


@transaction.atomic
def change(
    *, budget: Budget, terms: Terms, by: str, now: datetime, reason: str = ""
) -> Budget:
    """Other terms from now on: a new revision. What is spent stays spent.

    Raises ValidationError for an archived budget.
    """
    budget = held(budget)
    before = Terms.of(budget)
    terms.put_on(budget)
    check_changed(budget, before=before, now=now)
    if before == terms:
        return budget
    budget.revision += 1
    budget.save()
    _revise(budget, by=by, now=now, reason=reason, before=before)
    _settle(budget, now=now)
    return budget


@transaction.atomic
def amend(
    *,
    budget: Budget,
    changes: Mapping[str, Any],
    by: str,
    now: datetime,
    reason: str = "",
    revision: int | None = None,
) -> Budget:
    """Some terms, by name, from now on; the others stay, also those just changed.

    `revision` is the one that the changes were made to. Raises ValidationError, also when
    there is a newer one.
    """
    budget = held(budget)
    check_revision(budget, revision)
    terms = Terms.of(budget, **changes)
    return change(budget=budget, terms=terms, by=by, now=now, reason=reason)


@transaction.atomic
def archive(*, budget: Budget, by: str, now: datetime, reason: str = "") -> None:
    """End a budget: its alerts are resolved, and it raises nothing more.

    Its history stays. Twice is once.
    """
    budget = held(budget)
    if budget.archived_at is not None:
        return
    budget.archived_at = now
    budget.save(update_fields=["archived_at"])
    alerts.resolve_all(budget, now=now)
    _audit(budget, "budget.archive", by=by, now=now, reason=reason)


def end_raises(*, now: datetime) -> int:
    """Write down which temporary raises have ended; how many. Twice is once.

    The cap itself has been the lower one since then: this is the revision that says so.
    """
    ended = Budget.objects.active().filter(raised_until__lte=now).order_by("pk")
    return sum(_end_raise(budget, now=now) for budget in ended)


def _end_raise(budget: Budget, *, now: datetime) -> bool:
    try:
        with transaction.atomic():
            current = held(budget)
            if current.raised_until is None or current.raised_until > now:
                return False
            amend(
                budget=current,
                changes={"raised_to": None, "raised_until": None},
                by=ITSELF,
                now=now,
                reason="The temporary raise ended.",
            )
            return True
    except (OperationalError, InterfaceError):
        logger.exception("ending the raise of budget %s is put off", budget.pk)
        return False


def held(budget: Budget) -> Budget:
    """The budget as it is now, ours until the transaction ends.

    No key is locked: counting, which has the ledger that a change waits for, may name the
    budget in its alerts.
    """
    rows = Budget.objects.with_scope().select_for_update(of=("self",), no_key=True)
    return rows.get(pk=budget.pk)


def _settle(budget: Budget, *, now: datetime) -> None:
    """Set a new budget's totals while counting waits, then say what is reached.

    A counter that did not know the budget, or knew its old terms, has finished when its
    team's ledger is taken; the next one reads the budget after this transaction. No
    change of the terms changes what counts, so the totals of an old one stand.
    """
    teams = covered_teams(budget)
    for team_id in teams:
        with isolation.visible_teams([team_id]):
            budget_totals.take_ledger(team_id)
            if budget.revision == FIRST_REVISION:
                budget_totals.rederive(team_id, [budget])
    with isolation.visible_teams(teams):
        alerts.evaluate(budget, now=now)


def covered_teams(budget: Budget) -> list[int]:
    """Teams whose spend may count against it, in the order they are locked."""
    if budget.team_id is not None:
        return [budget.team_id]
    teams = Team.objects.filter(organization=budget.organization_id)
    if budget.project_id is not None:
        teams = teams.filter(ownerships__project=budget.project_id)
    return list(teams.order_by("pk").distinct().values_list("pk", flat=True))


def check_revision(budget: Budget, seen: int | None) -> None:
    """Raises ValidationError when a budget has another revision than the one that
    somebody made their changes to; None where they do not say."""
    if seen not in (None, budget.revision):
        raise ValidationError("This budget was changed meanwhile. Look at it again.")


def check_new(budget: Budget, *, now: datetime) -> None:
    """Raises ValidationError for a budget, not saved, that is not to be made."""
    budget.created_at = now
    _check_scope(budget)
    check_expiry(budget.expires_on, organization=budget.organization, is_new=True, now=now)
    budget.full_clean()


def check_changed(budget: Budget, *, before: Terms, now: datetime) -> None:
    """Raises ValidationError for a budget, not saved, that is not to have its terms."""
    if budget.archived_at is not None:
        raise ValidationError("An archived budget does not change: make a new one.")
    if budget.expires_on != before.expires_on:  # one that was set may have passed
        check_expiry(
            budget.expires_on, organization=budget.organization, is_new=False, now=now
        )
    budget.full_clean()


def _check_scope(budget: Budget) -> None:
    for bound in (budget.team, budget.project):
        if bound is not None and bound.organization_id != budget.organization_id:
            raise ValidationError("A budget is for something of its organization.")
    known = LanguageModel.objects.filter(pk__in=budget.model_ids).count()
    if known < len(budget.model_ids):
        raise ValidationError({"model_ids": "There is no such model."})


def check_expiry(
    expires_on: date | None, *, organization: Organization, is_new: bool, now: datetime
) -> None:
    """Raises ValidationError for a day that has passed."""
    today = ReportingDays(organization).day(now)
    if expires_on is None:
        return
    if is_new and expires_on <= today:
        raise ValidationError({"expires_on": "It would be expired from the beginning."})
    if expires_on < today:
        raise ValidationError({"expires_on": "This day lies in the past."})


def _columns(terms: Terms) -> dict[str, Any]:
    columns = {name: getattr(terms, name) for name in _NAMES}
    return columns | {"thresholds": sorted(set(terms.thresholds))}


def _revise(
    budget: Budget, *, by: str, now: datetime, reason: str, before: Terms | None
) -> None:
    terms = Terms.of(budget)
    BudgetRevision.objects.create(
        budget=budget,
        revision=budget.revision,
        changed_by=by,
        changed_at=now,
        reason=reason,
        **_columns(terms),
    )
    _audit(
        budget,
        "budget.change" if before else "budget.create",
        by=by,
        now=now,
        reason=reason,
        before=_said(before) if before else None,
        after=_said(terms) if before else _said_of_new(budget, terms),
    )


def _said_of_new(budget: Budget, terms: Terms) -> dict[str, Any]:
    """Its terms, and what never changes: which periods it has, and what it counts."""
    custom = budget.window.custom
    return {
        "period": budget.period,
        "week_starts_on": budget.week_starts_on,
        "fiscal_starts_in": budget.fiscal_starts_in,
        "custom": custom
        and {"first": custom.first.isoformat(), "until": custom.until.isoformat()},
        "models": list(budget.model_names),
        "processing": list(budget.processing),
        "tag": {"key": budget.tag_key, "values": list(budget.tag_values)}
        if budget.tag_key
        else None,
        **_said(terms),
    }


def _audit(budget: Budget, action: str, **said: Any) -> None:
    audit.record(
        action=action,
        subject=f"budget {budget.pk} of {budget.scope}",
        organization=budget.organization.slug,
        **said,
    )


def _said(terms: Terms) -> dict[str, Any]:
    said = {
        "amount": money.plain(terms.amount),
        "hard": terms.hard,
        "thresholds": list(terms.thresholds),
        "forecast_alert": terms.forecast_alert,
        "expires_on": terms.expires_on and terms.expires_on.isoformat(),
        "exempt_free": terms.exempt_free,
    }
    if terms.raised_to is not None and terms.raised_until is not None:
        said["raised_to"] = money.plain(terms.raised_to)
        said["raised_until"] = terms.raised_until.isoformat()
    return said


def evaluate(budget: Budget, *, now: datetime) -> int:
    """Raise what a budget has reached over all its teams; how many new alerts.

    For budgets whose total no counting transaction can hold still, and for the sweep,
    which comes by again if the database cannot just now.
    """
    try:
        with isolation.visible_teams(covered_teams(budget)):
            # Again, and held: it may have been changed or archived since it was listed.
            held = Budget.objects.active().with_scope().filter(pk=budget.pk)
            current = held.select_for_update(of=("self",), no_key=True).first()
            return len(alerts.evaluate(current, now=now)) if current else 0
    except (OperationalError, InterfaceError):
        logger.exception("evaluating budget %s is put off", budget.pk)
        return 0
