"""Whether DATABASE_URL can be used, in one sentence.

Run by the launcher under the virtual environment's Python, never imported: it reads
the URL as the settings will and connects as Django will. Prints why it cannot, without
the password, and exits 1; prints nothing and exits 0 when it can.
"""

import os
import sys
import warnings
from typing import Any

import environ
import psycopg

TIMEOUT_SECONDS = 5
FORM = "postgresql://USER:PASSWORD@HOST:5432/DATABASE"


ENGINE = "django.db.backends.postgresql"


class Unusable(Exception):
    """The sentence to print."""


def read(url: str) -> dict[str, Any]:
    """The parts of the URL, as the settings will read them.

    A special character in a password can move a piece of it into another part, so
    nothing is shown of a URL that looks wrong.
    """
    unreadable = Unusable(
        f"DATABASE_URL cannot be read as {FORM}; in user and password, the characters"
        " @ / : # ? % are written percent-encoded."
    )
    try:
        parts = dict(environ.Env.db_url_config(url))
    except ValueError:
        raise unreadable from None
    if parts.get("ENGINE", ENGINE) != ENGINE:
        raise Unusable("DATABASE_URL has to name a PostgreSQL database.")
    if not parts.get("NAME") or "@" in parts["NAME"] or ("@" in url) > bool(parts["USER"]):
        raise unreadable
    return parts


def connect(parts: dict[str, Any]) -> None:
    arguments = {
        "dbname": parts["NAME"],
        "user": parts["USER"],
        "password": parts["PASSWORD"],
        "host": parts["HOST"],
        "port": parts["PORT"],
        "connect_timeout": TIMEOUT_SECONDS,
        **parts.get("OPTIONS", {}),
    }
    given = {name: value for name, value in arguments.items() if value != ""}
    try:
        psycopg.connect(**given).close()
    except psycopg.Error as error:
        where = f"{given.get('host', 'the local socket')}:{given.get('port', 5432)}"
        raise Unusable(
            f"DATABASE_URL cannot be used: database {parts['NAME']} on {where} as user"
            f" {given.get('user', '(yours)')}: {reason(str(error))}."
        ) from None


def reason(message: str) -> str:
    """The server's own words where it said any, else the driver's first line."""
    lines = message.splitlines() or [""]
    line = next((line for line in lines if "FATAL:" in line), lines[0])
    line = line.rpartition("FATAL:")[2].rpartition(" failed: ")[2]
    return line.removeprefix("connection is bad: ").strip().rstrip(".")


def main() -> int:
    warnings.simplefilter("ignore")  # environ's own words on a URL it cannot read
    try:
        connect(read(os.environ["DATABASE_URL"]))
    except Unusable as unusable:
        sys.stdout.write(f"{unusable}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
