from django.conf import settings
from django.db import models

from teams.models.organizations import Organization
from teams.models.teams import Team


class Role(models.TextChoices):
    VIEWER = "viewer", "Viewer"
    LEAD = "lead", "Lead"
    FINANCE = "finance", "Finance"
    ADMIN = "admin", "Admin"


class Membership(models.Model):
    """What a person may do: in one team, or (without a team) in the whole organization."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="memberships"
    )
    team = models.ForeignKey(
        Team,
        on_delete=models.PROTECT,
        related_name="memberships",
        null=True,
        blank=True,
    )
    role = models.CharField(max_length=10, choices=Role)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organization", "team"],
                name="one_role_per_user_and_team",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="membership_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} of {self.team_id or self.organization_id}"
