"""Who may approve an estimate is told of it by an alert of its own kind."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0026_samples")]

    operations = [
        migrations.AlterField(
            "alert",
            "kind",
            models.CharField(
                choices=[
                    ("threshold", "Threshold reached"),
                    ("cap_reached", "Cap reached"),
                    ("forecast_over_cap", "Forecast over cap"),
                    ("anomaly", "Unusual spend"),
                    ("gone_silent", "Gone silent"),
                    ("unpriced_model", "Model without a price"),
                    ("price_change", "Price change"),
                    ("spend_velocity", "Spending fast"),
                    ("key_expiring", "API key expiring"),
                    ("deliveries_failing", "Deliveries failing"),
                    ("backlog", "Counting falls behind"),
                    ("ledger_wrong", "Ledger does not add up"),
                    ("raise_request", "Raise asked for"),
                    ("estimate", "Estimate submitted"),
                    ("test", "Test"),
                ],
                db_default="",
                max_length=30,
            ),
        )
    ]
