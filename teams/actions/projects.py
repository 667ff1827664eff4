from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from teams.actions import audit
from teams.models import Ownership, Project, Team
from teams.ownership import MOVES_AHEAD


@transaction.atomic
def create(*, team: Team, name: str, slug: str, by: str, now: datetime) -> Project:
    """A project, owned by this team since the beginning."""
    project = Project(organization=team.organization, name=name, slug=slug)
    project.full_clean()
    project.save()
    Ownership.objects.create(project=project, team=team)
    audit.record(
        action="project.create",
        subject=f"project {slug}",
        organization=team.organization.slug,
        by=by,
        now=now,
        after={"name": name, "team": team.slug},
    )
    return project


@transaction.atomic
def rename(*, project: Project, name: str, by: str, now: datetime) -> None:
    before = Project.objects.values_list("name", flat=True).get(pk=project.pk)
    project.name = name
    project.save(update_fields=["name"])
    audit.record(
        action="project.rename",
        subject=f"project {project.slug}",
        organization=project.organization.slug,
        by=by,
        now=now,
        before={"name": before},
        after={"name": name},
    )


@transaction.atomic
def move(
    *, project: Project, team: Team, effective_from: datetime, by: str, now: datetime
) -> Ownership:
    """Give a project to another team from a moment on; what was spent before stays.

    The moment lies at least `MOVES_AHEAD` in the future. Raises ValidationError.
    """
    if team.organization_id != project.organization_id:
        raise ValidationError("A project cannot leave its organization.")
    if effective_from < now + MOVES_AHEAD:
        minutes = MOVES_AHEAD // timedelta(minutes=1)
        raise ValidationError(f"A move takes effect in {minutes} minutes at the earliest.")
    owner = project.ownerships.order_by("effective_from").last()
    if owner is not None and owner.effective_from >= effective_from:
        raise ValidationError("A move must come after the one before it.")
    ownership = Ownership.objects.create(
        project=project, team=team, effective_from=effective_from
    )
    audit.record(
        action="project.move",
        subject=f"project {project.slug}",
        organization=team.organization.slug,
        by=by,
        now=now,
        before={"team": owner.team.slug if owner else None},
        after={"team": team.slug, "from": effective_from.isoformat()},
    )
    return ownership
