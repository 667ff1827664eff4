"""An estimate knows the sample that its levers were filled in with."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0027_estimate_alerts")]

    operations = [
        migrations.AddField(
            "estimate",
            "sample",
            models.ForeignKey(
                blank=True,
                editable=False,
                help_text="Whose requests its levers were filled in with.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="estimates",
                to="billing.sample",
            ),
        ),
    ]
