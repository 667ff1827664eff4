"""Budgets limited to models, processing and a tag; other windows; expiry."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

# As the other tables that are divided by team.
ISOLATE = """
DO $$
BEGIN
    ALTER TABLE billing_tagged_spend ENABLE ROW LEVEL SECURITY;
    ALTER TABLE billing_tagged_spend FORCE ROW LEVEL SECURITY;
    CREATE POLICY visible_teams ON billing_tagged_spend TO purser_app USING (
        team_id = ANY (string_to_array(nullif(current_setting('purser.teams', true), ''),
        ',')::bigint[]));
    CREATE POLICY every_team ON billing_tagged_spend TO purser_worker USING (true);
    EXECUTE format(
        'CREATE POLICY owner ON billing_tagged_spend TO %I USING (true)', current_user);
END $$;
REVOKE DELETE ON billing_tagged_spend FROM purser_app, purser_worker;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0013_alert_kinds"),
        ("teams", "0003_rate_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="TaggedSpend",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "team_id",
                        "budget_id",
                        "day",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("day", models.DateField(help_text="In the reporting zone.")),
                ("cost", models.DecimalField(decimal_places=15, max_digits=30)),
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
                "db_table": "billing_tagged_spend",
            },
        ),
        migrations.AddField(
            model_name="budget",
            name="custom_first",
            field=models.DateField(
                blank=True, help_text="Of a custom period: its first day.", null=True
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="custom_until",
            field=models.DateField(
                blank=True, help_text="The first day after it.", null=True
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="exempt_free",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="Calls of models that cost nothing pass, even over the cap.",
                verbose_name="free models pass",
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="expires_on",
            field=models.DateField(
                blank=True,
                help_text="From this day on it raises and refuses nothing. Empty: never.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="fiscal_starts_in",
            field=models.PositiveSmallIntegerField(
                db_default=1,
                default=1,
                help_text="The month, 1 to 12, that quarters and years are counted from.",
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(12),
                ],
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="model_ids",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(),
                blank=True,
                db_default=[],
                default=list,
                help_text="The models it is limited to.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="processing",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("standard", "Standard"),
                        ("batch", "Batch"),
                        ("flex", "Flex"),
                        ("priority", "Priority"),
                    ],
                    max_length=32,
                ),
                blank=True,
                db_default=[],
                default=list,
                help_text="The kinds of processing it is limited to, such as batch.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="tag_key",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The tag it is limited to: records with one of the values count.",
                max_length=64,
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="tag_values",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=200),
                blank=True,
                db_default=[],
                default=list,
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="week_starts_on",
            field=models.PositiveSmallIntegerField(
                choices=[
                    (0, "Monday"),
                    (1, "Tuesday"),
                    (2, "Wednesday"),
                    (3, "Thursday"),
                    (4, "Friday"),
                    (5, "Saturday"),
                    (6, "Sunday"),
                ],
                db_default=0,
                default=0,
                help_text="Of a weekly budget.",
            ),
        ),
        migrations.AddField(
            model_name="budgetrevision",
            name="exempt_free",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="Calls of models that cost nothing pass, even over the cap.",
                verbose_name="free models pass",
            ),
        ),
        migrations.AddField(
            model_name="budgetrevision",
            name="expires_on",
            field=models.DateField(
                blank=True,
                help_text="From this day on it raises and refuses nothing. Empty: never.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="budget",
            name="period",
            field=models.CharField(
                choices=[
                    ("day", "Day"),
                    ("week", "Week"),
                    ("month", "Month"),
                    ("quarter", "Quarter"),
                    ("year", "Year"),
                    ("custom", "Custom"),
                ],
                default="month",
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="budget",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("custom_first__isnull", False),
                        ("custom_until__gt", models.F("custom_first")),
                        ("custom_until__isnull", False),
                        ("period", "custom"),
                    ),
                    models.Q(
                        models.Q(("period", "custom"), _negated=True),
                        ("custom_first", None),
                        ("custom_until", None),
                    ),
                    _connector="OR",
                ),
                name="budget_custom_period_has_its_days",
            ),
        ),
        migrations.AddConstraint(
            model_name="budget",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("week_starts_on", 0),
                    models.Q(("period", "week"), ("week_starts_on__lte", 6)),
                    _connector="OR",
                ),
                name="budget_week_starts_on_a_day",
            ),
        ),
        migrations.AddConstraint(
            model_name="budget",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("fiscal_starts_in", 1),
                    models.Q(
                        ("fiscal_starts_in__range", (2, 12)),
                        ("period__in", ["quarter", "year"]),
                    ),
                    _connector="OR",
                ),
                name="budget_fiscal_year_starts_in_a_month",
            ),
        ),
        migrations.AddConstraint(
            model_name="budget",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("tag_key", ""), ("tag_values", [])),
                    models.Q(
                        models.Q(("tag_key", ""), _negated=True),
                        models.Q(("tag_values", []), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="budget_tag_has_values",
            ),
        ),
        migrations.AddConstraint(
            model_name="taggedspend",
            constraint=models.CheckConstraint(
                condition=models.Q(("cost__lt", 1000000000000000)),
                name="tagged_spend_finite",
            ),
        ),
        migrations.RunSQL(ISOLATE, migrations.RunSQL.noop),
    ]
