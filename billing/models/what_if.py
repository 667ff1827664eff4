from django.db import models

from teams.models import Team


class SavedWhatIf(models.Model):
    """A question about a team's past usage, kept under a name. It never changes.

    It is read again, and answered, whenever it is looked at.
    """

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="what_ifs")
    name = models.CharField(max_length=100)
    question = models.JSONField()
    created_by = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name = "saved what-if"
        constraints = [
            models.UniqueConstraint(
                fields=["team", "name"],
                name="one_what_if_per_name",
                violation_error_message="The team has a what-if of this name.",
            )
        ]

    def __str__(self) -> str:
        return self.name
