"""The monthly partitions of the ledger."""

from datetime import UTC, date, datetime

from django.db import connection, transaction

MONTHS_BEHIND = 2
MONTHS_AHEAD = 3


def keep(*, now: datetime) -> None:
    """Make the partitions around now, and of every month in the default partition.

    Runs as the tables' owner through a function the owner defined (migration 0002): the
    service roles cannot make tables.
    """
    this_month = now.astimezone(UTC).date().replace(day=1)
    months = {
        _month(this_month, offset) for offset in range(-MONTHS_BEHIND, MONTHS_AHEAD + 1)
    }
    with transaction.atomic(), connection.cursor() as cursor:
        # What lies in the default partition is moved however long that takes.
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SELECT month FROM purser_months_without_partition()")
        months |= {month for (month,) in cursor.fetchall()}
        for month in sorted(months):
            cursor.execute("SELECT purser_make_partitions(%s)", [month])


def _month(first: date, offset: int) -> date:
    year, month = divmod(first.year * 12 + first.month - 1 + offset, 12)
    return date(year, month + 1, 1)
