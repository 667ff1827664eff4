"""What the migrations made, as PostgreSQL's catalogue tells it."""

import pytest
from django.db import models

from billing.models import Charge, Posting, UsageRecord
from tests.guards import catalogue
from tests.guards.catalogue import Database, Role
from tests.guards.conftest import planted

TABLES = catalogue.distributed_tables()
APP = Role(
    "purser_app",
    login=False,
    superuser=False,
    bypasses_policies=False,
    makes_roles=False,
    makes_databases=False,
    member_of=[],
)
WORKER = APP._replace(name="purser_worker")


# --- Isolation ----------------------------------------------------------------------


def test_rows_are_secured_in_every_distributed_table(database: Database):
    assert catalogue.row_security(database, TABLES) == []


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("DISABLE ROW LEVEL SECURITY", "row-level security is not enabled"),
        ("NO FORCE ROW LEVEL SECURITY", "row-level security does not hold for the owner"),
    ],
)
def test_unsecured_table_is_caught(database: Database, statement: str, complaint: str):
    with planted(database, f"ALTER TABLE billing_charge {statement}"):
        found = catalogue.row_security(database, TABLES)

    assert found == [f"billing_charge: {complaint}"]


def test_every_distributed_table_has_its_three_policies(database: Database):
    assert catalogue.policies(database, TABLES) == []


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("DROP POLICY visible_teams ON {}", "the policy of purser_app is missing"),
        ("DROP POLICY every_team ON {}", "the policy of purser_worker is missing"),
        ("DROP POLICY owner ON {}", "the policy of the owner is missing"),
        ("CREATE POLICY more ON {} USING (true)", "there is a policy of public"),
        (
            "ALTER POLICY visible_teams ON {} USING (team_id > 0)",
            "the policy of purser_app is ALL USING (team_id > 0)",
        ),
        (
            "ALTER POLICY every_team ON {} USING (team_id > 0)",
            "the policy of purser_worker is ALL USING (team_id > 0)",
        ),
    ],
)
def test_policy_that_is_not_as_meant_is_caught(
    database: Database, statement: str, complaint: str
):
    with planted(database, statement.format("billing_posting")):
        found = catalogue.policies(database, TABLES)

    assert found == [f"billing_posting: {complaint}"]


def test_second_policy_that_opens_the_first_is_caught(database: Database):
    leak = "CREATE POLICY leak ON billing_posting TO purser_app USING (true)"

    with planted(database, leak):
        (found,) = catalogue.policies(database, TABLES)

    assert found.startswith("billing_posting: the policy of purser_app is ALL USING")
    # In whichever order the catalogue lists them.
    assert " and " in found
    assert "ALL USING true" in found


# --- Rights -------------------------------------------------------------------------


def test_services_have_no_powers(database: Database):
    assert catalogue.powers(catalogue.service_roles(database)) == []


@pytest.mark.parametrize(
    ("role", "complaint"),
    [
        (APP._replace(login=True), "purser_app can log in"),
        (APP._replace(superuser=True), "purser_app is a superuser"),
        (
            APP._replace(bypasses_policies=True),
            "purser_app bypasses row-level security",
        ),
        (APP._replace(makes_roles=True), "purser_app makes roles"),
        (APP._replace(makes_databases=True), "purser_app makes databases"),
        (
            APP._replace(member_of=["purser_worker"]),
            "purser_app is a member of purser_worker",
        ),
    ],
)
def test_power_of_a_service_is_caught(role: Role, complaint: str):
    assert catalogue.powers([role, WORKER]) == [complaint]


def test_missing_role_is_caught():
    assert catalogue.powers([APP]) == ["purser_worker does not exist"]


def test_services_have_no_right_on_a_partition(database: Database):
    database.execute("SELECT purser_make_partitions('2031-05-01')")

    assert "billing_charge_2031_05" in catalogue.partitions(database, "billing_charge")
    assert catalogue.rights_on_partitions(database) == []


@pytest.mark.parametrize("right", ["SELECT", "INSERT", "TRUNCATE", "UPDATE (route)"])
def test_right_on_a_partition_is_caught(database: Database, right: str):
    grant = f"GRANT {right} ON billing_usage_record_default TO purser_worker"

    with planted(database, grant):
        found = catalogue.rights_on_partitions(database)

    assert found == [
        "purser_worker has a right on the partition billing_usage_record_default"
    ]


def test_right_of_everybody_on_a_new_partition_is_caught(database: Database):
    with planted(
        database,
        "SELECT purser_make_partitions('2031-05-01')",
        "GRANT SELECT ON billing_charge_2031_05 TO PUBLIC",
    ):
        found = catalogue.rights_on_partitions(database)

    assert found == [
        "purser_app has a right on the partition billing_charge_2031_05",
        "purser_worker has a right on the partition billing_charge_2031_05",
    ]


def test_services_change_no_fact_no_money_no_history(database: Database):
    assert catalogue.rights_to_change(database) == []


