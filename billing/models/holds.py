from django.db import models

from billing.models.budgets import Budget
from billing.models.ledger import project_key, team_key


class Hold(models.Model):
    """An amount that a coming call may cost, reserved against the hard budgets above it.

    It is held until its usage record comes, it is released, or its time is over; with
    the record it settles: reserved without an end, until the record is counted.
    """

    class State(models.TextChoices):
        HELD = "held"
        SETTLING = "settling"
        SETTLED = "settled"
        RELEASED = "released"

    id = models.UUIDField(primary_key=True, help_text="UUIDv7, made here.")
    # As in the ledger: a row of many calls is not locked for each of them.
    team = team_key()
    project = project_key()
    api_key = models.BigIntegerField()
    key = models.CharField(
        max_length=200, help_text="Under which a retry finds it; empty: it has none."
    )
    fingerprint = models.BinaryField(help_text="What a retry must equal.")
    provider = models.CharField(max_length=40, help_text="Empty: it was not said.")
    model_name = models.CharField(max_length=200)
    amount = models.DecimalField(
        max_digits=27,
        decimal_places=15,
        null=True,
        help_text="Empty: nobody knows a bound, and nothing limits it.",
    )
    bound = models.TextField(
        help_text="Why the amount is an upper bound; empty where the rates say it."
    )
    made_at = models.DateTimeField(help_text="By the server's clock, as its end.")
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State.choices)
    record_uid = models.UUIDField(null=True, help_text="The usage record that settles it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["api_key", "key"],
                condition=~models.Q(key=""),
                name="hold_made_once",
            ),
            models.CheckConstraint(
                condition=models.Q(amount__gte=0, amount__lt=10**12)
                | models.Q(amount=None),
                name="hold_amount_finite",
            ),
        ]
        indexes = [models.Index(fields=["expires_at"], name="hold_expires_at")]

    def __str__(self) -> str:
        return f"hold {self.id}"


class HoldPart(models.Model):
    """What a hold reserves of one budget in one period.

    It is there while the hold is held or settling, and reserves until its time is over.
    So what is reserved of a budget is the sum of few rows, and no counter.
    """

    pk = models.CompositePrimaryKey("hold_id", "budget_id", "period_start")
    hold = models.ForeignKey(Hold, models.CASCADE, db_index=False, related_name="parts")
    # No constraint: it would lock the budget's row for each hold.
    budget = models.ForeignKey(
        Budget, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    period_start = models.DateField()
    amount = models.DecimalField(max_digits=27, decimal_places=15)
    until = models.DateTimeField(null=True, help_text="Empty: until it is counted.")

    class Meta:
        indexes = [
            models.Index(fields=["budget", "period_start"], name="hold_part_of_budget")
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(amount__gte=0, amount__lt=10**12),
                name="hold_part_amount_finite",
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount}"
