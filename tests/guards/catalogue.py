"""What PostgreSQL itself says of the tables: isolation, rights and structure.

Each function returns a sentence for everything that is not as migration 0002 of billing
and 0001 of teams mean it to be.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import psycopg
from django.apps import apps
from django.db import connection, models

from billing.models import placement

Database = psycopg.Connection[tuple[Any, ...]]

SERVICES = ("purser_app", "purser_worker")
PARTITIONED = ("billing_usage_record", "billing_charge")
APPEND_ONLY = (*PARTITIONED, "billing_void", "teams_auditevent")
OWNERS_FUNCTIONS = (
    "purser_make_partitions",
    "purser_months_without_partition",
    "purser_waiting_records",
)
# One number for all teams, that tells nothing of any.
FOR_APP = ("purser_waiting_records",)


def distributed_models() -> list[type[models.Model]]:
    return [apps.get_model(label) for label in sorted(placement.DISTRIBUTED)]


def distributed_tables() -> list[str]:
    return [model._meta.db_table for model in distributed_models()]


# --- Isolation ----------------------------------------------------------------------


def row_security(database: Database, tables: Sequence[str]) -> list[str]:
    rows = database.execute(
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
        " WHERE oid = ANY (%s::regclass[]) ORDER BY relname",
        [list(tables)],
    )
    found = []
    for table, enabled, forced in rows:
        if not enabled:
            found.append(f"{table}: row-level security is not enabled")
        if not forced:
            found.append(f"{table}: row-level security does not hold for the owner")
    return found


def policies(database: Database, tables: Sequence[str]) -> list[str]:
    """Exactly one policy per role: several would be joined with OR."""
    rows = database.execute(
        "SELECT tablename, unnest(roles)::text, permissive, cmd, qual, with_check"
        " FROM pg_policies WHERE schemaname = 'public' AND tablename = ANY (%s)",
        [list(tables)],
    )
    made: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for table, role, *policy in rows:
        made[table, role].append(tuple(policy))
    owners = _owners(database, tables)
    return [
        f"{table}: {sentence}"
        for table in tables
        for sentence in _policies_of(
            {role: of for (one, role), of in made.items() if one == table}, owners[table]
        )
    ]


def _policies_of(made: dict[str, list[tuple[Any, ...]]], owner: str) -> Iterator[str]:
    everything = "true"
    named = (
        "(team_id = ANY ((string_to_array(NULLIF("
        "current_setting('purser.teams'::text, true), ''::text), ','::text))::bigint[]))"
    )
    meant = {"purser_app": named, "purser_worker": everything, owner: everything}
    for role, condition in meant.items():
        if made.get(role, []) != [("PERMISSIVE", "ALL", condition, None)]:
            yield f"the policy of {_called(role, owner)} is {_shown(made.get(role, []))}"
    for role in sorted(made.keys() - meant.keys()):
        yield f"there is a policy of {role}"


def _called(role: str, owner: str) -> str:
    return "the owner" if role == owner else role


def _shown(policies: list[tuple[Any, ...]]) -> str:
    return " and ".join(f"{cmd} USING {qual}" for _, cmd, qual, _ in policies) or "missing"


def _owners(database: Database, tables: Sequence[str]) -> dict[str, str]:
    rows = database.execute(
        "SELECT relname, relowner::regrole::text FROM pg_class"
        " WHERE oid = ANY (%s::regclass[])",
        [list(tables)],
    )
    return dict(rows.fetchall())


# --- Rights -------------------------------------------------------------------------


class Role(NamedTuple):
    name: str
    login: bool
    superuser: bool
    bypasses_policies: bool
    makes_roles: bool
    makes_databases: bool
    member_of: list[str]


def service_roles(database: Database) -> list[Role]:
    rows = database.execute(
        "SELECT rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole,"
        " rolcreatedb, ARRAY(SELECT roleid::regrole::text FROM pg_auth_members"
        " WHERE member = pg_roles.oid) FROM pg_roles WHERE rolname = ANY (%s)"
        " ORDER BY rolname",
        [list(SERVICES)],
    )
    return [Role(*row) for row in rows]


def powers(roles: Iterable[Role]) -> list[str]:
    """What a service role can do that it should not, or that it is missing."""
    roles = list(roles)
    missing = set(SERVICES) - {role.name for role in roles}
    found = [f"{name} does not exist" for name in sorted(missing)]
    for role in roles:
        allowed = {
            "can log in": role.login,
            "is a superuser": role.superuser,
            "bypasses row-level security": role.bypasses_policies,
            "makes roles": role.makes_roles,
            "makes databases": role.makes_databases,
        }
        found += [f"{role.name} {power}" for power, has in allowed.items() if has]
        found += [f"{role.name} is a member of {other}" for other in role.member_of]
    return found


_ON_TABLE = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER"
_ON_COLUMNS = "SELECT, INSERT, UPDATE, REFERENCES"


def rights_on_partitions(database: Database) -> list[str]:
    """A partition has no policies: whoever reaches it sees every team."""
    rows = database.execute(
        "SELECT relname, role FROM pg_inherits JOIN pg_class ON oid = inhrelid,"
        " unnest(%s::text[]) AS role WHERE inhparent = ANY (%s::regclass[])"
        " AND (has_table_privilege(role, oid, %s)"
        "      OR has_any_column_privilege(role, oid, %s)) ORDER BY 1, 2",
        [list(SERVICES), list(PARTITIONED), _ON_TABLE, _ON_COLUMNS],
    )
    return [f"{role} has a right on the partition {partition}" for partition, role in rows]


def partitions(database: Database, parent: str) -> list[str]:
    rows = database.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
        [parent],
    )
    return [name for (name,) in rows]


def rights_to_change(database: Database) -> list[str]:
    """Facts, money and history are append-only for the services."""
    rows = database.execute(
        "SELECT tab, role, verb FROM unnest(%s::text[]) AS tab,"
        " unnest(%s::text[]) AS role, unnest('{UPDATE,DELETE,TRUNCATE}'::text[]) AS verb"
        " WHERE has_table_privilege(role, tab, verb)"
        " OR (verb = 'UPDATE' AND has_any_column_privilege(role, tab, verb))"
        " ORDER BY 1, 2, 3",
        [list(APPEND_ONLY), list(SERVICES)],
    )
    return [f"{role} can {verb} {table}" for table, role, verb in rows]


def rights_to_make(database: Database) -> list[str]:
    rows = database.execute(
        "SELECT role FROM unnest(%s::text[]) AS role"
        " WHERE has_schema_privilege(role, 'public', 'CREATE') ORDER BY 1",
        [list(SERVICES)],
    )
    return [f"{role} can make tables" for (role,) in rows]


def functions_of_the_owner(database: Database) -> list[str]:
    """Functions that run as their owner: for the worker, and what app may know of all
    teams; in our schema only."""
    rows = database.execute(
        "SELECT proname, has_function_privilege('purser_app', oid, 'EXECUTE'),"
        " has_function_privilege('purser_worker', oid, 'EXECUTE'),"
        " coalesce('search_path=public, pg_temp' = ANY (proconfig), false)"
        " FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
        " ORDER BY proname"
    )
    found, named = [], set()
    for function, for_app, for_worker, fixed in rows:
        named.add(function)
        if for_app != (function in FOR_APP):
            can = "can" if for_app else "cannot"
            found.append(f"purser_app {can} run {function}")
        if not for_worker:
            found.append(f"purser_worker cannot run {function}")
        if not fixed:
            found.append(f"{function} does not fix its search_path")
    return found + [f"there is no {one}" for one in OWNERS_FUNCTIONS if one not in named]


# --- Structure ----------------------------------------------------------------------


def structure(database: Database, model: type[models.Model]) -> list[str]:
    """Where a table, perhaps made by hand, is not what its model says."""
    table = model._meta.db_table
    meant, made = _meant_columns(model), _columns(database, table)
    found = [f"{name} is missing" for name in meant if name not in made]
    found += [f"{name} is not in the model" for name in made if name not in meant]
    found += [
        f"{name} is {made[name]}, not {kind}"
        for name, kind in meant.items()
        if name in made and made[name] != kind
    ]
    key = [str(field.column) for field in model._meta.pk_fields]
    if (made_key := _key(database, table)) != key:
        found.append(f"the primary key is {', '.join(made_key)}, not {', '.join(key)}")
    indexes = {index.name for index in model._meta.indexes}
    missing = sorted(indexes - _indexes(database, table))
    found += [f"the index {name} is missing" for name in missing]
    return [f"{table}: {sentence}" for sentence in found]


def _meant_columns(model: type[models.Model]) -> dict[str, str]:
    return {
        field.column: _column(str(field.db_type(connection)), nullable=field.null)
        for field in model._meta.concrete_fields
        if field.column
    }


def _columns(database: Database, table: str) -> dict[str, str]:
    rows = database.execute(
        "SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull"
        " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        " AND NOT attisdropped ORDER BY attnum",
        [table],
    )
    return {name: _column(kind, nullable=nullable) for name, kind, nullable in rows}


def _column(kind: str, *, nullable: bool) -> str:
    kind = kind.replace("character varying", "varchar").replace(", ", ",")
    return f"{kind} NULL" if nullable else f"{kind} NOT NULL"


def _key(database: Database, table: str) -> list[str]:
    rows = database.execute(
        "SELECT attname FROM pg_index CROSS JOIN unnest(indkey) WITH ORDINALITY AS k(n, at)"
        " JOIN pg_attribute ON attrelid = indrelid AND attnum = n"
        " WHERE indrelid = %s::regclass AND indisprimary ORDER BY at",
        [table],
    )
    return [name for (name,) in rows]


def _indexes(database: Database, table: str) -> set[str]:
    rows = database.execute(
        "SELECT indexname FROM pg_indexes WHERE tablename = %s", [table]
    )
    return {name for (name,) in rows}


def triggers(database: Database) -> list[str]:
    rows = database.execute(
        "SELECT tgname, tgrelid::regclass::text FROM pg_trigger JOIN pg_class ON"
        " pg_class.oid = tgrelid WHERE NOT tgisinternal"
        " AND relnamespace = 'public'::regnamespace ORDER BY tgname"
    )
    return [f"there is a trigger {name} on {table}" for name, table in rows]


def extensions(database: Database) -> list[str]:
    rows = database.execute("SELECT extname FROM pg_extension ORDER BY extname")
    return [name for (name,) in rows]


def sequences(database: Database, tables: Sequence[str]) -> list[str]:
    """Columns that number themselves: on each server from another start."""
    rows = database.execute(
        "SELECT attrelid::regclass::text, attname FROM pg_attribute"
        " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
        " WHERE attrelid = ANY (%s::regclass[]) AND (attidentity <> ''"
        " OR pg_get_expr(adbin, adrelid) LIKE 'nextval(%%') ORDER BY 1, 2",
        [list(tables)],
    )
    return [f"{table}.{column} is numbered by a sequence" for table, column in rows]


def foreign_keys(database: Database, tables: Sequence[str]) -> list[str]:
    rows = database.execute(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f'"
        " AND (conrelid = ANY (%s::regclass[]) OR confrelid = ANY (%s::regclass[]))"
        " ORDER BY 1, 2",
        [list(tables), list(tables)],
    )
    return [f"{table} has the foreign key {name}" for table, name in rows]
