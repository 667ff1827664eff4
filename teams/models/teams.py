from django.db import models

from teams.models.organizations import Organization


class Team(models.Model):
    """Who spends. The key by which the ledger is divided."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="teams"
    )
    name = models.CharField(max_length=200)
    slug = models.SlugField()
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "slug"], name="team_slug_unique_in_organization"
            )
        ]

    def __str__(self) -> str:
        return self.name
