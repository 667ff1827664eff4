"""What waits to be counted, of all teams: a number that says nothing about any of them."""

from django.db import connection, transaction


def records() -> int:
    """How many records' postings are there, whoever asks.

    Raises OperationalError where somebody has locked them all and does not let go at once.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '100ms'")
        cursor.execute("SELECT purser_waiting_records()")
        return int(cursor.fetchone()[0])
