"""Sums of charges, written in the transaction that writes the charges.

Derived and rebuildable; `verify_ledger` holds them against the charges. Nothing else may
be summed for a page: reading them costs the same however many records stand behind.
"""

from decimal import Decimal

from django.db import models

from billing.models.catalog import LanguageModel
from billing.models.ledger import Conditions, Counts, project_key, team_key
from billing.pricing.token_classes import TokenClass


def _cost() -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(max_digits=30, decimal_places=15)


def _later_cost() -> "models.DecimalField[Decimal, Decimal]":
    """Of a count that came to the tables later."""
    return models.DecimalField(max_digits=30, decimal_places=15, default=0, db_default=0)


class Spend(Conditions, Counts):
    """Sums per project, model and conditions; subclasses say over which stretch of time."""

    team = team_key()
    project = project_key()
    model = models.ForeignKey(
        LanguageModel,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    context_tier = models.PositiveIntegerField()
    requests = models.BigIntegerField()
    input_cost = _cost()
    cache_write_5m_cost = _cost()
    cache_write_1h_cost = _cost()
    cache_read_cost = _cost()
    output_cost = _cost()
    web_search_cost = _cost()
    input_audio_cost = _later_cost()
    cache_read_audio_cost = _later_cost()
    output_audio_cost = _later_cost()
    output_image_cost = _later_cost()
    session_cost = _later_cost()
    cost = _cost()

    class Meta:
        abstract = True


def _finite(name: str) -> models.CheckConstraint:
    """NaN is greater than every number; more than these digits no column takes."""
    costs = [f"{token_class}_cost" for token_class in TokenClass]
    condition = models.Q(**{f"{cost}__lt": 10**15 for cost in (*costs, "cost")})
    return models.CheckConstraint(condition=condition, name=name)


SPEND_KEY = (
    "team_id",
    "project_id",
    "model_id",
    "processing",
    "speed",
    "geo",
    "endpoint",
    "context_tier",
)


class DailySpend(Spend):
    """Cut in the organization's reporting zone."""

    pk = models.CompositePrimaryKey(*SPEND_KEY, "day")
    day = models.DateField()
    adjustment = models.DecimalField(
        max_digits=30,
        decimal_places=15,
        default=0,
        db_default=0,
        help_text="The part of the cost that is of records of closed months.",
    )

    class Meta:
        db_table = "billing_daily_spend"
        indexes = [
            # Reports read a range of days of some teams.
            models.Index(fields=["team", "day"], name="daily_spend_of_team")
        ]
        constraints = [
            _finite("daily_spend_finite"),
            models.CheckConstraint(
                condition=models.Q(adjustment__lt=10**15),
                name="daily_spend_adjustment_finite",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.cost}"


class HourlySpend(Spend):
    """Cut in UTC hours, as the providers' own reports are."""

    pk = models.CompositePrimaryKey(*SPEND_KEY, "hour")
    hour = models.DateTimeField()

    class Meta:
        db_table = "billing_hourly_spend"
        indexes = [models.Index(fields=["team", "hour"], name="hourly_spend_of_team")]
        constraints = [_finite("hourly_spend_finite")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}:00: {self.cost}"
