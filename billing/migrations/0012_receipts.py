"""Receipts: what was received, kept in postings and added up when they are counted."""

import django.db.models.deletion
from django.db import migrations, models

# As the other tables that are divided by team.
ISOLATE = """
DO $$
BEGIN
    ALTER TABLE billing_receipt ENABLE ROW LEVEL SECURITY;
    ALTER TABLE billing_receipt FORCE ROW LEVEL SECURITY;
    CREATE POLICY visible_teams ON billing_receipt TO purser_app USING (team_id = ANY (
        string_to_array(nullif(current_setting('purser.teams', true), ''),
        ',')::bigint[]));
    CREATE POLICY every_team ON billing_receipt TO purser_worker USING (true);
    EXECUTE format(
        'CREATE POLICY owner ON billing_receipt TO %I USING (true)', current_user);
END $$;
REVOKE DELETE ON billing_receipt FROM purser_app, purser_worker;
"""

# Nobody noted what else came before; what was accepted is there, or about to be counted.
FILL = """
INSERT INTO billing_receipt (team_id, hour, api_key, route, received, accepted,
    duplicates, conflicts, rejected)
SELECT team_id, date_trunc('hour', received_at, 'UTC'), coalesce(api_key, 0), route,
    count(*), count(*), 0, 0, 0
FROM billing_usage_record GROUP BY 1, 2, 3, 4
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0011_finite_sums"),
        ("teams", "0003_rate_limits"),
    ]

    operations = [
        migrations.AddField(
            model_name="posting",
            name="accepted",
            field=models.IntegerField(default=0, null=True),
        ),
        migrations.AddField(
            model_name="posting",
            name="api_key",
            field=models.BigIntegerField(db_default=0, default=0, help_text="0: none."),
        ),
        migrations.AddField(
            model_name="posting",
            name="conflicts",
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="posting",
            name="duplicates",
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="posting",
            name="received",
            field=models.IntegerField(default=0, null=True),
        ),
        migrations.AddField(
            model_name="posting",
            name="rejected",
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="posting",
            name="route",
            field=models.CharField(db_default="", default="", max_length=20),
        ),
        migrations.CreateModel(
            name="Receipt",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "team_id",
                        "hour",
                        "api_key",
                        "route",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("hour", models.DateTimeField()),
                ("api_key", models.BigIntegerField(help_text="0: none.")),
                ("route", models.CharField(max_length=20)),
                ("received", models.BigIntegerField()),
                ("accepted", models.BigIntegerField()),
                ("duplicates", models.BigIntegerField()),
                ("conflicts", models.BigIntegerField()),
                ("rejected", models.BigIntegerField()),
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
                "db_table": "billing_receipt",
            },
        ),
        migrations.RunSQL(ISOLATE, migrations.RunSQL.noop),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
