"""The guard on SQL: what it lets through, and what it stops in which words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.guards.sql_guard import SqlGuard, Tables, read

TABLES = Tables(
    distributed=frozenset({"ledger", "sums"}), others=frozenset({"team", "project"})
)


@pytest.fixture(autouse=True)
def sql_guard() -> None:
    """Instead of the guard on all tests: here violations are planted."""


class Connection:
    """As much of a connection as the guard looks at: its running atomic blocks."""

    def __init__(self) -> None:
        self.atomic_blocks: list[object] = [object()]


class Session:
    """A connection inside a transaction, with a guard on it."""

    def __init__(self) -> None:
        self.guard = SqlGuard(TABLES)
        self.connection = Connection()
        self.executed: list[str] = []

    def run(self, sql: str, params: Any = None, *, many: bool = False) -> None:
        context = {"connection": self.connection}
        self.guard(lambda sql, *_: self.executed.append(sql), sql, params, many, context)

    @contextmanager
    def block(self) -> Iterator[None]:
        self.connection.atomic_blocks.append(object())
        yield
        self.connection.atomic_blocks.pop()


@pytest.fixture
def session() -> Session:
    """In a transaction of team 1."""
    session = Session()
    session.run("SET LOCAL purser.teams = '1'")
    return session


def refused(session: Session, sql: str, params: Any = None, *, many: bool = False) -> str:
    """The guard's complaint, without the statement that it repeats."""
    with pytest.raises(AssertionError) as raised:
        session.run(sql, params, many=many)
    complaint, _, repeated = str(raised.value).rpartition(": ")
    assert repeated == " ".join(sql.split())
    return complaint


# --- R8: which team -----------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE ledger SET a = 2 WHERE team_id = 1",
        "UPDATE ledger AS l SET a = 2 WHERE l.team_id = 1 AND (b = 2 OR c = 3)",
        "UPDATE ledger SET a = 2 WHERE (b = 2 AND (c = 3 AND team_id = 1))",
        "UPDATE ledger SET a = 2 WHERE team_id = 1 AND b = 1 OR team_id = 1 AND b = 2",
        "UPDATE ledger SET a = 2 WHERE b BETWEEN 1 AND 2 AND team_id = 1",
        'UPDATE "public"."ledger" SET "a" = 2 WHERE "ledger"."team_id" IN (1, 1)',
        'DELETE FROM "ledger" WHERE ("ledger"."team_id", "ledger"."a") IN ((1, 2))',
        "DELETE FROM ledger WHERE (uid, team_id) = (7, 1)",
        "DELETE FROM ledger USING team t WHERE t.id = team_id AND team_id = '1'::bigint",
        "SELECT a FROM ledger WHERE team_id = 1 ORDER BY a FOR UPDATE SKIP LOCKED",
        "SELECT a FROM ledger WHERE team_id = ANY ('{1,2}') FOR NO KEY UPDATE OF ledger",
        "SELECT a FROM ledger",
        "SELECT a FROM ledger -- FOR UPDATE",
        "SELECT 'FOR UPDATE' FROM ledger",
        "SELECT a FROM project WHERE a IS DISTINCT FROM b FOR UPDATE",
        "UPDATE project SET a = 2",
        "DELETE FROM ledger /*fanout*/",
        "EXPLAIN DELETE FROM ledger",
        "TRUNCATE ledger",
    ],
)
def test_statement_that_names_its_team_passes(session: Session, sql: str):
    session.run(sql)

    assert session.executed[-1] == sql


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("DELETE FROM ledger", "DELETE on ledger"),
        ("DELETE FROM ledger WHERE uid = 3", "DELETE on ledger"),
        ("DELETE FROM ledger WHERE NOT team_id = 1", "DELETE on ledger"),
        ("DELETE FROM ledger WHERE team_id <> 1", "DELETE on ledger"),
        ("DELETE FROM ledger WHERE team_id NOT IN (1)", "DELETE on ledger"),
        ("DELETE FROM ledger WHERE team_id IN (SELECT 1)", "DELETE on ledger"),
        ("DELETE FROM ledger WHERE team_id = ANY (SELECT 1)", "DELETE on ledger"),
        ("DELETE FROM ledger WHERE team_id = 1 OR uid = 3", "DELETE on ledger"),
        ("DELETE FROM ledger WHERE uid = 3 -- AND team_id = 1", "DELETE on ledger"),
        ("DELETE FROM ledger WHERE uid = ' AND team_id = 1'", "DELETE on ledger"),
        ("DELETE FROM ledger WHERE (team_id, a) IN (SELECT 1, 2)", "DELETE on ledger"),
        (
            "DELETE FROM ledger WHERE uid IN (SELECT uid FROM sums WHERE team_id = 1)",
            "DELETE on ledger",
        ),
        (
            "UPDATE ledger SET a = 2 FROM sums WHERE sums.team_id = ledger.team_id",
            "UPDATE on ledger",
        ),
        ("UPDATE project SET a = 2 FROM ledger WHERE b = 3", "UPDATE on ledger"),
        ("SELECT a FROM ledger FOR UPDATE", "SELECT … FOR on ledger"),
        ("SELECT a FROM project, ledger l FOR SHARE", "SELECT … FOR on ledger"),
        ("SELECT a FROM project JOIN ledger ON x FOR KEY SHARE", "SELECT … FOR on ledger"),
        (
            "DELETE FROM project WHERE id IN (SELECT 1 FROM ledger FOR UPDATE)",
            "SELECT … FOR on ledger",
        ),
        (
            "WITH gone AS (DELETE FROM ledger RETURNING a) SELECT * FROM gone",
            "DELETE on ledger",
        ),
        ("SELECT 1; DELETE FROM ledger", "DELETE on ledger"),
    ],
)
def test_statement_that_names_no_team_is_refused(
    session: Session, sql: str, complaint: str
):
    assert refused(session, sql) == f"R8: {complaint} without team_id in its WHERE"


