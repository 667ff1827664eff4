"""How a process connects: one server, three roles.

`owner` owns the tables and migrates them; `app` (web) reads and writes what the current
request may see; `worker` (Celery) counts for every team. A process takes its role when
it connects, so that row-level security holds for it from the first statement.
"""

from typing import Any

import environ
from psycopg.conninfo import make_conninfo

ROLES = ("owner", "app", "worker")

# A web request or a counting transaction that takes longer than this is broken; it must
# give its locks back. `citus.…` is an unused placeholder on plain PostgreSQL: see
# docs/adr/0003.
_SERVICE_OPTIONS = {
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    "synchronous_commit": "on",
    "citus.multi_shard_modify_mode": "sequential",
}

# A worker's statements look for thousands of records: how is decided with these, not once
# for all while the tables are empty.
_OPTIONS_OF: dict[str, dict[str, str]] = {
    "app": {},
    "worker": {"plan_cache_mode": "force_custom_plan"},
}

# How many connections a process has at most. A worker does one task at a time, with a
# verification beside it; nobody waits for it.
_POOLS: dict[str, dict[str, int]] = {
    "app": {"max_size": 10, "timeout": 2},
    "worker": {"max_size": 3, "timeout": 10},
}


def configured(env: environ.Env, role: str) -> dict[str, Any]:
    """Django's DATABASES entry for a process of this role.

    `APP_DATABASE_URL` and `WORKER_DATABASE_URL` may name logins of their own, members of
    `purser_app` and `purser_worker`; without them the owner's login takes the role.
    """
    if role not in ROLES:
        raise ValueError(f"DATABASE_ROLE must be one of {', '.join(ROLES)}, not {role!r}")
    own_login = f"{role.upper()}_DATABASE_URL"
    if role != "owner" and env.ENVIRON.get(own_login):
        config = dict(env.db_url(own_login))
    else:
        config = dict(env.db_url("DATABASE_URL"))
    options = dict(config.get("OPTIONS") or {})
    if role != "owner":
        settings = {"role": f"purser_{role}"} | _SERVICE_OPTIONS | _OPTIONS_OF[role]
        options["options"] = _command_line(settings)
        # Statements of the ledger are planned once a connection. A pooler in between has
        # to carry them (PgBouncer: max_prepared_statements).
        options["prepare_threshold"] = 2
        # A server that was restarted leaves dead connections behind: each is looked at
        # before it is used (config/postgresql), and a request waits two seconds for each
        # at most. A worker gives its own back after each task, and a new one would have
        # to learn all partitions and statements again.
        options["pool"] = {"min_size": 1, **_POOLS[role]}
    return config | {"ENGINE": "config.postgresql", "OPTIONS": options}


def _command_line(settings: dict[str, str]) -> str:
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


# Options of a connection that libpq reads from these variables too.
_LIBPQ = {"options": "PGOPTIONS", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}


def libpq_variables(config: dict[str, Any]) -> dict[str, str]:
    """What `dsn` cannot carry to a client that takes the string apart."""
    options = config["OPTIONS"]
    return {
        variable: str(options[name]) for name, variable in _LIBPQ.items() if name in options
    }


def dsn(config: dict[str, Any]) -> str:
    """The same server and login for code that is not Django (the broker's client)."""
    return make_conninfo(
        host=config["HOST"] or config["OPTIONS"].get("host"),
        port=config["PORT"] or None,
        dbname=config["NAME"],
        user=config["USER"] or None,
        password=config["PASSWORD"] or None,
    )
