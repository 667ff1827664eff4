"""What verifications found; and the right to post quarantined records again."""

from django.db import migrations, models

# What was found is written by who verified, and stays as it is until it is too old.
WRITTEN_BY_WORKERS = """
REVOKE INSERT, UPDATE, DELETE ON billing_verification FROM purser_app;
REVOKE UPDATE ON billing_verification FROM purser_worker;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0007_rerates"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="quarantinedrecordrow",
            options={
                "managed": False,
                "permissions": [
                    ("redrive_quarantinedrecord", "Can re-drive quarantined records")
                ],
                "verbose_name": "quarantined record",
            },
        ),
        migrations.CreateModel(
            name="Verification",
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
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField()),
                ("ok", models.BooleanField(help_text="All checks agree.")),
                ("checks", models.JSONField(default=list)),
                (
                    "problem",
                    models.TextField(
                        blank=True, help_text="Why it did not come to its end."
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("problem", ""), ("ok", False), _connector="OR"),
                        name="verification_agrees_to_its_end",
                    )
                ],
            },
        ),
        migrations.RunSQL(WRITTEN_BY_WORKERS, migrations.RunSQL.noop),
    ]