# --- R7: one team in a transaction --------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("INSERT INTO ledger (team_id, a) VALUES (%s, %s)", (1, 2)),
        ("INSERT INTO ledger (a, team_id) VALUES (%s, %s), (%s, %s)", (2, 1, 3, 1)),
        ("INSERT INTO ledger (a, team_id) VALUES (now(), 1)", None),
        ("INSERT INTO ledger (a, team_id) VALUES (%t, %b)", (2, 1)),
        ("INSERT INTO ledger (team_id) SELECT %s::bigint FROM unnest(%s)", (1, [2])),
        (
            "INSERT INTO ledger (a, team_id) SELECT * FROM UNNEST((%s)::int[], %s)",
            ([2, 3], [1, 1]),
        ),
        ("INSERT INTO ledger SELECT * FROM sums WHERE team_id = %(t)s", {"t": 1}),
        ("DELETE FROM ledger WHERE a = %(a)s AND team_id = %(t)s", {"a": 2, "t": 1}),
        ("UPDATE ledger SET a = %s WHERE team_id = ANY(%s)", (2, [1])),
    ],
)
def test_write_for_the_team_of_the_transaction_passes(
    session: Session, sql: str, params: Any
):
    session.run(sql, params)

    assert session.executed[-1] == sql


@pytest.mark.parametrize(
    ("sql", "params", "verb"),
    [
        ("INSERT INTO ledger (team_id, a) VALUES (%s, %s)", (2, 1), "INSERT"),
        ("INSERT INTO ledger (a, team_id) VALUES (1, 1), (1, %s)", (2,), "INSERT"),
        ("INSERT INTO ledger (team_id, a) SELECT %s::bigint, 1", (2,), "INSERT"),
        ("INSERT INTO ledger (team_id) SELECT * FROM UNNEST(%s)", ([1, 2],), "INSERT"),
        ("INSERT INTO ledger (a, team_id) VALUES (%t, %b)", (1, 2), "INSERT"),
        (
            "DELETE FROM ledger WHERE a = %(a)s AND team_id = %(t)s",
            {"a": 1, "t": 2},
            "DELETE",
        ),
        ("UPDATE ledger SET a = %s WHERE team_id IN (%s, %s)", (1, 1, 2), "UPDATE"),
        ("DELETE FROM ledger WHERE (a, team_id) IN ((%s, %s))", (1, 2), "DELETE"),
    ],
)
def test_write_for_another_team_is_refused(
    session: Session, sql: str, params: Any, verb: str
):
    complaint = refused(session, sql, params)

    assert complaint == f"R7: {verb} on ledger for team 2 in a transaction of team 1"


def test_each_row_of_executemany_is_looked_at(session: Session):
    sql = "INSERT INTO ledger (team_id) VALUES (%s)"

    complaint = refused(session, sql, iter([(1,), (2,)]), many=True)

    assert complaint == "R7: INSERT on ledger for team 2 in a transaction of team 1"


def test_rows_of_executemany_reach_the_database(session: Session):
    rows: list[Any] = []
    context = {"connection": session.connection}

    session.guard(
        lambda _sql, params, *_: rows.extend(params),
        "INSERT INTO ledger (team_id) VALUES (%s)",
        iter([(1,), (1,)]),
        True,
        context,
    )

    assert rows == [(1,), (1,)]


@pytest.mark.parametrize(
    ("setting", "named"),
    [("", "none"), ("1,2", "1, 2")],
)
def test_write_without_exactly_one_team_is_refused(
    session: Session, setting: str, named: str
):
    session.run(f"SET LOCAL purser.teams = '{setting}'")

    complaint = refused(session, "INSERT INTO ledger (team_id) VALUES (1)")

    assert complaint == f"R7: INSERT on ledger while the transaction names teams: {named}"


def test_write_before_a_team_is_named_is_refused():
    complaint = refused(Session(), "DELETE FROM ledger WHERE team_id = 1")

    assert complaint == "R7: DELETE on ledger while the transaction names teams: none"


