from django.db import models


class AuditEvent(models.Model):
    """Who changed what, when and why, before and after.

    Text and no foreign keys, so that history outlives what it speaks of. The service
    roles may add rows and read them, never change them (teams/migrations).
    """

    occurred_at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=100)
    subject = models.CharField(max_length=300)
    organization = models.CharField(max_length=100, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    reason = models.TextField(blank=True)

    class Meta:
        indexes = [
            # The history of one thing, newest first.
            models.Index(fields=["subject", "-occurred_at"], name="audit_of_subject")
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject} by {self.actor}"
