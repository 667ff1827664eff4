"""The partitioned tables, their partitions, and who may see and change what.

1. Usage records and charges are partitioned by the UTC month of `occurred_at`. A default
   partition takes what has no partition yet.
2. Partitions are made by a function that runs as the owner, so that the service roles
   need no right to make tables. They have no right on a partition either: every access
   goes through the partitioned table and its policies.
3. Row-level security: `purser_app` sees the teams its transaction names in
   `purser.teams`; `purser_worker` counts for all; the owner migrates.
4. Facts and money are append-only for the service roles.
"""

from django.db import migrations

USAGE_RECORD = """
CREATE TABLE billing_usage_record (
    team_id bigint NOT NULL,
    project_id bigint NOT NULL,
    record_id varchar(200) NOT NULL,
    month date NOT NULL,
    uid uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    route varchar(20) NOT NULL,
    api_key bigint,
    provider varchar(40) NOT NULL,
    model_name varchar(200) NOT NULL,
    usage_format varchar(40) NOT NULL,
    processing varchar(32) NOT NULL,
    speed varchar(32) NOT NULL,
    geo varchar(32) NOT NULL,
    endpoint varchar(32) NOT NULL,
    input bigint NOT NULL,
    cache_write_5m bigint NOT NULL,
    cache_write_1h bigint NOT NULL,
    cache_read bigint NOT NULL,
    output bigint NOT NULL,
    web_search bigint NOT NULL,
    unbilled varchar(40) NOT NULL,
    thinking bigint NOT NULL,
    flags varchar(40)[] NOT NULL,
    verbatim jsonb,
    tags jsonb NOT NULL,
    fingerprint bytea NOT NULL,
    PRIMARY KEY (team_id, project_id, record_id, month),
    CONSTRAINT usage_record_month CHECK (
        month = date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date
    ),
    CONSTRAINT usage_record_counts CHECK (
        least(input, cache_write_5m, cache_write_1h, cache_read, output, web_search,
              thinking) >= 0
    )
) PARTITION BY RANGE (month);
CREATE INDEX usage_record_uid ON billing_usage_record (uid);
CREATE TABLE billing_usage_record_default PARTITION OF billing_usage_record DEFAULT;
"""

CHARGE = """
CREATE TABLE billing_charge (
    team_id bigint NOT NULL,
    record_uid uuid NOT NULL,
    month date NOT NULL,
    revision smallint NOT NULL,
    leg smallint NOT NULL,
    posted_at timestamptz NOT NULL,
    project_id bigint NOT NULL,
    model_id bigint NOT NULL,
    rate_id bigint,
    processing varchar(32) NOT NULL,
    speed varchar(32) NOT NULL,
    geo varchar(32) NOT NULL,
    endpoint varchar(32) NOT NULL,
    context_tier integer NOT NULL,
    occurred_at timestamptz NOT NULL,
    day date NOT NULL,
    input bigint NOT NULL,
    cache_write_5m bigint NOT NULL,
    cache_write_1h bigint NOT NULL,
    cache_read bigint NOT NULL,
    output bigint NOT NULL,
    web_search bigint NOT NULL,
    cost numeric(27, 15) NOT NULL,
    reason varchar(40) NOT NULL,
    CONSTRAINT charge_context_tier CHECK (context_tier >= 0),
    PRIMARY KEY (team_id, record_uid, month, revision, leg),
    -- NaN equals itself and is greater than everything; only this shuts it out.
    CONSTRAINT charge_cost_finite CHECK (cost > '-1e12' AND cost < '1e12')
) PARTITION BY RANGE (month);
CREATE TABLE billing_charge_default PARTITION OF billing_charge DEFAULT;
"""

MAKE_PARTITIONS = """
CREATE FUNCTION purser_make_partitions(first_of_month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent text;
    partition text;
    next_month date := first_of_month + interval '1 month';
BEGIN
    IF first_of_month <> date_trunc('month', first_of_month)::date THEN
        RAISE EXCEPTION '% is not the first day of a month', first_of_month;
    END IF;
    FOREACH parent IN ARRAY ARRAY['billing_usage_record', 'billing_charge'] LOOP
        partition := format('%s_%s', parent, to_char(first_of_month, 'YYYY_MM'));
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        -- Nothing may arrive in the default partition while its rows move out of it.
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || '_default');
        CONTINUE WHEN to_regclass(partition) IS NOT NULL; -- made while we waited
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', partition, parent);
        EXECUTE format('REVOKE ALL ON %I FROM purser_app, purser_worker', partition);
        EXECUTE format(
            'WITH moved AS (DELETE FROM %I WHERE month = $1 RETURNING *) '
            'INSERT INTO %I SELECT * FROM moved', parent || '_default', partition)
            USING first_of_month;
        EXECUTE format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            parent, partition, first_of_month, next_month);
    END LOOP;
END $$;

CREATE FUNCTION purser_months_without_partition() RETURNS TABLE (month date)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT month FROM billing_usage_record_default
    UNION SELECT month FROM billing_charge_default
$$;

REVOKE ALL ON FUNCTION purser_make_partitions(date) FROM PUBLIC;
REVOKE ALL ON FUNCTION purser_months_without_partition() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION purser_make_partitions(date) TO purser_worker;
GRANT EXECUTE ON FUNCTION purser_months_without_partition() TO purser_worker;
REVOKE ALL ON billing_usage_record_default, billing_charge_default
    FROM purser_app, purser_worker;
"""

ISOLATE = """
DO $$
DECLARE
    isolated text;
BEGIN
    FOREACH isolated IN ARRAY ARRAY[
        'billing_usage_record', 'billing_charge', 'billing_posting',
        'billing_unpriced_record', 'billing_quarantined_record',
        'billing_daily_spend', 'billing_hourly_spend'
    ] LOOP
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
REVOKE UPDATE, DELETE ON billing_usage_record, billing_charge, teams_auditevent
    FROM purser_app, purser_worker;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [
        migrations.RunSQL(USAGE_RECORD, "DROP TABLE billing_usage_record"),
        migrations.RunSQL(CHARGE, "DROP TABLE billing_charge"),
        migrations.RunSQL(
            MAKE_PARTITIONS,
            "DROP FUNCTION purser_make_partitions(date);"
            "DROP FUNCTION purser_months_without_partition();",
        ),
        # The tables' own removal takes their policies along.
        migrations.RunSQL(ISOLATE, migrations.RunSQL.noop),
    ]
