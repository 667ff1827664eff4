from collections.abc import Sequence
from datetime import datetime

from django.db import models

from teams.models.organizations import BEGINNING, Organization
from teams.models.teams import Team


class ProjectQuerySet(models.QuerySet["Project"]):
    def owned_by(self, team: Team | int, at: datetime) -> "ProjectQuerySet":
        """Those that this team owns at a moment, not those it once owned."""
        return self.owned_by_any([team], at)

    def owned_by_any(self, teams: Sequence[Team | int], at: datetime) -> "ProjectQuerySet":
        owners = Ownership.objects.filter(
            project=models.OuterRef("pk"), effective_from__lte=at
        ).order_by("-effective_from")
        return self.alias(owner=models.Subquery(owners.values("team")[:1])).filter(
            owner__in=teams
        )


class Project(models.Model):
    """What the spend is for. It can move from team to team; its history stays."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="projects"
    )
    name = models.CharField(max_length=200)
    slug = models.SlugField()
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        constraints = [
            # A key of several teams names projects by slug alone.
            models.UniqueConstraint(
                fields=["organization", "slug"],
                name="project_slug_unique_in_organization",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Ownership(models.Model):
    """Which team owns a project from a moment on, until the next row of the project.

    The team of a usage record is the owner at `occurred_at`: moving a project changes no
    past, and a retry after a move still finds its record.
    """

    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="ownerships"
    )
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="ownerships")
    effective_from = models.DateTimeField(default=BEGINNING)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "effective_from"], name="one_owner_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.team_id} owns {self.project_id} from {self.effective_from:%Y-%m-%d}"
