"""POST /usage: what is taken, in which shapes, and what is answered."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from billing.formats.encodings import zstd
from billing.models import Posting, UsageRecord
from teams.actions import projects
from teams.models.api_keys import Scope
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, Service, as_owner, issue

pytestmark = pytest.mark.usefixtures("as_app")


def posted(response):
    return response.json() | {"http": response.status_code}


def summary(response):
    reply = response.json()
    return (
        response.status_code,
        reply["received"],
        reply["accepted"],
        reply["duplicates"],
        reply["conflicts"],
        reply["rejected"],
    )


def test_a_record_is_accepted_and_left_to_be_counted(alice: Service, cast: Cast):
    response = alice.post("usage", body(record(id="msg_1")))

    assert posted(response) == {
        "http": 202,
        "received": 1,
        "accepted": 1,
        "duplicates": 0,
        "conflicts": 0,
        "rejected": 0,
        "results": [],
    }
    with as_owner():
        stored, posting = UsageRecord.objects.get(), Posting.objects.get()
    assert (stored.record_id, stored.team_id, stored.project_id) == (
        "msg_1",
        cast.search.pk,
        cast.answers.pk,
    )
    assert (stored.input, stored.output) == (1000, 10)
    assert posting.record_uids == [stored.uid]


@pytest.mark.parametrize(
    ("shaped", "content_type"),
    [
        (lambda one, two: json.dumps([one, two]), "application/json"),
        (lambda one, two: json.dumps({"records": [one, two]}), "application/json"),
        (
            lambda one, two: f"{json.dumps(one)}\n{json.dumps(two)}\n",
            "application/x-ndjson",
        ),
    ],
    ids=["array", "records", "ndjson"],
)
def test_several_records_come_in_each_shape(alice: Service, shaped, content_type):
    response = alice.post("usage", shaped(record(), record()), content_type=content_type)

    assert summary(response) == (202, 2, 2, 0, 0, 0)


def test_a_single_record_needs_no_list(alice: Service):
    response = alice.post("usage", json.dumps(record()))

    assert summary(response) == (202, 1, 1, 0, 0, 0)


def test_verbose_lists_what_was_accepted_too(alice: Service):
    response = alice.post("usage?verbose=1", body(record(id="msg_1")))

    assert response.json()["results"] == [
        {
            "index": 0,
            "id": "msg_1",
            "status": "accepted",
            "code": None,
            "pointer": None,
            "detail": None,
        }
    ]


def test_posting_again_is_a_success_that_changes_nothing(alice: Service):
    one = record()
    alice.post("usage", body(one))

    response = alice.post("usage", body(one))

    assert summary(response) == (202, 1, 0, 1, 0, 0)
    with as_owner():
        assert UsageRecord.objects.count() == 1
        postings = Posting.objects.values_list("records", "duplicates")
        assert sorted(postings) == [(0, 1), (1, 0)]


def test_members_that_no_format_knows_do_not_make_a_conflict(alice: Service):
    one = record()
    alice.post("usage", body(one))
    again = one | {"usage": one["usage"] | {"new_member": {"deep": [1]}}}

    assert summary(alice.post("usage", body(again))) == (202, 1, 0, 1, 0, 0)


def test_other_content_under_a_known_id_is_a_conflict_and_the_first_stands(alice: Service):
    one = record()
    alice.post("usage", body(one))
    other = one | {"usage": {"input_tokens": 7, "output_tokens": 7}}

    response = alice.post("usage", body(other))

    assert summary(response) == (422, 1, 0, 0, 1, 0)
    assert response.json()["results"][0]["code"] == "id_conflict"
    with as_owner():
        assert UsageRecord.objects.get().input == 1000


def test_one_duplicate_in_a_thousand_keeps_the_other_999(alice: Service):
    """Elsewhere one of them fails the whole batch: getlago/lago-api#3049."""
    batch = [record() for _ in range(1_000)]
    alice.post("usage", body(batch[500]))

    assert summary(alice.post("usage", body(*batch))) == (202, 1_000, 999, 1, 0, 0)
    assert summary(alice.post("usage", body(*batch))) == (202, 1_000, 0, 1_000, 0, 0)
    with as_owner():
        assert UsageRecord.objects.count() == 1_000


