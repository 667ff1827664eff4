from datetime import datetime
from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models

from billing.models.ledger import team_key
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.caps import DEFAULT_THRESHOLDS
from teams.models import Organization, Ownership, Project, Team

# A temporary raise has an amount above the cap and an end, or there is none.
_RAISED_OR_NOT = models.Q(raised_to=None, raised_until=None) | models.Q(
    raised_to__isnull=False,
    raised_until__isnull=False,
    raised_to__gt=models.F("amount"),
    raised_to__lt=10**12,
)
_PERIODS = [(kind.value, kind.value.capitalize()) for kind in PeriodKind]


def default_thresholds() -> list[int]:
    return list(DEFAULT_THRESHOLDS)


class BudgetTerms(models.Model):
    """What a budget says; every change of it is a revision."""

    amount = models.DecimalField(
        "cap",
        max_digits=21,
        decimal_places=9,
        validators=[MinValueValidator(0)],
        help_text="In the organization's currency, per period.",
    )
    hard = models.BooleanField(
        default=False,
        help_text="Hard: calls above the cap are to be refused.",
    )
    thresholds = ArrayField(
        models.PositiveSmallIntegerField(),
        default=default_thresholds,
        blank=True,
        help_text="Percentages of the cap that raise an alert, besides the cap itself.",
    )
    raised_to = models.DecimalField(
        max_digits=21,
        decimal_places=9,
        null=True,
        blank=True,
        editable=False,
        help_text="The cap for now, until it is what it was.",
    )
    raised_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    def cap(self, now: datetime) -> Decimal:
        """The cap in force: a temporary raise ends by the clock and by nothing else."""
        if self.raised_to is None or self.raised_until is None or now >= self.raised_until:
            return self.amount
        return self.raised_to


class BudgetQuerySet(models.QuerySet["Budget"]):
    def active(self) -> "BudgetQuerySet":
        return self.filter(archived_at=None)

    def over_team(self, team: Team | int) -> "BudgetQuerySet":
        """Budgets that some spend of this team counts against."""
        team_id = team.pk if isinstance(team, Team) else team
        its_organization = Team.objects.filter(pk=team_id).values("organization")
        its_projects = Ownership.objects.filter(team=team_id).values("project")
        return self.filter(
            models.Q(team=team_id)
            | models.Q(team=None, project=None, organization__in=its_organization)
            | models.Q(project__in=its_projects)
        )

    def with_scope(self) -> "BudgetQuerySet":
        """With all that `scope`, `is_wide` and an evaluation read."""
        return self.select_related("organization", "team", "project").prefetch_related(
            "project__ownerships"
        )


class Budget(BudgetTerms):
    """A cap on what an organization, a team or a project spends per period.

    Which period runs follows from the day: there is nothing to reset.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="budgets"
    )
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="budgets", null=True, blank=True
    )
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="budgets", null=True, blank=True
    )
    period = models.CharField(max_length=10, choices=_PERIODS, default=PeriodKind.MONTH)
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = BudgetQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(team=None) | models.Q(project=None),
                name="budget_has_one_scope",
            ),
            models.CheckConstraint(
                condition=models.Q(amount__gte=0, amount__lt=10**12),
                name="budget_amount_finite",
            ),
            models.CheckConstraint(condition=_RAISED_OR_NOT, name="budget_raise_is_whole"),
        ]

    def __str__(self) -> str:
        return f"{self.period} budget #{self.pk}"

    @property
    def is_wide(self) -> bool:
        """Whether spend of several teams may count against it."""
        return len(self.covered_team_ids) != 1

    @property
    def covered_team_ids(self) -> set[int]:
        """The teams whose spend may count against it; none is named for an organization."""
        if self.project is not None:
            return {ownership.team_id for ownership in self.project.ownerships.all()}
        return set() if self.team_id is None else {self.team_id}

    @property
    def scope(self) -> str:
        """What it is for, in words. Reads the team or project: select them."""
        if self.project_id is not None:
            return f"project {self.project.slug}"  # type: ignore[union-attr]
        if self.team_id is not None:
            return f"team {self.team.slug}"  # type: ignore[union-attr]
        return f"organization {self.organization.slug}"


class BudgetRevision(BudgetTerms):
    """The terms of a budget from one change to the next: who, when, why."""

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="revisions")
    revision = models.PositiveIntegerField()
    changed_by = models.CharField(max_length=200)
    changed_at = models.DateTimeField()
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "revision"], name="budget_revision_numbered_once"
            ),
            models.CheckConstraint(
                condition=models.Q(amount__gte=0, amount__lt=10**12),
                name="budget_revision_amount_finite",
            ),
            models.CheckConstraint(
                condition=_RAISED_OR_NOT, name="budget_revision_raise_is_whole"
            ),
        ]

    def __str__(self) -> str:
        return f"revision {self.revision}"


class BudgetTotal(models.Model):
    """What one team has spent against one budget in one period.

    Written in the transaction that counts; re-derivable from the daily rollups. The row
    is where concurrent counters of one budget meet, so that each sees its crossing.
    """

    pk = models.CompositePrimaryKey("team_id", "budget_id", "period_start")
    team = team_key()
    budget = models.ForeignKey(
        Budget, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    period_start = models.DateField()
    spent = models.DecimalField(max_digits=30, decimal_places=15)

    class Meta:
        db_table = "billing_budget_total"
        indexes = [
            # The sum of a budget over its teams.
            models.Index(fields=["budget", "period_start"], name="budget_total_of_budget")
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(spent__lt=10**15), name="budget_total_finite"
            )
        ]

    def __str__(self) -> str:
        return f"{self.spent}"


class TeamLedger(models.Model):
    """One row a team, locked by whoever counts, or sets totals from the rollups."""

    team = models.OneToOneField(
        Team,
        models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="+",
    )

    class Meta:
        db_table = "billing_team_ledger"

    def __str__(self) -> str:
        return f"team {self.team_id}"
