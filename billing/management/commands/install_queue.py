"""`manage.py install_queue`: PGMQ's schema, where PostgreSQL is the broker."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection, transaction
from pgmq.install import get_embedded_install_sql

# The worker makes its queues and must own them, also those that the owner's login made
# before; the rest of the schema it only uses.
_GRANT = """
GRANT USAGE, CREATE ON SCHEMA pgmq TO purser_worker;
GRANT ALL ON ALL TABLES IN SCHEMA pgmq TO purser_worker;
GRANT ALL ON ALL SEQUENCES IN SCHEMA pgmq TO purser_worker;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pgmq TO purser_worker;
DO $$
DECLARE
    queue text;
BEGIN
    FOR queue IN SELECT tablename FROM pg_tables
        WHERE schemaname = 'pgmq' AND tableowner = current_user
        AND (starts_with(tablename, 'q_') OR starts_with(tablename, 'a_'))
    LOOP
        EXECUTE format('ALTER TABLE pgmq.%I OWNER TO purser_worker', queue);
    END LOOP;
END $$;
"""


class Command(BaseCommand):
    help = "Install PGMQ in this database. Does nothing twice, or for another broker."

    def handle(self, **options: Any) -> None:
        if not settings.CELERY_BROKER_URL.startswith("pgmq:"):
            self.stdout.write("The broker is not PostgreSQL: nothing to install.")
            return
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('pgmq.meta')")
            if cursor.fetchone()[0] is None:
                cursor.execute(get_embedded_install_sql())
            cursor.execute(_GRANT)
        self.stdout.write("Queues are ready.")