def test_what_a_stream_reports_on_its_way_is_never_added_up(alice: Service):
    """ccusage/ccusage#901: one message, its output reported as 9, 9 and 159.

    A call is posted when it is over; until then there is no count to bill. Whoever posts
    too early is told so, aloud.
    """
    on_its_way = record(usage={"input_tokens": 1000, "output_tokens": 9})
    over = on_its_way | {"usage": {"input_tokens": 1000, "output_tokens": 159}}

    early = alice.post("usage", body(on_its_way, on_its_way, over))
    late = alice.post("usage", body(over | {"id": "msg_over"}))

    assert summary(early) == (207, 3, 1, 1, 1, 0)
    assert summary(late) == (202, 1, 1, 0, 0, 0)
    with as_owner():
        outputs = UsageRecord.objects.order_by("output").values_list("output", flat=True)
        assert list(outputs) == [9, 159]


def test_the_same_record_twice_in_one_body_counts_once(alice: Service):
    one = record()
    other = one | {"model": "claude-opus-5"}

    response = alice.post("usage", body(one, one, other))

    assert summary(response) == (207, 3, 1, 1, 1, 0)
    assert [result["index"] for result in response.json()["results"]] == [1, 2]


def test_a_bad_record_does_not_hold_up_the_good_ones(alice: Service):
    bad = record(usage={"input_tokens": -1, "output_tokens": 1})

    response = alice.post("usage", body(record(), bad, record()))

    assert summary(response) == (207, 3, 2, 0, 0, 1)
    (result,) = response.json()["results"]
    assert (result["index"], result["id"], result["status"]) == (1, bad["id"], "rejected")
    assert result["pointer"] == "/usage/input_tokens"


def test_when_all_are_rejected_nothing_is_stored(alice: Service):
    response = alice.post("usage", body(record(id=None), record(model=None)))

    assert summary(response) == (422, 2, 0, 0, 0, 2)
    assert [result["code"] for result in response.json()["results"]] == [
        "missing_field",
        "missing_field",
    ]
    with as_owner():
        assert not UsageRecord.objects.exists()


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"occurred_at": "2026-11-20T09:30:00"}, "naive_time", "/occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-12:00"}, "bad_time", "/occurred_at"),
        ({"project": "nowhere"}, "unknown_project", "/project"),
        ({"project": "triage"}, "unknown_project", "/project"),
        ({"cost": "1.0"}, "unknown_field", "/cost"),
        ({"usage_format": "morse"}, "unknown_usage_format", "/usage_format"),
        ({"provider": "unheard-of"}, "unknown_usage_format", "/usage_format"),
        ({"id": "a\u0000b"}, "bad_text", "/id"),
        ({"usage": {"input_tokens": 10**13, "output_tokens": 0}}, None, None),
        ({"usage": {"input_tokens": True, "output_tokens": 0}}, None, None),
        ({"usage": {"input_tokens": 1.5, "output_tokens": 0}}, None, None),
    ],
)
def test_a_record_that_cannot_be_read_says_why(
    alice: Service, changes: dict, code: str | None, pointer: str | None
):
    response = alice.post("usage", body(record(**changes)))

    assert summary(response) == (422, 1, 0, 0, 0, 1)
    (result,) = response.json()["results"]
    assert result["status"] == "rejected"
    assert result["detail"]
    if code is not None:
        assert (result["code"], result["pointer"]) == (code, pointer)


def test_a_cache_split_larger_than_its_total_is_rejected(alice: Service):
    usage = {
        "input_tokens": 1,
        "output_tokens": 1,
        "cache_creation_input_tokens": 5,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 5,
            "ephemeral_1h_input_tokens": 1,
        },
    }

    response = alice.post("usage", body(record(usage=usage)))

    assert summary(response) == (422, 1, 0, 0, 0, 1)


@pytest.mark.parametrize("text", ["\\ud800", "\\u0000"])
def test_text_that_cannot_be_stored_is_rejected(alice: Service, text: str):
    one = json.dumps(record(id="X")).replace("X", text)

    assert summary(alice.post("usage", one)) == (422, 1, 0, 0, 0, 1)


