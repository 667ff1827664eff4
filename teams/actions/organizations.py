from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction

from teams.actions import audit
from teams.models import Organization, ReportingZone


@transaction.atomic
def create(*, name: str, slug: str, time_zone: str, by: str, now: datetime) -> Organization:
    organization = Organization(name=name, slug=slug)
    organization.full_clean()
    organization.save()
    zone = ReportingZone(organization=organization, time_zone=time_zone)
    zone.full_clean()
    zone.save()
    audit.record(
        action="organization.create",
        subject=f"organization {slug}",
        organization=slug,
        by=by,
        now=now,
        after={"name": name, "time_zone": time_zone},
    )
    return organization


@transaction.atomic
def rename(*, organization: Organization, name: str, by: str, now: datetime) -> None:
    before = Organization.objects.values_list("name", flat=True).get(pk=organization.pk)
    organization.name = name
    organization.save(update_fields=["name"])
    audit.record(
        action="organization.rename",
        subject=f"organization {organization.slug}",
        organization=organization.slug,
        by=by,
        now=now,
        before={"name": before},
        after={"name": name},
    )


@transaction.atomic
def change_zone(
    *, organization: Organization, time_zone: str, by: str, now: datetime
) -> ReportingZone:
    """Cut days in another zone from the start of the next month (in the new zone).

    The running month keeps its zone, so that no day of it is counted twice or lost.
    """
    current = organization.reporting_zones.in_force(now)[0]
    ReportingZone(organization=organization, time_zone=time_zone).clean_fields()
    # What was to begin later gives way: the last word counts.
    organization.reporting_zones.filter(effective_from__gt=now).delete()
    zone = ReportingZone.objects.create(
        organization=organization,
        time_zone=time_zone,
        effective_from=_start_of_next_month(now, current.zone, ZoneInfo(time_zone)),
    )
    audit.record(
        action="organization.change_zone",
        subject=f"organization {organization.slug}",
        organization=organization.slug,
        by=by,
        now=now,
        before={"time_zone": current.time_zone},
        after={"time_zone": time_zone, "from": zone.effective_from.isoformat()},
    )
    return zone


def _start_of_next_month(now: datetime, old: ZoneInfo, new: ZoneInfo) -> datetime:
    """Midnight in the new zone, after a month that has ended in the old one too."""
    latest = max(now.astimezone(zone).date() for zone in (old, new))
    year, month = divmod(latest.year * 12 + latest.month, 12)
    return datetime(year, month + 1, 1, tzinfo=new)
