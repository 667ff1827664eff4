from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from django.core.validators import MinValueValidator
from django.db import models

from billing.models.budgets import Budget, BudgetQuerySet, BudgetRevision
from billing.models.estimates import Estimate
from billing.pricing import figures
from billing.pricing.budget_periods import PeriodKind
from teams.reporting_days import ReportingDays


class EstimateCapQuerySet(models.QuerySet["EstimateCap"]):
    def waiting(self) -> "EstimateCapQuerySet":
        return self.filter(state=EstimateCap.State.WAITING)

    def of_scope(self, estimate: Estimate) -> "EstimateCapQuerySet":
        """Those for the same budget as that of this estimate."""
        return self.filter(estimate__team=estimate.team, estimate__project=estimate.project)

    def with_estimate(self) -> "EstimateCapQuerySet":
        """With all that its scope and its sentences read."""
        return self.select_related("estimate__team__organization", "estimate__project")

    def for_budget(self, budget: Budget) -> "EstimateCapQuerySet":
        """Those that are to be this budget's, in the order of their days."""
        if budget.period != PeriodKind.MONTH or budget.is_limited:
            return self.none()
        if budget.project_id is not None:
            its = self.filter(estimate__project=budget.project_id)
        else:
            its = self.filter(estimate__project=None, estimate__team=budget.team_id)
        return its.order_by("holds_from", "pk")


class Overtaking(NamedTuple):
    """A decision on the same cap that was taken after an approval: when, and which."""

    at: datetime
    what: str


class EstimateCap(models.Model):
    """The monthly cap that an estimate was approved with.

    It waits for the first day of the plan. Of what is decided on a cap the last holds: one
    that somebody sets meanwhile stays, and this one lapses.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SET = "set", "Set"
        TAKEN_BACK = "taken_back", "Taken back"
        LAPSED = "lapsed", "Lapsed"

    estimate = models.OneToOneField(Estimate, on_delete=models.CASCADE, related_name="cap")
    amount = models.DecimalField(
        "cap", max_digits=21, decimal_places=9, validators=[MinValueValidator(0)]
    )
    holds_from = models.DateField(help_text="In the reporting zone.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    settled_by = models.CharField(max_length=200, blank=True, default="")
    settled_at = models.DateTimeField(null=True, blank=True)
    why = models.TextField(blank=True, default="", help_text="Why it was never set.")
    # Null: it is not set, or the cap was this one already.
    revision = models.OneToOneField(
        BudgetRevision,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="estimate_cap",
    )

    objects = EstimateCapQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(amount__gte=0, amount__lt=10**12),
                name="estimate_cap_finite",
            ),
            models.CheckConstraint(
                condition=models.Q(state="waiting", settled_at=None, settled_by="")
                | (
                    ~models.Q(state="waiting")
                    & models.Q(settled_at__isnull=False)
                    & ~models.Q(settled_by="")
                ),
                name="estimate_cap_is_settled_by_somebody",
            ),
            models.CheckConstraint(
                condition=models.Q(state="lapsed") & ~models.Q(why="")
                | ~models.Q(state="lapsed") & models.Q(why=""),
                name="lapsed_estimate_cap_says_why",
            ),
            models.CheckConstraint(
                condition=models.Q(revision=None) | models.Q(state="set"),
                name="estimate_cap_with_revision_is_set",
            ),
        ]
        indexes = [
            models.Index(
                fields=["holds_from"],
                condition=models.Q(state="waiting"),
                name="estimate_cap_waiting",
            )
        ]

    def __str__(self) -> str:
        return f"cap of estimate #{self.estimate_id}"

    @property
    def overtaken(self) -> str:
        """What was decided on the same cap since its approval, in a sentence; empty where
        nothing was. Select it `with_estimate()`."""
        later = max(self._overtaking(), default=None)
        return "" if later is None else later.what

    def _overtaking(self) -> Iterator[Overtaking]:
        approved_at = self.estimate.approved_at
        if approved_at is None:
            return
        budgets = Budget.objects.monthly(
            team=self.estimate.team, project=self.estimate.project
        )
        yield from self._changes(budgets, approved_at)
        yield from self._ends(budgets, approved_at)
        yield from self._approvals(approved_at)

    def _changes(self, budgets: BudgetQuerySet, since: datetime) -> Iterator[Overtaking]:
        """Caps that people set, not estimates; other terms are no decision on the cap."""
        amounts: dict[int, Decimal] = {}
        revisions = BudgetRevision.objects.filter(budget__in=budgets)
        for one in revisions.select_related("estimate_cap").order_by("budget", "revision"):
            before, amounts[one.budget_id] = amounts.get(one.budget_id), one.amount
            is_theirs = not hasattr(one, "estimate_cap") and one.amount != before
            if is_theirs and one.changed_at > since:
                cap = figures.with_currency(one.amount, self._currency)
                said = f"{one.changed_by} set the cap to {cap} {self._on(one.changed_at)}."
                yield Overtaking(one.changed_at, said)

    def _ends(self, budgets: BudgetQuerySet, since: datetime) -> Iterator[Overtaking]:
        if budgets.active().exists():
            return
        ends = budgets.filter(archived_at__gt=since)
        for at in ends.values_list("archived_at", flat=True):
            if at is not None:
                yield Overtaking(at, f"The monthly budget was ended {self._on(at)}.")

    def _approvals(self, since: datetime) -> Iterator[Overtaking]:
        """Of estimates with a cap for the same month."""
        covering = Estimate.objects.covering(self.estimate.month).filter(
            team=self.estimate.team_id,
            project=self.estimate.project_id,
            approved_at__gt=since,
            cap__isnull=False,
        )
        void = (self.State.TAKEN_BACK, self.State.LAPSED)
        for one in covering.exclude(cap__state__in=void):
            if one.approved_at is not None:
                said = (
                    f"{one.approved_by} approved estimate #{one.pk}, with a cap for the "
                    f"same month, {self._on(one.approved_at)}."
                )
                yield Overtaking(one.approved_at, said)

    def _on(self, at: datetime) -> str:
        day = ReportingDays(self.estimate.team.organization).day(at)
        return f"on {on_day(day)}"

    @property
    def _currency(self) -> str:
        return self.estimate.team.organization.currency


def on_day(day: date) -> str:
    """As it stands in sentences: 1 Dec 2026."""
    return f"{day.day} {day:%b %Y}"
