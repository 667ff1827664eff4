"""Limits of API keys in records per minute, and what of them is used up."""

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("teams", "0002_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiKeyBucket",
            fields=[
                (
                    "key",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="bucket",
                        serialize=False,
                        to="teams.apikey",
                    ),
                ),
                (
                    "told_at",
                    models.DateTimeField(
                        help_text="When a process last told what was taken."
                    ),
                ),
                (
                    "full_at",
                    models.DateTimeField(
                        help_text="When it is full again if no more is taken."
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="apikey",
            name="records_per_minute",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Usage records it may post in a minute; empty: as many as any.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(60_000_000),
                ],
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(("records_per_minute__range", (1, 60_000_000))),
                name="api_key_records_per_minute",
            ),
        ),
    ]
