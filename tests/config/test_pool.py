"""What becomes of pooled connections whose server went away."""

import os
import subprocess
import sys

import pytest

# A process of its own, as the pool belongs to the roles of services.
_SCRIPT = """
import django
django.setup()
from django.db import connection
import psycopg

def pid():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]

def ended(numbers):
    '''Another session ends these, and sees them gone.'''
    with psycopg.connect(OWNER) as owner:
        for number in numbers:
            owner.execute("SELECT pg_terminate_backend(%s, 5000)", [number])

def handed_out():
    found = set()
    for _ in range(5):
        found.add(pid())
        connection.close()
    return found

connection.ensure_connection()
connection.pool.wait()
connection.close()
first = handed_out()
assert len(first) < 5, "those that are there are used again"
ended(first)
second = handed_out()
assert not first & second
listening = pid()
with connection.cursor() as cursor:
    cursor.execute("LISTEN news")
connection.close()
with psycopg.connect(OWNER) as owner:
    owner.execute("NOTIFY news")
assert listening in handed_out(), "one that has something to say is there"
print("fine")
"""


@pytest.mark.django_db(transaction=True)
def test_one_that_is_gone_is_not_handed_out():
    from django.db import connection

    from config import databases

    owner = databases.dsn(connection.settings_dict)
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_ROLE": "app",
        "DATABASE_URL": os.environ["DATABASE_URL"],
    }
    done = subprocess.run(
        [sys.executable, "-c", f"OWNER = {owner!r}\n{_SCRIPT}"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.strip() == "fine", done.stderr
