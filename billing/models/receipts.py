"""What came in, and what became of it: the first half of conservation."""

from django.db import models

from billing.models.ledger import team_key


class Receipt(models.Model):
    """What one API key posted for a team in one UTC hour, by one route.

    Added up from the postings when they are counted. A record that was refused before
    its team was known is in the receipt of the first team of its request, or of the
    first that its key covers.
    """

    pk = models.CompositePrimaryKey("team_id", "hour", "api_key", "route")
    team = team_key()
    hour = models.DateTimeField()
    api_key = models.BigIntegerField(help_text="0: none.")
    route = models.CharField(max_length=20)
    received = models.BigIntegerField()
    accepted = models.BigIntegerField()
    duplicates = models.BigIntegerField()
    conflicts = models.BigIntegerField()
    rejected = models.BigIntegerField()

    class Meta:
        db_table = "billing_receipt"

    def __str__(self) -> str:
        return f"{self.received} at {self.hour:%Y-%m-%d %H} UTC"
