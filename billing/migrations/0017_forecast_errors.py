"""How far forecasts of an organization's teams were off."""

import django.db.models.deletion
from django.db import migrations, models

# Measured by who sees every team.
WRITTEN_BY_WORKERS = """
REVOKE INSERT, UPDATE, DELETE ON billing_forecasterrors FROM purser_app;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0016_raises"),
        ("teams", "0003_rate_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="ForecastErrors",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="teams.organization",
                    ),
                ),
                ("down", models.DecimalField(decimal_places=9, max_digits=18)),
                ("up", models.DecimalField(decimal_places=9, max_digits=18)),
                ("stretches", models.DecimalField(decimal_places=9, max_digits=18)),
                ("measured_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("down__gte", 0),
                            ("down__lt", 100),
                            ("stretches__gte", 0),
                            ("stretches__lt", 10**8),
                            ("up__gte", 0),
                            ("up__lt", 100),
                        ),
                        name="forecast_errors_finite",
                    )
                ],
            },
        ),
        migrations.RunSQL(WRITTEN_BY_WORKERS, migrations.RunSQL.noop),
    ]
