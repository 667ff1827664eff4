from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.db import models

# Before any record can have been posted: the first entry of a history starts here.
BEGINNING = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"{name!r} is not an IANA time zone such as Europe/Berlin.")


class Organization(models.Model):
    """Who pays: one currency and one reporting zone, in which days and months are cut."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(unique=True)
    currency = models.CharField(max_length=3, default="USD", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(currency__regex=r"^[A-Z]{3}$"),
                name="organization_currency_is_iso_4217",
            )
        ]

    def __str__(self) -> str:
        return self.name


class ReportingZoneQuerySet(models.QuerySet["ReportingZone"]):
    def in_force(self, at: datetime) -> "ReportingZoneQuerySet":
        """Per organization the zone that cuts the day of this moment, latest first."""
        return self.filter(effective_from__lte=at).order_by("-effective_from")


class ReportingZone(models.Model):
    """The zone an organization's days are cut in, from a moment on.

    A change of zone is a new row, so that days already reported stay as they were.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="reporting_zones"
    )
    time_zone = models.CharField(max_length=64, validators=[validate_time_zone])
    effective_from = models.DateTimeField(default=BEGINNING)

    objects = ReportingZoneQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "effective_from"], name="one_zone_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return self.time_zone

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)
