"""How the embedded server is set: for one developer and a machine with two cores."""

from typing import Final

SUPERUSER: Final = "postgres"
ROLE: Final = "purser"
DATABASE: Final = "purser"
PORT: Final = "5432"  # part of the socket's name; nothing listens on it

# Byte order and UTF-8 that are the same on every machine, whatever locales it has;
# `trust` because the socket's directory already lets no other user in.
INITDB: Final = (
    f"--username={SUPERUSER}",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--data-checksums",
    "--no-instructions",
)

SETTINGS = {
    "listen_addresses": "",
    "port": PORT,
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    # A statement over all months locks each partition and each of its indexes.
    "max_locks_per_transaction": "256",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    # No replica and no archive, so a bulk load into a new table need not be logged.
    "wal_level": "minimal",
    # A new segment of the log is made during a commit, and all others wait for it.
    "wal_init_zero": "off",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    # These binaries know no other compression.
    "default_toast_compression": "pglz",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
}
DURABLE = {"fsync": "on"}
# For a server that nobody needs after its tests.
FLEETING = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "checkpoint_timeout": "1h",
}

# The role owns its database and may make the roles of web and worker, nothing more.
BOOTSTRAP: Final = """
SELECT 'CREATE ROLE purser LOGIN NOSUPERUSER CREATEDB CREATEROLE'
WHERE to_regrole('purser') IS NULL \\gexec
SELECT 'CREATE DATABASE purser OWNER purser'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'purser') \\gexec
"""
