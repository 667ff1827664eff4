from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.contrib.auth.models import User
from django.core.validators import MinValueValidator
from django.db import models

from billing.models.budgets import Budget
from teams import permissions
from teams.models import Organization
from teams.permissions import Permission


class BudgetPolicy(models.Model):
    """What an organization asks of those who decide on its caps."""

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, related_name="budget_policy"
    )
    two_approvals_above = models.DecimalField(
        max_digits=21,
        decimal_places=9,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="A raise to a cap above it needs two people. Empty: one is enough.",
    )

    class Meta:
        verbose_name_plural = "budget policies"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(two_approvals_above__gte=0)
                & models.Q(two_approvals_above__lt=10**12),
                name="budget_policy_amount_finite",
            )
        ]

    def __str__(self) -> str:
        return f"policy of {self.organization}"

    @classmethod
    def of(cls, organization_id: int) -> "BudgetPolicy":
        """That of an organization, which may never have set one; not saved then."""
        kept = cls.objects.filter(organization=organization_id).first()
        return kept or cls(organization_id=organization_id)

    def needed_for(self, amount: Decimal) -> int:
        """How many people have to approve a cap of this amount."""
        above = self.two_approvals_above
        return 2 if above is not None and amount > above else 1


class RaiseRequestQuerySet(models.QuerySet["RaiseRequest"]):
    def waiting(self, now: datetime) -> "RaiseRequestQuerySet":
        """Those that can still be decided on."""
        return self.filter(
            models.Q(until=None) | models.Q(until__gt=now),
            state=RaiseRequest.State.PENDING,
            budget__archived_at=None,
        )

    def of(
        self, budget: Budget, asked_by: str, asker: User | None
    ) -> "RaiseRequest | None":
        """The one that somebody asked for, under whatever name, of this budget."""
        them = models.Q(asked_by=asked_by)
        if asker is not None:
            them |= models.Q(asker=asker)
        return self.filter(them, budget=budget).order_by("pk").first()

    def with_budget(self) -> "RaiseRequestQuerySet":
        """With all that the scope of its budget reads."""
        return self.select_related(
            "budget__organization", "budget__team", "budget__project"
        ).prefetch_related("budget__project__ownerships")

    def with_decisions(self) -> "RaiseRequestQuerySet":
        """With what was said of each, and by whom."""
        return self.prefetch_related("decisions__decider")


class RaiseRequest(models.Model):
    """Somebody asks for a higher cap: how much, until when, and why."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        APPROVED = "approved", "Approved"
        DECLINED = "declined", "Declined"
        WITHDRAWN = "withdrawn", "Withdrawn"
        EXPIRED = "expired", "Expired"

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="raises")
    asked_by = models.CharField(max_length=200)
    # Null: an API key asked.
    asker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    asked_at = models.DateTimeField()
    amount = models.DecimalField("new cap", max_digits=21, decimal_places=9)
    until = models.DateTimeField(null=True, blank=True, help_text="Empty: for good.")
    reason = models.TextField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    # What was approved: the approvers may change both.
    granted_amount = models.DecimalField(
        max_digits=21, decimal_places=9, null=True, blank=True
    )
    granted_until = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = RaiseRequestQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(amount__gt=0, amount__lt=10**12),
                name="raise_request_amount_finite",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state="approved",
                    granted_amount__isnull=False,
                    granted_amount__gt=0,
                    granted_amount__lt=10**12,
                )
                | (
                    ~models.Q(state="approved")
                    & models.Q(granted_amount=None, granted_until=None)
                ),
                name="raise_request_granted_when_approved",
            ),
            models.CheckConstraint(
                condition=models.Q(state="pending", ended_at=None)
                | (~models.Q(state="pending") & models.Q(ended_at__isnull=False)),
                name="raise_request_ends_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["budget"],
                condition=models.Q(state="pending"),
                name="raise_request_pending",
            )
        ]

    def __str__(self) -> str:
        return f"raise request #{self.pk}"

    def state_at(self, now: datetime) -> State:
        """Its state: nobody can decide any more once its end has come, or the budget's."""
        state = RaiseRequest.State(self.state)
        is_over = self.until is not None and now >= self.until
        if state == self.State.PENDING and (is_over or self.budget.archived_at):
            return self.State.EXPIRED
        return state

    @property
    def last_decisions(self) -> "list[RaiseDecision]":
        """What each said last, in the order it was said."""
        said = sorted(self.decisions.all(), key=lambda one: one.pk)
        return sorted(
            {one.decided_by: one for one in said}.values(), key=lambda one: one.pk
        )

    def approvals(self, amount: Decimal, until: datetime | None) -> "list[RaiseDecision]":
        """Who has approved exactly these terms."""
        return [
            one
            for one in self.last_decisions
            if one.approves and (one.amount, one.until) == (amount, until)
        ]


class RaiseDecision(models.Model):
    """What one person, or API key, said to a request. What they said last counts."""

    request = models.ForeignKey(
        RaiseRequest, on_delete=models.PROTECT, related_name="decisions"
    )
    decided_by = models.CharField(max_length=200)
    # Null: an API key decided.
    decider = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    decided_at = models.DateTimeField()
    approves = models.BooleanField()
    amount = models.DecimalField(max_digits=21, decimal_places=9, null=True, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    approves=True, amount__isnull=False, amount__gt=0, amount__lt=10**12
                )
                | models.Q(approves=False, amount=None, until=None),
                name="raise_decision_amount_when_approved",
            )
        ]

    def __str__(self) -> str:
        return f"{'approved' if self.approves else 'declined'} by {self.decided_by}"


def may_edit(
    asked: Iterable[tuple[User, RaiseRequest]], now: datetime
) -> set[tuple[int, int]]:
    """Of people and requests those pairs, by id, where a role lets them edit the budget
    now; superusers need none. One query; select the requests `with_budget()`."""
    pairs = list(asked)
    people = {user.pk: user for user, _ in pairs}.values()
    held = permissions.holders(Permission.EDIT_BUDGETS, list(people))
    return {
        (user.pk, request.pk)
        for user, request in pairs
        if held.get(user.pk, set()) & _places(request.budget, now)
        or (user.is_superuser and user.is_active)
    }


def may_decide(
    asked: Iterable[tuple[User, RaiseRequest]], now: datetime
) -> set[tuple[int, int]]:
    """Those that `may_edit`, and the staff that the admin lets decide."""
    pairs = list(asked)
    return may_edit(pairs, now) | {
        (user.pk, request.pk)
        for user, request in pairs
        if user.is_staff and user.has_perm("billing.change_raiserequest")
    }


def _places(budget: Budget, now: datetime) -> set[tuple[int, int | None]]:
    """Where a role over this budget is held."""
    its = budget.organization_id
    return {(its, None), (its, budget.owner_id(now))}
