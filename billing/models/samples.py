from datetime import datetime

from django.db import models

from billing.formats import samples as formats
from billing.models import rate_book
from billing.pricing import samples as pricing
from billing.pricing.samples import Profile
from billing.pricing.usage import Usage
from teams.models import Project, Team


class Source(models.TextChoices):
    PASTE = "paste", "Pasted"
    UPLOAD = "upload", "Uploaded"
    PROJECT = "project", "A project's own records"


class SampleQuerySet(models.QuerySet["Sample"]):
    def listed(self) -> "SampleQuerySet":
        """Without the rows, which a list does not show."""
        return self.defer("rows").select_related("team__organization", "project")


class Sample(models.Model):
    """What some past calls used, to say what such calls will cost. It does not change.

    Kept are counts, models and conditions; never ids, times or any text.
    """

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="samples")
    project = models.ForeignKey(
        Project,
        on_delete=models.PROTECT,
        related_name="samples",
        null=True,
        blank=True,
        help_text="What such calls are for. Empty: anything of the team.",
    )
    name = models.CharField(max_length=200)
    source = models.CharField(max_length=10, choices=Source.choices)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    records = models.PositiveIntegerField(help_text="How many are in it.")
    of_records = models.PositiveIntegerField(
        help_text="Of how many they were chosen evenly, or the same."
    )
    not_read = models.PositiveIntegerField(default=0)
    since = models.DateField(
        null=True, blank=True, help_text="The first day of a project's records."
    )
    until = models.DateField(null=True, blank=True, help_text="The day after the last.")
    reading = models.JSONField(help_text="Formats, columns of a table, the first problems.")
    rows = models.JSONField(help_text="See billing/formats/samples.py.")

    objects = SampleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(records__gt=0, of_records__gte=models.F("records")),
                name="sample_has_records",
            ),
            models.CheckConstraint(
                condition=models.Q(since=None, until=None)
                | models.Q(source="project", since__lt=models.F("until")),
                name="sample_of_a_project_has_days",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def usages(self, at: datetime) -> list[Usage]:
        """What was used, as if at this moment."""
        return formats.unpacked(self.rows, at)

    def profiles(self, now: datetime) -> list[Profile]:
        """What its models' requests use, and cost at the rates in force now."""
        book = rate_book.current(self.team.organization_id)
        return pricing.profiles(self.usages(now), book.rates)
