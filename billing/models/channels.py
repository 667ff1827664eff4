from urllib.parse import urlsplit

from django.db import models

from billing.models.alerts import Alert
from teams.models import Organization, Project, Team


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
