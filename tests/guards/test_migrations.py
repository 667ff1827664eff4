"""Migrations keep the ledger divisible, reversible and closed."""

from typing import Any

import pytest
from django.contrib.postgres.operations import BtreeGistExtension
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.models.functions import Now

from tests.guards import catalogue, migration_lint


def planted(*operations: Operation) -> migrations.Migration:
    class Planted(migrations.Migration):
        pass

    Planted.operations = list(operations)
    return Planted("0009_planted", "billing")


def complaints(*operations: Operation) -> list[str]:
    found = migration_lint.complaints(planted(*operations))
    assert all(one.startswith("billing.0009_planted ") for one in found)
    return [one.removeprefix("billing.0009_planted ") for one in found]


def reversible(sql: str) -> migrations.RunSQL:
    return migrations.RunSQL(sql, migrations.RunSQL.noop)


# --- The real ones ------------------------------------------------------------------


def test_migrations_obey():
    found = [
        complaint
        for migration in migration_lint.ours()
        for complaint in migration_lint.complaints(migration)
    ]

    assert found == []


def test_all_migrations_of_ours_are_looked_at():
    names = [(one.app_label, one.name) for one in migration_lint.ours()]

    assert ("teams", "0001_roles") in names
    assert ("billing", "0002_ledger") in names


def test_every_distributed_table_is_secured():
    tables = catalogue.distributed_tables()

    assert migration_lint.unsecured(migration_lint.ours(), tables) == []


def test_roles_are_made_first():
    assert migration_lint.late_roles(migration_lint.plan()) == []


# --- Planted ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER x AFTER INSERT ON y EXECUTE FUNCTION z()",
        "create or replace\n constraint trigger x AFTER INSERT ON y EXECUTE FUNCTION z()",
        "CREATE EVENT TRIGGER x ON ddl_command_end EXECUTE FUNCTION z()",
        "DO $$ BEGIN EXECUTE 'CREATE TRIGGER x AFTER INSERT ON y'; END $$",
    ],
)
def test_trigger_is_caught(sql: str):
    assert complaints(reversible(sql)) == ["makes a trigger"]


def test_trigger_in_a_reverse_is_caught():
    operation = migrations.RunSQL("DROP TRIGGER x ON y", "CREATE TRIGGER x AFTER …")

    assert complaints(operation) == ["makes a trigger"]


def test_trigger_that_a_comment_speaks_of_passes():
    assert complaints(reversible("-- no CREATE TRIGGER here\nSELECT 1")) == []


@pytest.mark.parametrize(
    "operation",
    [
        BtreeGistExtension(),
        reversible("CREATE EXTENSION IF NOT EXISTS pg_trgm"),
        migrations.RunSQL([("CREATE EXTENSION pgcrypto", None)], migrations.RunSQL.noop),
        migrations.SeparateDatabaseAndState([reversible("CREATE EXTENSION citext")]),
    ],
)
def test_extension_is_caught(operation: Operation):
    assert complaints(operation) == ["makes an extension"]


def test_sql_without_a_reverse_is_caught():
    assert complaints(migrations.RunSQL("SELECT 1")) == ["has a RunSQL without a reverse"]


def test_python_without_a_reverse_is_caught():
    assert complaints(migrations.RunPython(lambda apps, editor: None)) == [
        "has a RunPython without a reverse"
    ]


def test_python_with_a_reverse_passes():
    noop = migrations.RunPython.noop

    assert complaints(migrations.RunPython(noop, noop)) == []


def test_new_column_without_a_default_is_caught():
    added = migrations.AddField("charge", "note", models.TextField())

    assert complaints(added) == ["adds charge.note, NOT NULL without a default"]


@pytest.mark.parametrize(
    "field",
    [
        models.TextField(null=True),
        models.TextField(default=""),
        models.DateTimeField(db_default=Now()),
        models.ManyToManyField("teams.Team"),
        models.GeneratedField(
            expression=models.F("cost"), output_field=models.IntegerField(), db_persist=True
        ),
    ],
)
def test_new_column_that_old_rows_can_have_passes(field: Any):
    assert complaints(migrations.AddField("charge", "note", field)) == []


def test_new_column_of_a_new_table_passes():
    made = migrations.CreateModel("Note", [("id", models.BigAutoField(primary_key=True))])
    added = migrations.AddField("note", "text", models.TextField())

    assert complaints(made, added) == []


def test_new_column_in_the_state_only_passes():
    added = migrations.AddField("charge", "note", models.TextField())
    operation = migrations.SeparateDatabaseAndState(state_operations=[added])

    assert complaints(operation) == []


@pytest.mark.parametrize(
    "action",
    [
        "ADD COLUMN note text NOT NULL",
        "ADD note numeric(27, 15) NOT NULL",
        "DROP COLUMN old, ADD COLUMN note text NOT NULL",
    ],
)
def test_new_column_in_sql_without_a_default_is_caught(action: str):
    assert complaints(reversible(f"ALTER TABLE billing_charge {action}")) == [
        "adds note, NOT NULL without a default"
    ]


@pytest.mark.parametrize(
    "action",
    [
        "ADD COLUMN note text",
        "ADD COLUMN note text NOT NULL DEFAULT ''",
        "ADD CONSTRAINT named CHECK (note IS NOT NULL)",
        "ALTER COLUMN note SET NOT NULL",
    ],
)
def test_other_changes_in_sql_pass(action: str):
    assert complaints(reversible(f"ALTER TABLE billing_charge {action}")) == []


def test_table_left_open_is_caught():
    closing = reversible(
        "ALTER TABLE billing_posting ENABLE ROW LEVEL SECURITY;"
        "ALTER TABLE billing_posting FORCE ROW LEVEL SECURITY"
    )
    tables = ["billing_posting", "billing_post"]

    assert migration_lint.unsecured([planted(closing)], tables) == [
        "no migration secures the rows of billing_post"
    ]


def test_table_that_stays_open_to_its_owner_is_caught():
    closing = reversible("ALTER TABLE billing_posting ENABLE ROW LEVEL SECURITY")

    assert migration_lint.unsecured([planted(closing)], ["billing_posting"]) == [
        "no migration secures the rows of billing_posting"
    ]


def test_table_before_the_roles_is_caught():
    order = [("auth", "0001_initial"), ("teams", "0001_roles"), ("teams", "0002_initial")]

    assert migration_lint.late_roles(order) == [
        "auth.0001_initial runs before the roles are made"
    ]
