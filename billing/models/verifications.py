"""When the ledger was held against itself, and what was found."""

from django.db import models


class Verification(models.Model):
    """One run of all checks, in one snapshot of the whole ledger; the last ones are kept.

    `checks` has an object with `name`, `ok`, `found` and `examples` for each. Examples
    name records of any team: they are for administrators of the installation.
    """

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    ok = models.BooleanField(help_text="All checks agree.")
    checks = models.JSONField(default=list)
    problem = models.TextField(blank=True, help_text="Why it did not come to its end.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(problem="") | models.Q(ok=False),
                name="verification_agrees_to_its_end",
            )
        ]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M} UTC"

    @property
    def disagreeing(self) -> list[str]:
        """The names of the checks that do not agree."""
        return [check["name"] for check in self.checks if not check["ok"]]
