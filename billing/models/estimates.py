from django.db import models

from billing.models.catalog import LanguageModel
from billing.models.ledger import Counts
from billing.pricing.token_classes import TokenClass
from teams.models import Team


class Scenario(models.TextChoices):
    LIGHT = "light", "Light"
    MEDIUM = "medium", "Medium"
    HEAVY = "heavy", "Heavy"


class Estimate(models.Model):
    """What a team plans to spend in a month. The approved one is the plan."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        APPROVED = "approved", "Approved"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="estimates")
    month = models.DateField(help_text="Its first day.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    plan = models.CharField(
        "planned scenario",
        max_length=10,
        choices=Scenario.choices,
        default=Scenario.MEDIUM,
        help_text="Which of the three the actual spend is held against.",
    )
    note = models.TextField(blank=True)
    priced_at = models.DateTimeField(
        editable=False, help_text="The rates in force at this moment priced it."
    )
    created_by = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(editable=False)
    approved_by = models.CharField(max_length=200, blank=True, editable=False)
    approved_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "month"],
                condition=models.Q(state="approved"),
                name="one_approved_estimate_per_month",
            ),
            models.CheckConstraint(
                condition=models.Q(state="draft", approved_at=None, approved_by="")
                | (
                    models.Q(state="approved", approved_at__isnull=False)
                    & ~models.Q(approved_by="")
                ),
                name="approved_estimate_says_by_whom",
            ),
        ]

    def __str__(self) -> str:
        return f"estimate #{self.pk} for {self.month:%Y-%m}"


class EstimateLine(Counts):
    """One model in one scenario: a month's requests and tokens, and what they cost."""

    estimate = models.ForeignKey(Estimate, on_delete=models.CASCADE, related_name="lines")
    model = models.ForeignKey(LanguageModel, on_delete=models.PROTECT, related_name="+")
    scenario = models.CharField(max_length=10, choices=Scenario.choices)
    requests = models.BigIntegerField()
    cost = models.DecimalField(max_digits=27, decimal_places=15, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["estimate", "model", "scenario"],
                name="one_line_per_model_and_scenario",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    requests__gte=0, **{f"{name}__gte": 0 for name in TokenClass}
                ),
                name="estimate_counts_not_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(cost__gte=0, cost__lt=10**12),
                name="estimate_cost_finite",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scenario}: {self.cost}"
