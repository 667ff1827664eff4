"""Pricing what is counted once more: what was asked for, and how far it has come."""

from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.db import models

from teams.models import Organization, Team


class Rerate(models.Model):
    """A re-rate: past records get the price that is in force now.

    First a dry run, which writes nothing; then, if somebody starts it, further charges.
    Undoing one is another re-rate, which gives back the prices from before it.
    """

    class State(models.TextChoices):
        DRY_RUN = "dry_run", "Dry run"  # under way
        READY = "ready", "Ready to start"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Cancelled"
        REVERSED = "reversed", "Reversed"

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        related_name="rerates",
        null=True,
        blank=True,
        help_text="Empty: all of them.",
    )
    team_ids = ArrayField(
        models.BigIntegerField(),
        default=list,
        blank=True,
        help_text="Empty: all of the organization.",
    )
    model_ids = ArrayField(
        models.BigIntegerField(),
        default=list,
        blank=True,
        help_text="Of what is charged so far. Empty: every model.",
    )
    since = models.DateField("from", help_text="First day, in the reporting zone.")
    until = models.DateField("to", help_text="First day that is not in it.")
    reason = models.TextField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRY_RUN)
    reverses = models.OneToOneField(
        "self",
        on_delete=models.PROTECT,
        related_name="reversed_by",
        null=True,
        blank=True,
        help_text="The re-rate that this one takes back.",
    )
    book = models.CharField(
        max_length=64, blank=True, help_text="The prices it compares with."
    )
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    started_by = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "re-rate"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(since__lt=models.F("until")),
                name="rerate_covers_a_day",
            )
        ]
        indexes = [
            # What the worker looks for again and again.
            models.Index(
                fields=["id"],
                condition=models.Q(state__in=["dry_run", "running"]),
                name="rerate_under_way",
            )
        ]

    def __str__(self) -> str:
        return f"re-rate {self.pk}"

    @property
    def under_way(self) -> bool:
        return self.state in (self.State.DRY_RUN, self.State.RUNNING)


class RerateTotal(models.Model):
    """One team's part of a re-rate: what its dry run found, or what was executed.

    It is written in the transaction that it speaks of, so a process that died goes on
    where the last commit left it: after the record `after_uid` of the UTC month `month`.
    """

    rerate = models.ForeignKey(Rerate, on_delete=models.PROTECT, related_name="totals")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    executed = models.BooleanField(help_text="No: of the dry run.")
    month = models.DateField(null=True)
    after_uid = models.UUIDField(null=True)
    finished = models.BooleanField(default=False)
    records = models.BigIntegerField(default=0, help_text="How many were looked at.")
    changed = models.BigIntegerField(default=0, help_text="Whose price differs.")
    kept = models.BigIntegerField(
        default=0,
        help_text="Left as they are: no price is known now, or re-rated since.",
    )
    cost = models.DecimalField(
        max_digits=30, decimal_places=15, default=Decimal(), help_text="Afterwards."
    )
    difference = models.DecimalField(
        max_digits=30, decimal_places=15, default=Decimal(), help_text="What it added."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rerate", "team", "executed"], name="one_total_per_team_and_run"
            ),
            models.CheckConstraint(
                condition=models.Q(cost__lt=10**15, difference__lt=10**15),
                name="rerate_total_finite",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.before} → {self.cost}"

    @property
    def before(self) -> Decimal:
        """What the same records cost before."""
        return self.cost - self.difference
