"""How likely a cap has to be passed before it is told is a term of its budget."""

import django.core.validators
from django.db import migrations, models

HELP = (
    "Told when the period is expected to end above the cap with so many percent "
    "probability, 1 to 99. Empty: never."
)


class Migration(migrations.Migration):
    dependencies = [("billing", "0020_alert_concerned")]

    operations = [
        operation
        for model, prefix in (("budget", "budget"), ("budgetrevision", "budget_revision"))
        for operation in (
            migrations.AddField(
                model,
                "forecast_alert",
                models.PositiveSmallIntegerField(
                    blank=True,
                    db_default=50,
                    default=50,
                    help_text=HELP,
                    null=True,
                    validators=[
                        django.core.validators.MinValueValidator(1),
                        django.core.validators.MaxValueValidator(99),
                    ],
                ),
            ),
            migrations.AddConstraint(
                model,
                models.CheckConstraint(
                    condition=models.Q(
                        ("forecast_alert", None),
                        ("forecast_alert__range", (1, 99)),
                        _connector="OR",
                    ),
                    name=f"{prefix}_forecast_alert_percent",
                ),
            ),
        )
    ]
