"""What waits to be counted, of all teams: a number that says nothing about any of them."""

from django.db import connection


def records() -> int:
    """How many records' postings are there, whoever asks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT purser_waiting_records()")
        return int(cursor.fetchone()[0])
