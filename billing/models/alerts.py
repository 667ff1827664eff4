from datetime import date
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import urlsplit

from django.db import models

from billing.models.budgets import Budget
from billing.models.rerates import Rerate
from billing.pricing.caps import CAP_REACHED
from teams.models import Organization, Project, Team

_OF_A_BUDGET = ("budget", "revision", "period_start", "threshold", "spent", "cap")


class Crossing(NamedTuple):
    """A level of a budget that was reached, as things stood then."""

    budget: Budget
    revision: int
    period_start: date
    threshold: int
    spent: Decimal
    cap: Decimal


class Alert(models.Model):
    """One thing that happened once: a level of a budget was reached in a period, or
    records of an organization name a model that has no price.
    """

    class State(models.TextChoices):
        FIRING = "firing", "Firing"
        RESOLVED = "resolved", "Resolved"

    # Of a budget.
    budget = models.ForeignKey(
        Budget, on_delete=models.PROTECT, related_name="alerts", null=True
    )
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
    # Of a model without a price.
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="alerts", null=True
    )
    provider = models.CharField(max_length=40, blank=True, default="", db_default="")
    model_name = models.CharField(max_length=200, blank=True, default="", db_default="")

    state = models.CharField(max_length=10, choices=State.choices, default=State.FIRING)
    fired_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "revision", "period_start", "threshold"],
                name="one_alert_per_crossing",
            ),
            models.UniqueConstraint(
                fields=["organization", "provider", "model_name"],
                name="one_alert_per_unpriced_model",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    **{f"{name}__isnull": False for name in _OF_A_BUDGET},
                    organization=None,
                    model_name="",
                )
                | models.Q(**dict.fromkeys(_OF_A_BUDGET), organization__isnull=False),
                name="alert_is_of_one_kind",
            ),
        ]

    def __str__(self) -> str:
        if self.budget_id is None:
            return f"no price for {self.model_name}"
        return f"{self.threshold} % of budget #{self.budget_id}"

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

    @property
    def kind(self) -> str:
        if self.budget_id is None:
            return "unpriced_model"
        return "cap_reached" if self.threshold == CAP_REACHED else "threshold"


class Channel(models.Model):
    """Where alerts are sent: all of an organization, or those of a team or a project."""

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Signed webhook"

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="channels"
    )
    team = models.ForeignKey(
        Team,
        on_delete=models.PROTECT,
        related_name="channels",
        null=True,
        blank=True,
        help_text="Alerts of this team and its projects.",
    )
    project = models.ForeignKey(
        Project,
        on_delete=models.PROTECT,
        related_name="channels",
        null=True,
        blank=True,
        help_text="Alerts of this project alone.",
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    target = models.CharField(max_length=500, help_text="An address, or an https URL.")
    secret = models.CharField(
        max_length=100,
        blank=True,
        editable=False,
        help_text="Signs webhooks (Standard Webhooks).",
    )
    created_at = models.DateTimeField(editable=False)
    disabled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(team=None) | models.Q(project=None),
                name="channel_has_one_scope",
            )
        ]

    def __str__(self) -> str:
        # Of a URL the host: its path may be a secret.
        is_mail = self.kind == Channel.Kind.EMAIL
        return f"{self.kind} {self.target if is_mail else urlsplit(self.target).hostname}"


class Delivery(models.Model):
    """One alert on its way to one channel: at least once, or visibly not."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        DEAD = "dead", "Given up"

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="deliveries")
    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, related_name="deliveries"
    )
    message_id = models.UUIDField(unique=True, help_text="The same in every attempt.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(help_text="Next attempt, or end of the lease.")
    last_error = models.TextField(blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "channel"], name="one_delivery_per_alert_and_channel"
            )
        ]
        indexes = [
            # What the sender looks for each second.
            models.Index(
                fields=["due_at"],
                condition=models.Q(state__in=["waiting", "sending"]),
                name="delivery_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.state} to channel #{self.channel_id}"
