"""Who has seen an alert, who wants to hear of it later; how fast may be spent."""

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0018_deliveries"),
        ("teams", "0003_rate_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="VelocityRule",
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
                    "tag_key",
                    models.CharField(
                        blank=True, help_text="Empty: everything.", max_length=64
                    ),
                ),
                ("tag_value", models.CharField(blank=True, max_length=200)),
                (
                    "amount",
                    models.DecimalField(
                        decimal_places=9,
                        help_text="In the organization's currency: so much, or more.",
                        max_digits=21,
                        validators=[django.core.validators.MinValueValidator(0)],
                    ),
                ),
                (
                    "minutes",
                    models.PositiveSmallIntegerField(
                        default=60,
                        db_default=60,
                        help_text="Within so many minutes, 5 to 1,440.",
                        validators=[
                            django.core.validators.MinValueValidator(5),
                            django.core.validators.MaxValueValidator(1440),
                        ],
                    ),
                ),
                ("created_by", models.CharField(editable=False, max_length=200)),
                ("created_at", models.DateTimeField(editable=False)),
                ("ended_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
        ),
        migrations.AddField(
            model_name="alert",
            name="snooze_reason",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AddField(
            model_name="alert",
            name="snoozed_by",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.AddField(
            model_name="alert",
            name="snoozed_until",
            field=models.DateTimeField(
                blank=True,
                help_text="Until then it is on no list of what is open.",
                null=True,
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("state", "resolved"), _negated=True),
                fields=["organization", "kind"],
                name="alert_open",
            ),
        ),
        migrations.AddField(
            model_name="velocityrule",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="velocity_rules",
                to="teams.organization",
            ),
        ),
        migrations.AddField(
            model_name="velocityrule",
            name="project",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="velocity_rules",
                to="teams.project",
            ),
        ),
        migrations.AddField(
            model_name="velocityrule",
            name="team",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="velocity_rules",
                to="teams.team",
            ),
        ),
        migrations.AddConstraint(
            model_name="velocityrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("team", None), ("project", None), _connector="OR"),
                name="velocity_rule_has_one_scope",
            ),
        ),
        migrations.AddConstraint(
            model_name="velocityrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0), ("amount__lt", 1000000000000)),
                name="velocity_rule_amount_finite",
            ),
        ),
        migrations.AddConstraint(
            model_name="velocityrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("minutes__range", (5, 1440))),
                name="velocity_rule_minutes",
            ),
        ),
        migrations.AddConstraint(
            model_name="velocityrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("tag_key", ""), ("tag_value", "")),
                    models.Q(
                        models.Q(("tag_key", ""), _negated=True),
                        models.Q(("tag_value", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="velocity_rule_tag_has_a_value",
            ),
        ),
    ]
