"""Row-level security for the totals of budgets, as for the ledger (0002)."""

from django.db import migrations

ISOLATE = """
DO $$
DECLARE
    isolated text;
BEGIN
    FOREACH isolated IN ARRAY ARRAY['billing_budget_total', 'billing_team_ledger'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', isolated);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', isolated);
        EXECUTE format(
            'CREATE POLICY visible_teams ON %I TO purser_app USING (team_id = ANY ('
            'string_to_array(nullif(current_setting(''purser.teams'', true), ''''), '
            ''','')::bigint[]))', isolated);
        EXECUTE format(
            'CREATE POLICY every_team ON %I TO purser_worker USING (true)', isolated);
        EXECUTE format(
            'CREATE POLICY owner ON %I TO %I USING (true)', isolated, current_user);
    END LOOP;
END $$;
-- What a budget said stays said.
REVOKE UPDATE, DELETE ON billing_budgetrevision FROM purser_app, purser_worker;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_budgets_and_estimates")]

    operations = [migrations.RunSQL(ISOLATE, migrations.RunSQL.noop)]
