"""Records that were taken back; and what adjusts closed months, apart in the daily sums."""

import django.db.models.deletion
from django.db import migrations, models

# As the other tables that are divided by team; what was taken back stays so.
ISOLATE = """
DO $$
BEGIN
    ALTER TABLE billing_void ENABLE ROW LEVEL SECURITY;
    ALTER TABLE billing_void FORCE ROW LEVEL SECURITY;
    CREATE POLICY visible_teams ON billing_void TO purser_app USING (team_id = ANY (
        string_to_array(nullif(current_setting('purser.teams', true), ''),
        ',')::bigint[]));
    CREATE POLICY every_team ON billing_void TO purser_worker USING (true);
    EXECUTE format('CREATE POLICY owner ON billing_void TO %I USING (true)', current_user);
END $$;
REVOKE UPDATE, DELETE ON billing_void FROM purser_app, purser_worker;
"""

# Of re-rates so far. An adjustment is of the third day after its record at the earliest.
TELL_ADJUSTMENTS_APART = """
UPDATE billing_daily_spend d SET adjustment = c.adjustment
FROM (
    SELECT team_id, project_id, model_id, processing, speed, geo, endpoint, context_tier,
        day, sum(cost) AS adjustment
    FROM billing_charge WHERE day > (occurred_at AT TIME ZONE 'UTC')::date + 1
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
) c
WHERE d.team_id = c.team_id AND d.project_id = c.project_id AND d.model_id = c.model_id
    AND d.processing = c.processing AND d.speed = c.speed AND d.geo = c.geo
    AND d.endpoint = c.endpoint AND d.context_tier = c.context_tier AND d.day = c.day
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0008_verifications"),
        ("teams", "0002_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Void",
            fields=[
                ("month", models.DateField()),
                ("record_id", models.CharField(max_length=200)),
                ("voided_at", models.DateTimeField()),
                ("voided_by", models.CharField(max_length=250)),
                ("reason", models.CharField(max_length=1000)),
                (
                    "corrected_by",
                    models.UUIDField(
                        help_text="The record that stands in its place, if one does.",
                        null=True,
                    ),
                ),
                (
                    "correction_id",
                    models.CharField(help_text="The id of that one.", max_length=200),
                ),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "team_id",
                        "month",
                        "record_uid",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("record_uid", models.UUIDField()),
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
                "db_table": "billing_void",
                "indexes": [
                    models.Index(
                        condition=models.Q(("corrected_by__isnull", False)),
                        fields=["team", "corrected_by"],
                        name="void_of_correction",
                    )
                ],
            },
        ),
        migrations.RunSQL(ISOLATE, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="VoidRow",
            fields=[
                ("month", models.DateField()),
                ("record_id", models.CharField(max_length=200)),
                ("voided_at", models.DateTimeField()),
                ("voided_by", models.CharField(max_length=250)),
                ("reason", models.CharField(max_length=1000)),
                (
                    "corrected_by",
                    models.UUIDField(
                        help_text="The record that stands in its place, if one does.",
                        null=True,
                    ),
                ),
                (
                    "correction_id",
                    models.CharField(help_text="The id of that one.", max_length=200),
                ),
                (
                    "record_uid",
                    models.UUIDField(primary_key=True, serialize=False),
                ),
            ],
            options={
                "verbose_name": "void",
                "db_table": "billing_void",
                "managed": False,
            },
        ),
        migrations.AlterModelOptions(
            name="usagerecordrow",
            options={
                "managed": False,
                "permissions": [("void_usagerecord", "Can take usage records back")],
                "verbose_name": "usage record",
            },
        ),
        migrations.AddField(
            model_name="dailyspend",
            name="adjustment",
            field=models.DecimalField(
                db_default=0,
                decimal_places=15,
                default=0,
                help_text="The part of the cost that is of records of closed months.",
                max_digits=30,
            ),
        ),
        migrations.AddConstraint(
            model_name="dailyspend",
            constraint=models.CheckConstraint(
                condition=models.Q(("adjustment__lt", 10**15)),
                name="daily_spend_adjustment_finite",
            ),
        ),
        migrations.RunSQL(TELL_ADJUSTMENTS_APART, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="charge",
            name="day",
            field=models.DateField(
                help_text="Of the record, in the reporting zone. Once its month is closed: "
                "the day it was charged on, as an adjustment."
            ),
        ),
    ]
