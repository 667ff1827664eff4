from datetime import datetime

from django.db import transaction

from teams.actions import audit
from teams.models import Organization, Team


@transaction.atomic
def create(
    *, organization: Organization, name: str, slug: str, by: str, now: datetime
) -> Team:
    team = Team(organization=organization, name=name, slug=slug)
    team.full_clean()
    team.save()
    audit.record(
        action="team.create",
        subject=f"team {slug}",
        organization=organization.slug,
        by=by,
        now=now,
        after={"name": name},
    )
    return team


@transaction.atomic
def rename(*, team: Team, name: str, by: str, now: datetime) -> None:
    before = Team.objects.values_list("name", flat=True).get(pk=team.pk)
    team.name = name
    team.save(update_fields=["name"])
    audit.record(
        action="team.rename",
        subject=f"team {team.slug}",
        organization=team.organization.slug,
        by=by,
        now=now,
        before={"name": before},
        after={"name": name},
    )
