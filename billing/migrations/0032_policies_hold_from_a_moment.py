"""A routing policy holds from a moment on: of those there are, from when they were made
or from the start of their day, whichever was later."""

from django.db import migrations, models
from django.db.models.functions import Now

# The start of a day in the zone that it begins in, as teams/reporting_days.py has it.
FILL = """
UPDATE billing_routingpolicy p SET holds_from = greatest(p.changed_at, start.at)
FROM (
    SELECT DISTINCT ON (of_zone.id) of_zone.id, of_zone.at
    FROM (
        SELECT o.id, z.effective_from, greatest(
                o.effective_from::timestamp AT TIME ZONE z.time_zone, z.effective_from
            ) AS at,
            lead(z.effective_from) OVER (PARTITION BY o.id ORDER BY z.effective_from)
                AS until
        FROM billing_routingpolicy o
        JOIN teams_team t ON t.id = o.team_id
        JOIN teams_reportingzone z ON z.organization_id = t.organization_id
    ) of_zone
    WHERE of_zone.until IS NULL OR of_zone.at < of_zone.until
    ORDER BY of_zone.id, of_zone.effective_from
) start
WHERE start.id = p.id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0031_estimate_caps"),
        ("teams", "0003_rate_limits"),
    ]

    operations = [
        migrations.AddField(
            model_name="routingpolicy",
            name="holds_from",
            field=models.DateTimeField(
                db_default=Now(),
                help_text="The start of that day; on the day it was made, that moment.",
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
