"""The service roles, and what they may do with tables made from now on.

Runs before every other migration, so that Django's own tables are granted too. The
roles belong to the cluster and may exist already, from another database in it.
"""

from django.db import migrations

CREATE = """
DO $$
DECLARE
    service text;
BEGIN
    FOREACH service IN ARRAY ARRAY['purser_app', 'purser_worker'] LOOP
        -- Looked for first: without CREATEROLE they can have been made beforehand.
        IF to_regrole(service) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOBYPASSRLS', service);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- made for another database of this cluster just now
            END;
        END IF;
        IF NOT pg_has_role(current_user, service, 'SET') THEN
            EXECUTE format('GRANT %I TO %I', service, current_user);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', service);
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES IN SCHEMA public '
            'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', service);
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES IN SCHEMA public '
            'GRANT USAGE, SELECT ON SEQUENCES TO %I', service);
        EXECUTE format('GRANT SELECT ON django_migrations TO %I', service);
    END LOOP;
END $$;
"""

# The roles stay: they belong to the cluster, not to this database.
REVOKE = """
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    REVOKE ALL ON TABLES FROM purser_app, purser_worker;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    REVOKE ALL ON SEQUENCES FROM purser_app, purser_worker;
"""


class Migration(migrations.Migration):
    dependencies = []
    run_before = [
        ("contenttypes", "0001_initial"),
        ("auth", "0001_initial"),
        ("sessions", "0001_initial"),
    ]

    operations = [migrations.RunSQL(CREATE, REVOKE)]
