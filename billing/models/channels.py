from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models

from billing.models.alerts import Alert
from teams.models import Organization, Project, Team


class Channel(models.Model):
    """Where alerts are sent: all of an organization, those of a team or a project, or
    those that one person may see."""

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        SLACK = "slack", "Slack"
        PAGERDUTY = "pagerduty", "PagerDuty"
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
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="channels",
        null=True,
        blank=True,
        editable=False,
        help_text="Alerts of what this person may see, to the address of the account.",
    )
    stand_in = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Gets only what another channel could not deliver.",
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    target = models.CharField(
        max_length=500,
        help_text="An address, an https URL, or the routing key of a PagerDuty service.",
    )
    secret = models.CharField(
        max_length=100,
        blank=True,
        editable=False,
        help_text="Signs webhooks (Standard Webhooks).",
    )
    previous_secret = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Signs along while the receiver takes over the new one.",
    )
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    disabled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(team=None) | models.Q(project=None),
                name="channel_has_one_scope",
            ),
            models.CheckConstraint(
                condition=models.Q(user=None, stand_in=False)
                | models.Q(user__isnull=False, kind="email", team=None, project=None),
                name="channel_of_a_person_is_mail",
            ),
            models.UniqueConstraint(
                fields=["organization", "user"],
                condition=models.Q(disabled_at=None),
                name="one_channel_per_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.shown_place}"

    @property
    def address(self) -> str:
        """Where it is sent to: of a person, the address that the account has now."""
        return self.user.email if self.user is not None else self.target

    @property
    def shown_place(self) -> str:
        """For people: of a URL the host, of a key its end; the rest may be a secret."""
        if self.kind == Channel.Kind.EMAIL:
            return self.address
        if self.kind == Channel.Kind.PAGERDUTY:
            return f"…{self.target[-4:]}"
        return urlsplit(self.target).hostname or ""

    def secrets(self, at: datetime) -> list[str]:
        """What a message of this moment is signed with, the newest first."""
        until = self.previous_secret_until
        is_rotating = until is not None and at < until
        return [self.secret, *([self.previous_secret] if is_rotating else [])]


class Delivery(models.Model):
    """One event of an alert on its way to one channel: at least once, or visibly not."""

    class Event(models.TextChoices):
        FIRED = "fired", "Fired"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        RESOLVED = "resolved", "Resolved"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        DEAD = "dead", "Given up"

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="deliveries")
    event = models.CharField(
        max_length=12,
        choices=Event.choices,
        default=Event.FIRED,
        db_default=Event.FIRED,
    )
    firing = models.PositiveIntegerField(
        default=1, db_default=1, help_text="Which time that the alert held."
    )
    # Indexed below, with the id.
    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, related_name="deliveries", db_index=False
    )
    instead_of = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        related_name="stand_ins",
        null=True,
        help_text="The delivery that was given up, for which this one was made.",
    )
    message_id = models.UUIDField(unique=True, help_text="The same in every attempt.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    attempts_before = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="Those made until somebody had it sent again.",
    )
    due_at = models.DateTimeField(help_text="Next attempt, or end of the lease.")
    last_error = models.TextField(blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "channel", "event", "firing"],
                name="one_delivery_per_alert_channel_and_event",
            )
        ]
        indexes = [
            # What the sender looks for each second.
            models.Index(
                fields=["due_at"],
                condition=models.Q(state__in=["waiting", "sending"]),
                name="delivery_due",
            ),
            # The newest of a channel, and what it was sent last.
            models.Index(fields=["channel", "id"], name="delivery_of_channel"),
        ]

    def __str__(self) -> str:
        return f"{self.state} to channel #{self.channel_id}"

    @property
    def is_under_way(self) -> bool:
        return self.state in (Delivery.State.WAITING, Delivery.State.SENDING)


class DeliveryAttempt(models.Model):
    """One attempt of a delivery, written down with its result.

    A number that is missing is of a sender that ended before it could say what came of it.
    """

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="log")
    number = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    error = models.TextField(blank=True, help_text="Empty: it was accepted.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["delivery", "number"], name="one_row_per_attempt"
            )
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}: {self.error or 'accepted'}"
