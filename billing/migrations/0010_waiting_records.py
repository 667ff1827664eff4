"""The web process, which sees the teams of one request, may ask how much waits in all."""

from django.db import migrations

CREATE = """
CREATE FUNCTION purser_waiting_records() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(sum(greatest(records, 1)), 0)::bigint FROM billing_posting
$$;
REVOKE ALL ON FUNCTION purser_waiting_records() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION purser_waiting_records() TO purser_app, purser_worker;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0009_voids"),
    ]

    operations = [
        migrations.RunSQL(CREATE, "DROP FUNCTION purser_waiting_records()"),
    ]
