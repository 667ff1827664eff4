"""What a service's role may really see and do, whatever SQL it sends."""

import os
from typing import Any

import environ
import pytest
from django.db import connection, models
from django.db.utils import ConnectionHandler
from psycopg.errors import (
    CheckViolation,
    InsufficientPrivilege,
    InvalidTextRepresentation,
    NumericValueOutOfRange,
)

from billing.models import (
    Charge,
    LanguageModel,
    Posting,
    Publication,
    Rate,
    RateCard,
    UsageRecord,
    Void,
)
from billing.models.rates import PRICE_FIELDS
from config import databases
from teams import isolation
from teams.models import AuditEvent
from tests.guards import catalogue
from tests.guards.catalogue import Database
from tests.guards.conftest import acting, planted
from tests.guards.rows import insert

every_distributed_table = pytest.mark.parametrize(
    "model", catalogue.distributed_models(), ids=lambda model: model._meta.db_table
)
every_service = pytest.mark.parametrize("role", catalogue.SERVICES)


def teams_seen(database: Database, model: type[models.Model]) -> list[int]:
    rows = database.execute(f"SELECT team_id FROM {model._meta.db_table} ORDER BY 1")
    return [team_id for (team_id,) in rows]


def insert_for_two_teams(database: Database, model: type[models.Model]) -> None:
    insert(database, model, team_id=1)
    insert(database, model, team_id=2)


# --- What is seen -------------------------------------------------------------------


@every_distributed_table
def test_app_that_names_no_team_sees_nothing(database: Database, model: Any):
    insert_for_two_teams(database, model)

    with acting(database, "purser_app"):
        assert teams_seen(database, model) == []


@every_distributed_table
def test_app_sees_the_named_team_only(database: Database, model: Any):
    insert_for_two_teams(database, model)

    with acting(database, "purser_app", 1):
        assert teams_seen(database, model) == [1]


@every_distributed_table
def test_app_sees_all_named_teams(database: Database, model: Any):
    insert_for_two_teams(database, model)

    with acting(database, "purser_app", 1, 2, 3):
        assert teams_seen(database, model) == [1, 2]


@every_distributed_table
def test_worker_sees_every_team(database: Database, model: Any):
    insert_for_two_teams(database, model)

    with acting(database, "purser_worker"):
        assert teams_seen(database, model) == [1, 2]


def test_visible_teams_opens_what_the_app_sees(database: Database):
    insert_for_two_teams(database, Posting)

    with acting(database, "purser_app"), isolation.visible_teams([2]):
        assert teams_seen(database, Posting) == [2]


def test_visible_teams_of_nobody_opens_nothing(database: Database):
    insert_for_two_teams(database, Posting)

    with acting(database, "purser_app"), isolation.visible_teams([]):
        assert teams_seen(database, Posting) == []


def test_nonsense_in_the_setting_is_an_error(database: Database):
    insert_for_two_teams(database, Posting)

    with (
        acting(database, "purser_app"),
        planted(database, "SET LOCAL purser.teams = '1 OR true'"),
        pytest.raises(InvalidTextRepresentation),
    ):
        teams_seen(database, Posting)


def test_setting_ends_with_its_transaction(another_connection: Database):
    with another_connection.transaction():
        another_connection.execute("SET LOCAL purser.teams = '1'")

    with another_connection.transaction(force_rollback=True):
        insert_for_two_teams(another_connection, Posting)
        another_connection.execute("SET LOCAL ROLE purser_app")
        assert teams_seen(another_connection, Posting) == []


# --- What is done -------------------------------------------------------------------


@every_distributed_table
def test_app_inserts_for_the_named_team(database: Database, model: Any):
    with acting(database, "purser_app", 1):
        insert(database, model, team_id=1)

        assert teams_seen(database, model) == [1]


@every_distributed_table
def test_app_cannot_insert_for_another_team(database: Database, model: Any):
    with (
        pytest.raises(InsufficientPrivilege, match="row-level security policy"),
        acting(database, "purser_app", 1),
    ):
        insert(database, model, team_id=2)


def test_app_cannot_give_a_row_to_another_team(database: Database):
    insert(database, Posting, team_id=1)

    with (
        pytest.raises(InsufficientPrivilege, match="row-level security policy"),
        acting(database, "purser_app", 1),
    ):
        database.execute("UPDATE billing_posting SET team_id = 2")


def test_app_deletes_nothing_of_another_team(database: Database):
    insert(database, Posting, team_id=2)

    with acting(database, "purser_app", 1):
        deleted = database.execute("DELETE FROM billing_posting").rowcount

    assert deleted == 0


@every_service
@pytest.mark.parametrize("model", [UsageRecord, Charge, Void, AuditEvent])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
def test_service_cannot_change_what_is_append_only(
    database: Database, role: str, model: Any, statement: str
):
    column = model._meta.concrete_fields[-1].column
    change = statement.format(model._meta.db_table, column, column)

    with (
        pytest.raises(InsufficientPrivilege, match="permission denied for table"),
        acting(database, role, 1),
    ):
        database.execute(change)


