"""Which time an alert holds; and the newest of a channel are found without the others."""

import django.db.models.deletion
from django.db import migrations, models

_ONCE = "one_delivery_per_alert_channel_and_event"


class Migration(migrations.Migration):
    dependencies = [("billing", "0021_forecast_alert_level")]

    operations = [
        migrations.AddField(
            "alert",
            "firings",
            models.PositiveIntegerField(
                db_default=1,
                default=1,
                help_text="How often it has held: once, and each time again.",
            ),
        ),
        migrations.AddField(
            "delivery",
            "firing",
            models.PositiveIntegerField(
                db_default=1, default=1, help_text="Which time that the alert held."
            ),
        ),
        migrations.RemoveConstraint("delivery", _ONCE),
        migrations.AddConstraint(
            "delivery",
            models.UniqueConstraint(
                fields=["alert", "channel", "event", "firing"], name=_ONCE
            ),
        ),
        migrations.AddIndex(
            "delivery",
            models.Index(fields=["channel", "id"], name="delivery_of_channel"),
        ),
        migrations.AlterField(
            "delivery",
            "channel",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="deliveries",
                to="billing.channel",
            ),
        ),
    ]
