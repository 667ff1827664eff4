"""No sum of money may be NaN: it would make every sum over it NaN, and pass every cap."""

from django.db import migrations, models

TOKEN_CLASSES = (
    "input",
    "cache_write_5m",
    "cache_write_1h",
    "cache_read",
    "output",
    "web_search",
    "input_audio",
    "cache_read_audio",
    "output_audio",
    "output_image",
    "session",
)
COSTS = sorted([*(f"{name}_cost" for name in TOKEN_CLASSES), "cost"])


def _below(
    limit: int, name: str, *columns: str, positive: bool = False
) -> models.CheckConstraint:
    at_least = [(f"{column}__gte", 0) for column in columns if positive]
    condition = models.Q(*at_least, *((f"{column}__lt", limit) for column in columns))
    return models.CheckConstraint(condition=condition, name=name)


class Migration(migrations.Migration):
    dependencies = [("billing", "0010_waiting_records")]

    operations = [
        migrations.AddConstraint(model, constraint)
        for model, constraint in (
            ("dailyspend", _below(10**15, "daily_spend_finite", *COSTS)),
            ("hourlyspend", _below(10**15, "hourly_spend_finite", *COSTS)),
            ("budgettotal", _below(10**15, "budget_total_finite", "spent")),
            ("reratetotal", _below(10**15, "rerate_total_finite", "cost", "difference")),
            (
                "budgetrevision",
                _below(10**12, "budget_revision_amount_finite", "amount", positive=True),
            ),
            (
                "estimateline",
                _below(10**12, "estimate_cost_finite", "cost", positive=True),
            ),
        )
    ]
