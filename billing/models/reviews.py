from django.db import models

from billing.pricing.budget_periods import Period
from billing.pricing.recommendations import Action
from teams.models import Project, Team

_DECISIONS = [(one.value, one.value.replace("_", " ").capitalize()) for one in Action]


class Review(models.Model):
    """What some days of a project cost against what was planned, and what to do about it.

    One opens by itself after a project's first two weeks. While it is open its figures
    are worked out when it is looked at; with its decision they are kept, and stay.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        KEPT = "kept", "Kept"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="reviews")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="reviews")
    since = models.DateField(help_text="Its first day, in the reporting zone.")
    until = models.DateField(help_text="The day after the last.")
    by_itself = models.BooleanField(default=False)
    opened_by = models.CharField(max_length=200)
    opened_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    decision = models.CharField(
        max_length=20, choices=_DECISIONS, blank=True, default="", help_text="What to do."
    )
    note = models.TextField(blank=True, default="")
    closed_by = models.CharField(max_length=200, blank=True, default="")
    closed_at = models.DateTimeField(null=True, blank=True)
    figures = models.JSONField(
        null=True, blank=True, help_text="As they stood when it was closed."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project"],
                condition=models.Q(by_itself=True),
                name="one_review_by_itself",
            ),
            models.UniqueConstraint(
                fields=["team", "project", "since", "until"],
                name="one_review_of_these_days",
                violation_error_message="There is a review of these days.",
            ),
            models.CheckConstraint(
                condition=models.Q(since__lt=models.F("until")), name="review_has_days"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state="open", decision="", closed_at=None, figures__isnull=True
                )
                | (
                    models.Q(state="kept", closed_at__isnull=False, figures__isnull=False)
                    & ~models.Q(decision="")
                ),
                name="kept_review_is_decided",
            ),
        ]

    def __str__(self) -> str:
        return f"review of {self.project}"

    @property
    def days(self) -> Period:
        return Period(self.since, self.until)

    @property
    def is_open(self) -> bool:
        return self.state == self.State.OPEN