def test_text_that_cannot_be_stored_inside_iterations_is_no_500(alice: Service):
    entry = '{"type": "message", "input_tokens": 1, "output_tokens": 1, "note": "\\u0000"}'
    one = json.dumps(record()).replace(
        '"output_tokens": 10', f'"output_tokens": 10, "iterations": [{entry}]'
    )

    assert alice.post("usage", one).status_code in (202, 422)


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (timedelta(days=34, hours=23), 202),
        (timedelta(days=35, minutes=1), 422),
        (timedelta(minutes=-9), 202),
        (timedelta(minutes=-11), 422),
    ],
)
def test_records_are_taken_in_a_window_around_now(cast: Cast, age: timedelta, status: int):
    scopes = [Scope.USAGE_WRITE]
    service = Service(issue(cast.acme, project=cast.answers, scopes=scopes)[1])
    at = (timezone.now() - age).isoformat()

    assert service.post("usage", body(record(occurred_at=at))).status_code == status


def test_an_import_may_be_of_any_age_but_not_of_the_future(alice: Service):
    old = record(occurred_at="2025-01-31T23:59:59Z")
    early = record(occurred_at=(timezone.now() + timedelta(minutes=11)).isoformat())

    response = alice.post("usage", body(old, early))

    assert summary(response) == (207, 2, 1, 0, 0, 1)
    assert response.json()["results"][0]["code"] == "time_out_of_window"


def test_the_month_of_a_record_is_that_of_utc(alice: Service):
    alice.post("usage", body(record(occurred_at="2026-11-01T00:30:00+02:00")))

    with as_owner():
        stored = UsageRecord.objects.get()
    assert stored.month.isoformat() == "2026-10-01"
    assert stored.occurred_at == datetime(2026, 10, 31, 22, 30, tzinfo=UTC)


def test_the_project_may_be_left_out_where_the_key_has_one(alice: Service):
    assert summary(alice.post("usage", body(record(project=None)))) == (202, 1, 1, 0, 0, 0)


def test_the_project_is_needed_where_the_key_has_several(bob: Service, cast: Cast):
    projects.create(team=cast.support, name="Two", slug="two", by="tests", now=NOW)

    response = bob.post("usage", body(record(project=None)))

    assert response.json()["results"][0]["code"] == "unknown_project"
    assert summary(bob.post("usage", body(record(project="triage")))) == (
        202,
        1,
        1,
        0,
        0,
        0,
    )


def test_a_request_for_several_teams_makes_one_posting_each(cast: Cast):
    finance = Service(issue(cast.acme)[1])

    response = finance.post(
        "usage",
        body(record(), record(project="triage"), record(), record(project="secret")),
    )

    assert summary(response) == (207, 4, 3, 0, 0, 1)
    assert response.json()["results"][0]["index"] == 3
    with as_owner():
        postings = Posting.objects.values_list("team_id", "records", "rejected")
        assert set(postings) == {
            (cast.search.pk, 2, 0),
            (cast.search.pk, 0, 1),
            (cast.support.pk, 1, 0),
        }


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"", "application/json", 400, None),
        (b"[]", "application/json", 400, None),
        (b"{not json", "application/json", 400, None),
        (b"\xff\xfe[\x00]\x00", "application/json", 400, None),
        (b"[" * 100_000, "application/json", 400, None),
        (b"[1" + b",1" * 1000 + b"]", "application/json", 413, None),
        (b"x" * 2_000_001, "application/json", 413, "body_too_large"),
        (b"a,b", "text/csv", 415, None),
    ],
    ids=["empty", "no-records", "not-json", "utf-16", "deep", "many", "large", "csv"],
)
def test_a_body_that_cannot_be_read_is_refused_whole(
    alice: Service, content: bytes, content_type: str, status: int, code: str | None
):
    response = alice.post("usage", content, content_type=content_type)

    problem = response.json()
    assert response.status_code == problem["status"] == status
    assert response["content-type"] == "application/problem+json"
    assert problem["detail"]
    if code:
        assert problem["code"] == code


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)]
)
def test_a_compressed_body_is_read(alice: Service, encoding: str, compress):
    content = compress(body(record(), record()))

    response = alice.post("usage", content, headers={"content-encoding": encoding})

    assert summary(response) == (202, 2, 2, 0, 0, 0)


