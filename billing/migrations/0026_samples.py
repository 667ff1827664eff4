"""What some past calls used, to say what such calls will cost."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0025_routing_policies"),
        ("teams", "0003_rate_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="Sample",
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
                ("name", models.CharField(max_length=200)),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("paste", "Pasted"),
                            ("upload", "Uploaded"),
                            ("project", "A project's own records"),
                        ],
                        max_length=10,
                    ),
                ),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("records", models.PositiveIntegerField(help_text="How many are in it.")),
                (
                    "of_records",
                    models.PositiveIntegerField(
                        help_text="Of how many they were chosen evenly, or the same."
                    ),
                ),
                ("not_read", models.PositiveIntegerField(default=0)),
                (
                    "since",
                    models.DateField(
                        blank=True,
                        help_text="The first day of a project's records.",
                        null=True,
                    ),
                ),
                (
                    "until",
                    models.DateField(
                        blank=True, help_text="The day after the last.", null=True
                    ),
                ),
                (
                    "reading",
                    models.JSONField(
                        help_text="Formats, columns of a table, the first problems."
                    ),
                ),
                ("rows", models.JSONField(help_text="See billing/formats/samples.py.")),
                (
                    "project",
                    models.ForeignKey(
                        blank=True,
                        help_text="What such calls are for. Empty: anything of the team.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="samples",
                        to="teams.project",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="samples",
                        to="teams.team",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("of_records__gte", models.F("records")), ("records__gt", 0)
                        ),
                        name="sample_has_records",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("since", None), ("until", None)),
                            models.Q(
                                ("since__lt", models.F("until")), ("source", "project")
                            ),
                            _connector="OR",
                        ),
                        name="sample_of_a_project_has_days",
                    ),
                ],
            },
        ),
    ]