@every_service
@pytest.mark.parametrize("parent", catalogue.PARTITIONED)
def test_service_cannot_name_a_partition(database: Database, role: str, parent: str):
    database.execute("SELECT purser_make_partitions('2031-05-01')")
    reached = [
        partition
        for partition in catalogue.partitions(database, parent)
        if _reads(database, role, partition)
    ]

    assert len(catalogue.partitions(database, parent)) > 1
    assert reached == []


def _reads(database: Database, role: str, table: str) -> bool:
    try:
        with acting(database, role, 1):
            database.execute(f"SELECT 1 FROM {table}")
    except InsufficientPrivilege:
        return False
    return True


def test_app_cannot_make_partitions(database: Database):
    with (
        pytest.raises(InsufficientPrivilege, match="permission denied for function"),
        acting(database, "purser_app"),
    ):
        database.execute("SELECT purser_make_partitions('2031-05-01')")


# --- What is no amount --------------------------------------------------------------


def test_cost_that_is_not_a_number_is_refused(database: Database):
    with pytest.raises(CheckViolation, match="charge_cost_finite"), database.transaction():
        insert(database, Charge, cost="NaN")


@pytest.mark.parametrize("cost", ["Infinity", "-Infinity"])
def test_infinite_cost_is_refused(database: Database, cost: str):
    with pytest.raises(NumericValueOutOfRange), database.transaction():
        insert(database, Charge, cost=cost)


@pytest.mark.parametrize("cost", ["1e12", "-1e12"])
def test_cost_beyond_all_bounds_is_refused(database: Database, cost: str):
    with pytest.raises((CheckViolation, NumericValueOutOfRange)), database.transaction():
        insert(database, Charge, cost=cost)


@pytest.mark.parametrize("field", PRICE_FIELDS)
@pytest.mark.parametrize("price", ["NaN", "-0.000000001"])
def test_price_that_is_none_is_refused(database: Database, field: str, price: str):
    ids = _publication_and_model()

    with pytest.raises(CheckViolation, match=f"rate_{field}_finite"):
        _insert_rate(database, **ids, **{field: price})


@pytest.mark.parametrize("field", PRICE_FIELDS)
def test_infinite_price_is_refused(database: Database, field: str):
    ids = _publication_and_model()

    with pytest.raises(NumericValueOutOfRange):
        _insert_rate(database, **ids, **{field: "Infinity"})


def _publication_and_model() -> dict[str, int]:
    card = RateCard.objects.create(kind="list", name="Planted", provider="planted")
    publication = Publication.objects.create(
        card=card, created_by="tests", created_at="2026-11-22T12:00Z"
    )
    model = LanguageModel.objects.create(provider="planted", name="planted")
    return {"publication_id": publication.pk, "model_id": model.pk}


def _insert_rate(database: Database, **given: Any) -> None:
    with database.transaction():
        insert(database, Rate, **given)


# --- As the processes connect -------------------------------------------------------


def configured(role: str) -> dict[str, Any]:
    """The settings of a process of this role, on the test database."""
    env = environ.Env()
    env.ENVIRON = {"DATABASE_URL": os.environ["DATABASE_URL"]}
    return databases.configured(env, role) | {"NAME": connection.settings_dict["NAME"]}


def answer(role: str, question: str) -> Any:
    """What PostgreSQL says to a process that has connected as it is configured."""
    config = configured(role.removeprefix("purser_"))
    config["OPTIONS"].pop("pool", None)
    session = ConnectionHandler({"default": config})["default"]
    try:
        with session.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchone()[0]
    finally:
        session.close()


@every_service
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("synchronous_commit", "on"),
        ("statement_timeout", "15s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("citus.multi_shard_modify_mode", "sequential"),
    ],
)
def test_service_connects_with_its_settings(db: None, role: str, setting: str, value: str):
    assert answer(role, f"SHOW {setting}") == value


@every_service
def test_service_connects_with_its_role(db: None, role: str):
    assert answer(role, "SELECT current_user") == role


def test_web_waits_for_a_connection_a_short_time_only():
    assert configured("app")["OPTIONS"]["pool"]["timeout"] <= 2


def test_owner_connects_without_limits():
    assert "options" not in configured("owner")["OPTIONS"]


def test_unknown_role_is_refused():
    with pytest.raises(ValueError, match="DATABASE_ROLE must be one of"):
        configured("root")


def test_login_of_its_own_is_used_by_a_service():
    env = environ.Env()
    env.ENVIRON = {
        "DATABASE_URL": "postgresql://owner:secret@db/purser",
        "APP_DATABASE_URL": "postgresql://web:other@db/purser",
    }

    assert databases.configured(env, "app")["USER"] == "web"
    assert databases.configured(env, "worker")["USER"] == "owner"
