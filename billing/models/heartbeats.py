"""When each kind of process was last at its work."""

from django.db import models


class Heartbeat(models.Model):
    """One row for the counting workers, one for the sender, one for beat."""

    class Name(models.TextChoices):
        WORKER = "worker", "Worker"
        SENDER = "sender", "Sender"
        BEAT = "beat", "Beat"

    name = models.CharField(max_length=10, choices=Name.choices, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S}"
