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
    EXECUTE format('CREATE POLICY owner ON billing_receipt TO %I USING (true)', current_user);
END $$;
REVOKE DELETE ON billing_receipt FROM purser_app, purser_worker;
"""

# Nobody noted what else came before; what was accepted is there.
FILL = """
UPDATE billing_posting SET received = 0, accepted = 0;
INSERT INTO billing_receipt (team_id, hour, api_key, route, received, accepted,
    duplicates, conflicts, rejected)
SELECT team_id, date_trunc('hour', received_at, 'UTC'), coalesce(api_key, 0), route,
    count(*), count(*), 0, 0, 0
FROM billing_usage_record GROUP BY 1, 2, 3, 4
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0011_PLACEHOLDER"),
    ]

    operations = [
]
