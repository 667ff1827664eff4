from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from django.contrib.postgres.fields import ArrayField
from django.db import models

from billing.models.budgets import Budget
from billing.models.rerates import Rerate
from teams.models import Organization, Project, Team

# The budget may be named by other alerts too.
_CROSSING = ("budget", "revision", "period_start", "threshold", "spent", "cap")
_OF_A_LEVEL = ("threshold", "cap_reached")


class Crossing(NamedTuple):
    """A level of a budget that was reached, as things stood then."""

    budget: Budget
    revision: int
    period_start: date
    threshold: int
    spent: Decimal
    cap: Decimal


class Alert(models.Model):
    """One thing that happened once, to the spend of an organization.

    A level of a budget is named by budget, revision, period and threshold; whatever else
    by its subject and the occurrence of it: `anthropic claude-x`, or a project and a day.
    """

    class Kind(models.TextChoices):
        THRESHOLD = "threshold", "Threshold reached"
        CAP_REACHED = "cap_reached", "Cap reached"
        FORECAST_OVER_CAP = "forecast_over_cap", "Forecast over cap"
        ANOMALY = "anomaly", "Unusual spend"
        GONE_SILENT = "gone_silent", "Gone silent"
        UNPRICED_MODEL = "unpriced_model", "Model without a price"
        PRICE_CHANGE = "price_change", "Price change"
        SPEND_VELOCITY = "spend_velocity", "Spending fast"
        KEY_EXPIRING = "key_expiring", "API key expiring"
        DELIVERIES_FAILING = "deliveries_failing", "Deliveries failing"
        BACKLOG = "backlog", "Counting falls behind"
        LEDGER_WRONG = "ledger_wrong", "Ledger does not add up"
        RAISE_REQUEST = "raise_request", "Raise asked for"
        ESTIMATE = "estimate", "Estimate submitted"
        REVIEW_DUE = "review_due", "Review due"
        TEST = "test", "Test"

    class State(models.TextChoices):
        FIRING = "firing", "Firing"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        RESOLVED = "resolved", "Resolved"

    kind = models.CharField(max_length=30, choices=Kind.choices, db_default="")
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="alerts"
    )
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="alerts", null=True
    )
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="alerts", null=True
    )
    budget = models.ForeignKey(
        Budget, on_delete=models.PROTECT, related_name="alerts", null=True
    )
    concerned = ArrayField(
        models.BigIntegerField(),
        default=list,
        db_default=[],
        help_text="Teams that hear of it too, and see it.",
    )
    # Of a level of a budget.
    revision = models.PositiveIntegerField(null=True)
    period_start = models.DateField(null=True)
    threshold = models.PositiveSmallIntegerField(null=True, help_text="Percent of the cap.")
    spent = models.DecimalField(
        max_digits=30, decimal_places=15, null=True, help_text="When it was raised."
    )
    cap = models.DecimalField(max_digits=21, decimal_places=9, null=True)
    rerate = models.ForeignKey(
        Rerate,
        on_delete=models.PROTECT,
        related_name="alerts",
        null=True,
        help_text="The re-rate that raised the spend meanwhile.",
    )
    # Of anything else.
    subject = models.CharField(
        max_length=300,
        blank=True,
        default="",
        db_default="",
        help_text="What in particular it is about.",
    )
    occurrence = models.CharField(
        max_length=40,
        blank=True,
        default="",
        db_default="",
        help_text="Which time: a day, an hour.",
    )
    details = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        help_text="What was true when it was raised; amounts as text.",
    )

    state = models.CharField(max_length=12, choices=State.choices, default=State.FIRING)
    firings = models.PositiveIntegerField(
        default=1,
        db_default=1,
        help_text="How often it has held: once, and each time again.",
    )
    fired_at = models.DateTimeField()
    acknowledged_by = models.CharField(
        max_length=200, blank=True, default="", db_default=""
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    snoozed_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then it is on no list of what is open."
    )
    snoozed_by = models.CharField(max_length=200, blank=True, default="", db_default="")
    snooze_reason = models.TextField(blank=True, default="", db_default="")

    class Meta:
        indexes = [
            # The inbox; what has ended is many times more.
            models.Index(
                fields=["organization", "kind"],
                condition=~models.Q(state="resolved"),
                name="alert_open",
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "revision", "period_start", "threshold"],
                name="one_alert_per_crossing",
            ),
            models.UniqueConstraint(
                fields=["organization", "kind", "subject", "occurrence"],
                condition=models.Q(threshold=None),
                name="one_alert_per_occurrence",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    kind__in=_OF_A_LEVEL,
                    spent__lt=10**15,
                    cap__lt=10**12,
                    **{f"{name}__isnull": False for name in _CROSSING},
                )
                | (
                    ~models.Q(kind__in=_OF_A_LEVEL)
                    & models.Q(**dict.fromkeys(_CROSSING[1:]))
                ),
                name="alert_of_a_level_is_whole",
            ),
        ]

    def __str__(self) -> str:
        if self.threshold is None:
            return f"{self.get_kind_display()}: {self.subject}"
        return f"{self.threshold} % of budget #{self.budget_id}"

    @property
    def is_open(self) -> bool:
        """It still holds, whether anybody has seen it or not."""
        return self.state != Alert.State.RESOLVED

    def is_snoozed(self, now: datetime) -> bool:
        """It holds, and somebody wants to hear of it later."""
        return self.is_open and self.snoozed_until is not None and now < self.snoozed_until

    @property
    def crossing(self) -> Crossing | None:
        """The level that was reached; None where it is about something else."""
        if (
            self.budget is None
            or self.revision is None
            or self.period_start is None
            or self.threshold is None
            or self.spent is None
            or self.cap is None
        ):
            return None
        return Crossing(
            self.budget,
            self.revision,
            self.period_start,
            self.threshold,
            self.spent,
            self.cap,
        )
