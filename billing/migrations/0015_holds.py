"""Holds, and which one a usage record was posted with.

The new column is empty, so that processes of the release before go on writing while this
one is rolled out, and no row is written anew.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0014_budget_limits"),
        ("teams", "0003_rate_limits"),
    ]

    operations = [
        migrations.AddField(
            model_name="usagerecord",
            name="hold",
            field=models.UUIDField(
                help_text="The hold that it was posted with.", null=True
            ),
        ),
        migrations.CreateModel(
            name="Hold",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        help_text="UUIDv7, made here.", primary_key=True, serialize=False
                    ),
                ),
                ("api_key", models.BigIntegerField()),
                (
                    "key",
                    models.CharField(
                        help_text="Under which a retry finds it; empty: it has none.",
                        max_length=200,
                    ),
                ),
                (
                    "fingerprint",
                    models.BinaryField(help_text="What a retry must equal."),
                ),
                (
                    "provider",
                    models.CharField(help_text="Empty: it was not said.", max_length=40),
                ),
                ("model_name", models.CharField(max_length=200)),
                (
                    "amount",
                    models.DecimalField(
                        decimal_places=15,
                        help_text="Empty: nobody knows a bound, and nothing limits it.",
                        max_digits=27,
                        null=True,
                    ),
                ),
                (
                    "bound",
                    models.TextField(
                        help_text="Why the amount is an upper bound; empty where the "
                        "rates say it."
                    ),
                ),
                (
                    "made_at",
                    models.DateTimeField(help_text="By the server's clock, as its end."),
                ),
                ("expires_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("held", "Held"),
                            ("settling", "Settling"),
                            ("settled", "Settled"),
                            ("released", "Released"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "record_uid",
                    models.UUIDField(
                        help_text="The usage record that settles it.", null=True
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="teams.project",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="teams.team",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["expires_at"], name="hold_expires_at")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("key", ""), _negated=True),
                        fields=("api_key", "key"),
                        name="hold_made_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount__gte", 0), ("amount__lt", 10**12))
                        | models.Q(("amount", None)),
                        name="hold_amount_finite",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HoldPart",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "hold_id",
                        "budget_id",
                        "period_start",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("period_start", models.DateField()),
                ("amount", models.DecimalField(decimal_places=15, max_digits=27)),
                (
                    "until",
                    models.DateTimeField(
                        help_text="Empty: until it is counted.", null=True
                    ),
                ),
                (
                    "budget",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="billing.budget",
                    ),
                ),
                (
                    "hold",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parts",
                        to="billing.hold",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["budget", "period_start"], name="hold_part_of_budget"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount__gte", 0), ("amount__lt", 10**12)),
                        name="hold_part_amount_finite",
                    )
                ],
            },
        ),
    ]
