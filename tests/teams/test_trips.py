import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import (
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)

from teams import isolation, trips
from teams.models import Organization
from teams.trips import Statement
from tests.chaos.service import await_that
from tests.conftest import Cast

on_its_own = pytest.mark.django_db(transaction=True)

VISIBLE = Statement("SELECT current_setting('purser.teams', true)", [])


def slugs() -> list[str]:
    return list(Organization.objects.order_by("pk").values_list("slug", flat=True))


def insert(slug: str) -> Statement:
    return Statement(
        f"INSERT INTO {Organization._meta.db_table} (name, slug, currency, created_at) "
        "VALUES (%b::text, %b::text, 'USD', now()) RETURNING slug",
        [slug, slug],
    )


FOUND = Statement(
    f"SELECT slug FROM {Organization._meta.db_table} WHERE slug = ANY (%b::text[])",
    [["a", "b"]],
)


@on_its_own
def test_every_statement_has_its_rows():
    numbers = Statement("SELECT n FROM unnest(%b::bigint[]) AS n", [[2, 1]])
    sums = Statement("SELECT %b::numeric + 1, %b::boolean, %b::text", ["0.1", True, None])
    nothing = Statement("SELECT 1 WHERE %b::bigint = 2", [1])

    assert trips.at_once([], [numbers, sums, nothing]) == [
        [(2,), (1,)],
        [(Decimal("1.1"), True, None)],
        [],
    ]


@on_its_own
def test_a_statement_sees_what_those_before_it_did():
    assert trips.at_once([], [insert("a"), FOUND]) == [[("a",)], [("a",)]]
    assert slugs() == ["a"]


@on_its_own
@pytest.mark.parametrize("flush", [None, FOUND])
def test_the_teams_are_visible_in_it_and_not_behind_it(flush: Statement | None):
    assert trips.at_once([3, 4], [VISIBLE], flush=flush) == [[("3,4",)]]
    assert trips._within(VISIBLE) != [("3,4",)]


@on_its_own
def test_of_one_that_fails_nothing_has_happened():
    with pytest.raises(IntegrityError):
        trips.at_once([1], [insert("a"), insert("a")])

    assert slugs() == []
    assert trips.at_once([1], [VISIBLE]) == [[("1",)]]


@on_its_own
def test_one_that_cannot_be_planned_fails_alone():
    with pytest.raises(DataError):
        trips.at_once([], [Statement("SELECT 1 / %b::bigint", [0])])

    assert trips.at_once([], [insert("a"), FOUND]) == [[("a",)], [("a",)]]


@on_its_own
def test_what_the_server_has_forgotten_is_planned_again():
    trips.at_once([], [insert("a"), FOUND])
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")

    assert trips.at_once([], [insert("b"), FOUND]) == [[("b",)], [("a",), ("b",)]]
    assert slugs() == ["a", "b"]


@on_its_own
def test_what_is_new_beside_what_the_server_has_forgotten():
    """The new one is planned before the other is found to be gone."""
    trips.at_once([], [FOUND])
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")

    for _ in range(2):
        assert trips.at_once([], [Statement("SELECT 5", []), FOUND]) == [[(5,)], []]


@on_its_own
def test_what_has_committed_is_not_done_again():
    trips.at_once([], [FOUND], flush=VISIBLE)
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    trips._plans_of(connection.connection).known -= {
        trips._plans_of(connection.connection).name(FOUND.text)
    }

    with pytest.raises(ProgrammingError):
        trips.at_once([], [insert("a"), FOUND], flush=VISIBLE)

    assert slugs() == ["a"]


@on_its_own
def test_what_cannot_be_sent_leaves_the_connection_as_it_was():
    with pytest.raises(DataError):
        trips.at_once([], [insert("a"), Statement("SELECT %b::text", ["\0"])])

    assert trips.at_once([], [insert("b"), FOUND]) == [[("b",)], [("b",)]]


@on_its_own
def test_a_server_that_ends_the_session_meanwhile():
    ends = Statement("SELECT pg_terminate_backend(pg_backend_pid())", [])

    with pytest.raises(OperationalError):
        trips.at_once([], [insert("a"), ends])
    connection.close()

    assert slugs() == []
    assert trips.at_once([], [FOUND]) == [[]]


@on_its_own
def test_more_shapes_than_are_planned():
    for number in range(2 * trips._MOST_PLANNED):
        statement = Statement(f"SELECT %b::bigint + {number}", [1])
        assert trips.at_once([], [statement]) == [[(number + 1,)]]

    ((planned,),) = trips._within(
        Statement("SELECT count(*) FROM pg_prepared_statements", [])
    )
    assert planned <= trips._MOST_PLANNED


@on_its_own
def test_more_than_the_socket_takes_at_once():
    long = "x" * 20_000_000

    assert trips.at_once(
        [], [Statement("SELECT length(%b::text), %b::text", [long, long])]
    ) == [[(len(long), long)]]


@on_its_own
def test_with_a_flush_the_locks_end_before_the_disk_has_it():
    """The flush waits here for a lock of ours, as it would for the disk."""
    waits = Statement("SELECT current_setting('synchronous_commit')", [])
    takes = "SELECT pg_advisory_xact_lock(%b::bigint)::text"
    flush = Statement(f"{takes}, set_config('teams.waits', {_WAITS}, false)", [8])
    seen: list[Any] = []

    def elsewhere() -> None:
        trips._within(Statement("SET synchronous_commit = on", []))
        seen.append(trips.at_once([], [waits, Statement(takes, [7])], flush=flush)[0])
        seen.append(trips._within(Statement("SELECT current_setting('teams.waits')", [])))
        connection.close()

    thread = threading.Thread(target=elsewhere)
    with transaction.atomic():
        trips._within(Statement(takes, [8]))
        thread.start()
        await_that(lambda: trips._within(_IS_WAITED_FOR) == [(1,)], 10, "it waits for us")
        is_free = trips._within(Statement("SELECT pg_try_advisory_xact_lock(7)", []))
    thread.join(10)

    assert is_free == [(True,)]
    assert seen == [[("off",)], [("on",)]]


_WAITS = "current_setting('synchronous_commit')"
_IS_WAITED_FOR = Statement(
    "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND NOT granted", []
)


@on_its_own
def test_a_flush_that_fails_is_told():
    with pytest.raises(DataError):
        trips.at_once([], [insert("a")], flush=Statement("SELECT 1 / %b::bigint", [0]))


def test_inside_a_transaction_it_is_a_part_of_that(cast: Cast):
    with isolation.visible_teams([5]):
        assert trips.at_once([6], [VISIBLE, insert("a")]) == [[("6",)], [("a",)]]
        assert trips._within(VISIBLE) == [("5",)]
    with pytest.raises(IntegrityError), transaction.atomic():
        trips.at_once([6], [insert("b"), insert("b")])
    assert "a" in slugs()
    assert "b" not in slugs()