@pytest.mark.parametrize(("spaces", "status"), [(0, 202), (1, 413)])
def test_a_compressed_body_has_the_same_limit_as_a_plain_one(
    alice: Service, spaces: int, status: int
):
    content = body(record()).ljust(2_000_000 + spaces)

    response = alice.post(
        "usage",
        gzip.compress(content),
        headers={"content-encoding": "gzip"},
    )

    assert response.status_code == status


@pytest.mark.parametrize("encoding", ["deflate", "br", "gzip, gzip"])
def test_an_encoding_that_is_not_read_is_refused_and_says_which_are(
    alice: Service, encoding: str
):
    content = gzip.compress(body(record()))

    response = alice.post("usage", content, headers={"content-encoding": encoding})

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_encoding")
    assert response["accept-encoding"] == "gzip, zstd"


def test_a_body_that_is_not_what_it_says_is_refused(alice: Service):
    response = alice.post("usage", body(record()), headers={"content-encoding": "gzip"})

    assert (response.status_code, response.json()["code"]) == (400, "bad_encoding")
    with as_owner():
        assert not UsageRecord.objects.exists()


def test_an_unknown_key_is_401_and_says_how(cast: Cast):
    response = Service("purser_wrong").post("usage", body(record()))

    assert response.status_code == 401
    assert response["www-authenticate"].startswith("Bearer")
    assert response.json()["status"] == 401


def test_a_missing_scope_is_403_and_named(cast: Cast):
    reader = Service(issue(cast.acme, project=cast.answers, scopes=[Scope.USAGE_READ])[1])

    response = reader.post("usage", body(record()))

    assert response.status_code == 403
    assert response.json()["code"] == "missing_scope"
    assert "usage:write" in response.json()["detail"]


def test_another_method_is_405(alice: Service):
    assert alice.get("usage").status_code == 405


def test_waiting_for_the_price_returns_it(alice: Service):
    unknown = record(model="claude-unheard-of")
    response = alice.post(
        "usage", body(record(), unknown), headers={"prefer": "respond-async, wait=5"}
    )

    priced, unpriced = response.json()["results"]
    assert response["preference-applied"] == "wait=5"
    assert (priced["state"], priced["cost"]) == ("priced", COST)
    assert (unpriced["state"], unpriced["cost"]) == ("unpriced", None)
    with as_owner():
        assert not Posting.objects.exists()


def test_waiting_returns_the_price_of_what_was_recorded_before_too(alice: Service):
    one = record()
    alice.post("usage", body(one))

    response = alice.post("usage", body(one), headers={"prefer": "wait=5"})
    (result,) = response.json()["results"]

    assert (result["status"], result["state"]) == ("duplicate", "pending")
    alice.post("usage", body(record()), headers={"prefer": "wait=5"})


def test_a_price_that_cannot_be_had_changes_nothing_of_the_answer(
    alice: Service, cast: Cast
):
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute("REVOKE INSERT ON billing_charge FROM purser_app")
        cursor.execute("SET LOCAL ROLE purser_app")

    response = alice.post("usage", body(record()), headers={"prefer": "wait=5"})

    assert response.status_code == 202
    (result,) = response.json()["results"]
    assert (result["status"], result["state"], result["cost"]) == (
        "accepted",
        "pending",
        None,
    )


def test_a_tier_that_is_not_known_yet_is_kept_unpriced(alice: Service):
    usage = {"input_tokens": 1, "output_tokens": 1, "service_tier": "flex_discount"}

    response = alice.post("usage", body(record(usage=usage)), headers={"prefer": "wait=5"})

    assert response.json()["results"][0]["state"] == "unpriced"


@pytest.mark.parametrize("path", ["reports/spend", "usage/msg_1"])
def test_asking_for_the_head_needs_the_same_scope(cast: Cast, path: str):
    client = Client(
        headers={
            "authorization": "Bearer "
            + issue(cast.acme, project=cast.answers, scopes=[Scope.USAGE_WRITE])[1]
        }
    )

    assert client.head(f"/api/v1/{path}").status_code == 403
    assert client.options(f"/api/v1/{path}").status_code == 405


def test_the_number_of_queries_does_not_grow_with_the_records(
    alice: Service, django_assert_max_num_queries
):
    alice.post("usage", body(record()))
    with django_assert_max_num_queries(11):
        alice.post("usage", body(*(record() for _ in range(100))))