@pytest.mark.parametrize("table", catalogue.APPEND_ONLY)
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "TRUNCATE"])
def test_right_to_change_is_caught(database: Database, table: str, verb: str):
    with planted(database, f"GRANT {verb} ON {table} TO purser_app"):
        found = catalogue.rights_to_change(database)

    assert found == [f"purser_app can {verb} {table}"]


def test_right_to_change_one_column_is_caught(database: Database):
    with planted(database, "GRANT UPDATE (cost) ON billing_charge TO purser_worker"):
        found = catalogue.rights_to_change(database)

    assert found == ["purser_worker can UPDATE billing_charge"]


def test_services_make_no_tables(database: Database):
    assert catalogue.rights_to_make(database) == []


def test_services_run_only_their_functions_of_the_owner(database: Database):
    assert catalogue.functions_of_the_owner(database) == []


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        (
            "GRANT EXECUTE ON FUNCTION purser_make_partitions TO PUBLIC",
            "purser_app can run purser_make_partitions",
        ),
        (
            "REVOKE EXECUTE ON FUNCTION purser_waiting_records FROM purser_app",
            "purser_app cannot run purser_waiting_records",
        ),
        (
            "REVOKE EXECUTE ON FUNCTION purser_make_partitions FROM purser_worker",
            "purser_worker cannot run purser_make_partitions",
        ),
        (
            "ALTER FUNCTION purser_make_partitions RESET search_path",
            "purser_make_partitions does not fix its search_path",
        ),
        (
            "ALTER FUNCTION purser_make_partitions SECURITY INVOKER",
            "there is no purser_make_partitions",
        ),
    ],
)
def test_open_function_of_the_owner_is_caught(
    database: Database, statement: str, complaint: str
):
    with planted(database, statement):
        found = catalogue.functions_of_the_owner(database)

    assert found == [complaint]


# --- Structure ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", catalogue.distributed_models(), ids=lambda model: model._meta.db_table
)
def test_table_is_what_its_model_says(database: Database, model: type[models.Model]):
    assert catalogue.structure(database, model) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("DROP COLUMN reason", "reason is missing"),
        ("ADD COLUMN note text", "note is not in the model"),
        (
            "ALTER COLUMN cost TYPE numeric(20, 2)",
            "cost is numeric(20,2) NOT NULL, not numeric(27,15) NOT NULL",
        ),
        (
            "ALTER COLUMN reason TYPE varchar(80)",
            "reason is varchar(80) NOT NULL, not varchar(40) NOT NULL",
        ),
        (
            "ALTER COLUMN cost DROP NOT NULL",
            "cost is numeric(27,15) NULL, not numeric(27,15) NOT NULL",
        ),
    ],
)
def test_table_that_differs_from_its_model_is_caught(
    database: Database, change: str, complaint: str
):
    with planted(database, f"ALTER TABLE billing_charge {change}"):
        found = catalogue.structure(database, Charge)

    assert found == [f"billing_charge: {complaint}"]


def test_key_in_another_order_is_caught(database: Database):
    with planted(
        database,
        "ALTER TABLE billing_posting DROP CONSTRAINT billing_posting_pkey",
        "ALTER TABLE billing_posting ADD PRIMARY KEY (uid, team_id)",
    ):
        found = catalogue.structure(database, Posting)

    assert found == ["billing_posting: the primary key is uid, team_id, not team_id, uid"]


def test_missing_index_is_caught(database: Database):
    with planted(database, "DROP INDEX usage_record_uid"):
        found = catalogue.structure(database, UsageRecord)

    assert found == ["billing_usage_record: the index usage_record_uid is missing"]


def test_there_are_no_triggers(database: Database):
    assert catalogue.triggers(database) == []


def test_trigger_is_caught(database: Database):
    with planted(
        database,
        "CREATE TRIGGER planted BEFORE UPDATE ON teams_team"
        " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    ):
        found = catalogue.triggers(database)

    assert found == ["there is a trigger planted on teams_team"]


def test_there_are_no_extensions(database: Database):
    assert catalogue.extensions(database) == ["plpgsql"]


def test_no_sequence_numbers_the_ledger(database: Database):
    assert catalogue.sequences(database, TABLES) == []


@pytest.mark.parametrize(
    "column", ["number bigserial", "number bigint GENERATED ALWAYS AS IDENTITY"]
)
def test_sequence_is_caught(database: Database, column: str):
    with planted(database, f"ALTER TABLE billing_posting ADD COLUMN {column}"):
        found = catalogue.sequences(database, TABLES)

    assert found == ["billing_posting.number is numbered by a sequence"]


def test_no_foreign_key_leaves_or_enters_the_ledger(database: Database):
    assert catalogue.foreign_keys(database, TABLES) == []


def test_foreign_key_is_caught(database: Database):
    with planted(
        database,
        "ALTER TABLE billing_posting ADD CONSTRAINT planted"
        " FOREIGN KEY (team_id) REFERENCES teams_team",
    ):
        found = catalogue.foreign_keys(database, TABLES)

    assert found == ["billing_posting has the foreign key planted"]
