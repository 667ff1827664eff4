"""Questions about past usage, kept under a name."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0023_estimate_levers"),
        ("teams", "0003_rate_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="SavedWhatIf",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("question", models.JSONField()),
                ("created_by", models.CharField(editable=False, max_length=200)),
                ("created_at", models.DateTimeField(editable=False)),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="what_ifs",
                        to="teams.team",
                    ),
                ),
            ],
            options={
                "verbose_name": "saved what-if",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("team", "name"),
                        name="one_what_if_per_name",
                        violation_error_message="The team has a what-if of this name.",
                    )
                ],
            },
        ),
    ]