def test_named_team_ends_with_the_block_that_named_it():
    session = Session()
    with session.block():
        session.run("SET LOCAL purser.teams = '1'")

    complaint = refused(session, "INSERT INTO ledger (team_id) VALUES (1)")

    assert complaint == "R7: INSERT on ledger while the transaction names teams: none"


def test_named_team_holds_in_inner_blocks(session: Session):
    with session.block():
        session.run("INSERT INTO ledger (team_id) VALUES (1)")

    assert len(session.executed) == 2


def test_next_team_opens_a_scope_of_its_own(session: Session):
    session.run("INSERT INTO ledger (team_id) VALUES (1)")
    session.run("SET LOCAL purser.teams TO '2'")
    session.run("INSERT INTO ledger (team_id) VALUES (2)")

    assert len(session.executed) == 4


def test_team_named_outside_a_transaction_does_not_count():
    session = Session()
    session.connection.atomic_blocks.clear()
    session.run("SET LOCAL purser.teams = '1'")

    complaint = refused(session, "INSERT INTO ledger (team_id) VALUES (1)")

    assert complaint == "R7: INSERT on ledger while the transaction names teams: none"


def test_fanout_lifts_the_rules_on_teams():
    session = Session()

    session.run("UPDATE /*fanout*/ ledger SET a = 1 WHERE team_id = 2")

    assert len(session.executed) == 1


# --- R9, R10, RLS -------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT (SELECT sum(a) FROM ledger l WHERE l.team_id = team.id) FROM team",
        "SELECT (SELECT sum(a) FROM ledger WHERE team_id = (t.id)) FROM team t",
        "SELECT 1 FROM team WHERE EXISTS(SELECT 1 FROM ledger WHERE team_id = id)",
        "SELECT 1 FROM team WHERE NOT EXISTS (SELECT FROM ledger WHERE team_id = id)",
        "SELECT 1 FROM team JOIN LATERAL (SELECT a FROM ledger WHERE b = id) x ON true",
        "SELECT (SELECT 1 FROM (SELECT 1 FROM ledger l WHERE a = team.id) x) FROM team",
    ],
)
def test_correlated_subquery_into_the_ledger_is_refused(session: Session, sql: str):
    assert refused(session, sql) == "R9: a correlated subquery from team into ledger"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM team WHERE id IN (SELECT team_id FROM ledger)",
        "SELECT 1 FROM team t JOIN (SELECT team_id FROM ledger t GROUP BY 1) s ON true",
        "SELECT EXISTS(SELECT 1 FROM ledger WHERE team_id = 1)",
        "SELECT 1 FROM ledger l WHERE EXISTS(SELECT 1 FROM sums s WHERE s.a = l.a)",
        "SELECT 1 FROM ledger l JOIN LATERAL (SELECT 1 FROM team WHERE id = l.b) t ON true",
        "SELECT 1 FROM team WHERE EXISTS(SELECT 1 FROM project WHERE project.a = team.a)",
        "WITH s AS (SELECT team_id FROM ledger) SELECT 1 FROM team JOIN s ON s.a = team.a",
    ],
)
def test_other_subqueries_pass(session: Session, sql: str):
    session.run(sql)

    assert session.executed[-1] == sql


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER x AFTER INSERT ON project EXECUTE FUNCTION y()",
        "CREATE OR REPLACE TRIGGER x AFTER INSERT ON project EXECUTE FUNCTION y()",
        "CREATE CONSTRAINT TRIGGER x AFTER INSERT ON project EXECUTE FUNCTION y()",
    ],
)
def test_trigger_is_refused(session: Session, sql: str):
    assert refused(session, sql) == "R10: a trigger is made"


@pytest.mark.parametrize("clock", ["now()", "CURRENT_TIMESTAMP", "f(clock_timestamp())"])
def test_clock_in_an_upsert_is_refused(session: Session, clock: str):
    sql = f"INSERT INTO project (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = {clock}"

    assert refused(session, sql) == "R10: ON CONFLICT DO UPDATE reads the clock"


def test_clock_in_an_insert_passes(session: Session):
    session.run(
        "INSERT INTO project (a) VALUES (now()) ON CONFLICT (a) DO UPDATE SET b = 1"
    )

    assert len(session.executed) == 2


def test_setting_that_outlives_the_transaction_is_refused(session: Session):
    complaint = refused(session, "SET purser.teams = '1'")

    assert complaint == "RLS: purser.teams is set for longer than the transaction"


def test_setting_that_reaches_no_shard_is_refused(session: Session):
    complaint = refused(session, "SELECT set_config('purser.teams', '1', true)")

    assert complaint == "RLS: purser.teams is set with set_config(), which reaches no shard"


def test_other_settings_pass(session: Session):
    session.run("SET LOCAL ROLE purser_app")
    session.run("INSERT INTO ledger (team_id) VALUES (1)")

    assert len(session.executed) == 3


def test_statement_is_read_once(session: Session):
    sql = "SELECT a FROM ledger WHERE b = 'read once'"
    session.run(sql)
    hits = read.cache_info().hits

    session.run(sql)

    assert read.cache_info().hits == hits + 1
