import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0019_alert_states")]

    operations = [
        migrations.AddField(
            "alert",
            "concerned",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(),
                db_default=[],
                default=list,
                help_text="Teams that hear of it too, and see it.",
                size=None,
            ),
        ),
    ]
