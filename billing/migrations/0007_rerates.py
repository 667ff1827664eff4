"""Re-rates; and alerts that are not of a budget: of a model without a price."""

from decimal import Decimal

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0006_rate_card_lifecycle"),
        ("teams", "0002_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="RerateTotal",
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
                ("executed", models.BooleanField(help_text="No: of the dry run.")),
                ("month", models.DateField(null=True)),
                ("after_uid", models.UUIDField(null=True)),
                ("finished", models.BooleanField(default=False)),
                (
                    "records",
                    models.BigIntegerField(default=0, help_text="How many were looked at."),
                ),
                (
                    "changed",
                    models.BigIntegerField(default=0, help_text="Whose price differs."),
                ),
                (
                    "kept",
                    models.BigIntegerField(
                        default=0,
                        help_text=(
                            "Left as they are: no price is known now, or re-rated since."
                        ),
                    ),
                ),
                (
                    "cost",
                    models.DecimalField(
                        decimal_places=15,
                        default=Decimal(0),
                        help_text="Afterwards.",
                        max_digits=30,
                    ),
                ),
                (
                    "difference",
                    models.DecimalField(
                        decimal_places=15,
                        default=Decimal(0),
                        help_text="What it added.",
                        max_digits=30,
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="alert",
            name="model_name",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.AddField(
            model_name="alert",
            name="organization",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="alerts",
                to="teams.organization",
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="provider",
            field=models.CharField(blank=True, db_default="", default="", max_length=40),
        ),
        migrations.AlterField(
            model_name="alert",
            name="budget",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="alerts",
                to="billing.budget",
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="cap",
            field=models.DecimalField(decimal_places=9, max_digits=21, null=True),
        ),
        migrations.AlterField(
            model_name="alert",
            name="period_start",
            field=models.DateField(null=True),
        ),
        migrations.AlterField(
            model_name="alert",
            name="revision",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name="alert",
            name="spent",
            field=models.DecimalField(
                decimal_places=15, help_text="When it was raised.", max_digits=30, null=True
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="threshold",
            field=models.PositiveSmallIntegerField(
                help_text="Percent of the cap.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="charge",
            name="day",
            field=models.DateField(
                help_text="Of the record, in the reporting zone. Of a re-rate after its "
                "month was closed: of the re-rate, as an adjustment."
            ),
        ),
        migrations.CreateModel(
            name="Rerate",
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
                (
                    "team_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(),
                        blank=True,
                        default=list,
                        help_text="Empty: all of the organization.",
                        size=None,
                    ),
                ),
                (
                    "model_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(),
                        blank=True,
                        default=list,
                        help_text="Of what is charged so far. Empty: every model.",
                        size=None,
                    ),
                ),
                (
                    "since",
                    models.DateField(
                        help_text="First day, in the reporting zone.", verbose_name="from"
                    ),
                ),
                (
                    "until",
                    models.DateField(
                        help_text="First day that is not in it.", verbose_name="to"
                    ),
                ),
                ("reason", models.TextField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("dry_run", "Dry run"),
                            ("ready", "Ready to start"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("cancelled", "Cancelled"),
                            ("reversed", "Reversed"),
                        ],
                        default="dry_run",
                        max_length=10,
                    ),
                ),
                (
                    "book",
                    models.CharField(
                        blank=True, help_text="The prices it compares with.", max_length=64
                    ),
                ),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("started_by", models.CharField(blank=True, max_length=200)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: all of them.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rerates",
                        to="teams.organization",
                    ),
                ),
                (
                    "reverses",
                    models.OneToOneField(
                        blank=True,
                        help_text="The re-rate that this one takes back.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reversed_by",
                        to="billing.rerate",
                    ),
                ),
            ],
            options={
                "verbose_name": "re-rate",
            },
        ),
        migrations.AddField(
            model_name="alert",
            name="rerate",
            field=models.ForeignKey(
                help_text="The re-rate that raised the spend meanwhile.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="alerts",
                to="billing.rerate",
            ),
        ),
        migrations.AddField(
            model_name="charge",
            name="rerate",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                help_text="Which re-rate added it, if one did.",
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="billing.rerate",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                fields=("organization", "provider", "model_name"),
                name="one_alert_per_unpriced_model",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("budget__isnull", False),
                        ("cap__isnull", False),
                        ("model_name", ""),
                        ("organization", None),
                        ("period_start__isnull", False),
                        ("revision__isnull", False),
                        ("spent__isnull", False),
                        ("threshold__isnull", False),
                    ),
                    models.Q(
                        ("budget", None),
                        ("cap", None),
                        ("organization__isnull", False),
                        ("period_start", None),
                        ("revision", None),
                        ("spent", None),
                        ("threshold", None),
                    ),
                    _connector="OR",
                ),
                name="alert_is_of_one_kind",
            ),
        ),
        migrations.AddField(
            model_name="reratetotal",
            name="rerate",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="totals",
                to="billing.rerate",
            ),
        ),
        migrations.AddField(
            model_name="reratetotal",
            name="team",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="teams.team",
            ),
        ),
        migrations.AddIndex(
            model_name="rerate",
            index=models.Index(
                condition=models.Q(("state__in", ["dry_run", "running"])),
                fields=["id"],
                name="rerate_under_way",
            ),
        ),
        migrations.AddConstraint(
            model_name="rerate",
            constraint=models.CheckConstraint(
                condition=models.Q(("since__lt", models.F("until"))),
                name="rerate_covers_a_day",
            ),
        ),
        migrations.AddConstraint(
            model_name="reratetotal",
            constraint=models.UniqueConstraint(
                fields=("rerate", "team", "executed"), name="one_total_per_team_and_run"
            ),
        ),
    ]
