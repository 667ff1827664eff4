"""Inputs 21 to 43 of the fault catalogue, posted to a running service.

The numbers in the ids of the tests are those of the catalogue. Where the answer is for
one record, it stands between two good ones, which have to be accepted all the same.
"""

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from tests.builders import body, record
from tests.door.installation import Door

COUNT = "/usage/input_tokens"
SECONDS = "/usage/active_seconds"
MINUTE = timedelta(minutes=1)


def written(literal: str = "", **changes: Any) -> str:
    """A record as JSON, with this literal in the place of the text "@"."""
    return json.dumps(record(**changes)).replace('"@"', literal)


def counted(literal: str) -> str:
    return written(literal, usage={"input_tokens": "@", "output_tokens": 10})


def running(literal: str) -> str:
    usage = {"input_tokens": 1, "output_tokens": 1, "active_seconds": "@"}
    return written(literal, usage=usage, product="managed_agents_api")


def at(moment: str) -> str:
    return written(occurred_at=moment)


# --- One record is refused, and its neighbours are taken -------------------------------


class Bad(NamedTuple):
    entry: int
    name: str
    text: str
    code: str
    pointer: str


REFUSED = [
    # As a bare word no JSON has them; see the bodies below.
    *(
        Bad(21, f"count {literal}", counted(literal), code, COUNT)
        for literal, code in {
            "1e999": "out_of_range",
            "-1e999": "out_of_range",
            '"NaN"': "wrong_type",
            '"Infinity"': "wrong_type",
            '"1E+1000000"': "wrong_type",
        }.items()
    ),
    *(
        Bad(21, f"seconds {literal}", running(literal), code, SECONDS)
        for literal, code in {
            "1e999": "out_of_range",
            "1e1000000": "out_of_range",
            '"NaN"': "wrong_type",
            '"Infinity"': "wrong_type",
        }.items()
    ),
    *(
        Bad(22, name, counted(literal), "out_of_range", COUNT)
        for name, literal in {
            "10^400": f"1{'0' * 400}",
            "900 digits": "9" * 900,
            "-10^400": f"-1{'0' * 400}",
            "10^12 + 1": str(10**12 + 1),
            "2^63": str(2**63),
            "2^64": str(2**64),
        }.items()
    ),
    *(
        Bad(23, literal, counted(literal), "wrong_type", COUNT)
        for literal in ("true", "1.0", "1e2", '" 7 "', '"7"', '"٣"', '"１２"', "[7]")
    ),
    Bad(24, "negative", counted("-1"), "out_of_range", COUNT),
    Bad(24, "no whole number -0.0", counted("-0.0"), "wrong_type", COUNT),
    Bad(24, "too small", counted("1e-400"), "wrong_type", COUNT),
    Bad(24, "negative seconds", running("-1"), "out_of_range", SECONDS),
    Bad(24, "too small seconds", running("1e-400"), "out_of_range", SECONDS),
    # Seconds that are not plain are refused; nothing is normalised behind one's back.
    Bad(24, "seconds -0", running("-0"), "out_of_range", SECONDS),
    *(
        Bad(entry, f"{name} in {pointer}", text, "bad_text", pointer)
        for entry, name, escape in (
            (25, "NUL", r"\u0000"),
            (26, "high surrogate", r"\ud800"),
            (26, "low surrogate", r"\uDFFF"),
            (26, "swapped pair", r"\udc00\ud800"),
        )
        for pointer, text in {
            "/id": written(f'"a{escape}"', id="@"),
            "/model": written(f'"{escape}a"', model="@"),
            "/tags/a": written(f'"{escape}"', tags={"a": "@"}),
            "/usage/note": written(
                f'"{escape}"', usage={"input_tokens": 1, "output_tokens": 1, "note": "@"}
            ),
        }.items()
    ),
    Bad(29, "5,000 digits", counted("9" * 5000), "out_of_range", COUNT),
    Bad(29, "5,000 digits of seconds", running("9" * 5000), "out_of_range", SECONDS),
    Bad(29, "5,000 digits of an id", written("9" * 5000, id="@"), "out_of_range", "/id"),
    Bad(36, "no id", written(id=None), "missing_field", "/id"),
    Bad(36, "null id", written("null", id="@"), "wrong_type", "/id"),
    Bad(36, "empty id", written(id=""), "bad_length", "/id"),
    Bad(37, "naive", at("2026-11-20T09:30:00"), "naive_time", "/occurred_at"),
    *(
        Bad(37, moment, at(moment), "bad_time", "/occurred_at")
        for moment in (
            "2026-11-20T09:30:00+99:00",
            "9999-12-31T23:59:59-12:00",
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "0000-01-01T00:00:00Z",
            "2026-02-30T09:30:00Z",
            "2026-11-20",
            "20 Nov 2026 09:30",
            "",
        )
    ),
    Bad(
        37, "a number", written("1795253400", occurred_at="@"), "wrong_type", "/occurred_at"
    ),
    Bad(39, "leap second", at("2026-06-30T23:59:60Z"), "bad_time", "/occurred_at"),
    Bad(39, "leap second of 2016", at("2016-12-31T23:59:60Z"), "bad_time", "/occurred_at"),
    Bad(39, "hour 24", at("2026-11-20T24:00:00Z"), "bad_time", "/occurred_at"),
    # Whether a project exists elsewhere is not told.
    Bad(40, "unknown project", written(project="nowhere"), "unknown_project", "/project"),
    Bad(40, "project of a team", written(project="triage"), "unknown_project", "/project"),
    Bad(40, "project of others", written(project="secret"), "unknown_project", "/project"),
    Bad(40, "a team is no member", written(team="search"), "unknown_field", "/team"),
    # Tags are kept with their record and summed nowhere yet: there is no cardinality to
    # bound but that of one record.
    Bad(
        41,
        "17 tags",
        written(tags=dict.fromkeys("abcdefghijklmnopq", "")),
        "bad_length",
        "/tags",
    ),
    Bad(41, "long name", written(tags={"x" * 65: ""}), "bad_length", "/tags"),
    Bad(41, "empty name", written(tags={"": ""}), "bad_length", "/tags"),
    Bad(41, "long text", written(tags={"a": "x" * 201}), "bad_length", "/tags"),
    Bad(41, "no text", written(tags={"a": 1}), "wrong_type", "/tags"),
    Bad(
        41,
        "100,000 tags",
        written(tags={f"{n:06}": "" for n in range(100_000)}),
        "bad_length",
        "/tags",
    ),
    Bad(42, "NUL-led name", written(r'"\u0000=1"', tags={"a": "@"}), "bad_text", "/tags/a"),
    *(
        Bad(45, name, written(**{name: value}), "unknown_field", f"/{name}")
        for name, value in {"team_id": 1, "is_staff": True, "cost": "0", "uid": "x"}.items()
    ),
]


@pytest.mark.parametrize("bad", REFUSED, ids=lambda bad: f"{bad.entry}: {bad.name}")
def test_a_bad_record_is_refused_and_its_neighbours_are_taken(door: Door, bad: Bad):
    one, other = record(), record()

    answer = door.send(f"[{json.dumps(one)},{bad.text},{json.dumps(other)}]".encode())

    assert (answer.status, answer.body["accepted"], answer.body["rejected"]) == (207, 2, 1)
    result = answer.result(1)
    assert (result["status"], result["code"], result["pointer"]) == (
        "rejected",
        bad.code,
        bad.pointer,
    )
    assert result["detail"].isprintable()
    assert [stored.id for stored in door.taken()] == [one["id"], other["id"]]


def test_a_name_of_another_team_and_an_unknown_one_are_told_alike(door: Door):
    """40: who asks learns nothing of what is not theirs."""
    details = {
        project: door.send(body(record(project=project))).result(0)["detail"]
        for project in ("nowhere", "triage", "secret")
    }

    told = {detail.replace(project, "…") for project, detail in details.items()}
    assert len(told) == 1
    assert door.taken() == []


# --- The body is refused, and nothing of it is taken -----------------------------------


class Spoilt(NamedTuple):
    entry: int
    name: str
    content: bytes
    status: int
    code: str
    headers: dict[str, str] = {}


def between_good_ones(literal: str) -> bytes:
    return f"[{written()},{counted(literal)},{written()}]".encode()


GOOD = body(record(), record())
SPOILT = [
    # No JSON: where it ends, and what comes after it, nobody can tell for sure.
    *(
        Spoilt(21, literal, between_good_ones(literal), 400, "bad_json")
        for literal in ("NaN", "Infinity", "-Infinity", "nan", "1e", "01", "+1", ".5")
    ),
    Spoilt(25, "NUL between", GOOD.replace(b", ", b",\0", 1), 400, "bad_json"),
    Spoilt(25, "NUL in text", GOOD.replace(b"anthropic", b"anthro\0ic"), 400, "bad_json"),
    Spoilt(
        27, "invalid UTF-8", GOOD.replace(b"anthropic", b"anthro\xffic"), 400, "bad_text"
    ),
    Spoilt(
        27,
        "surrogate in UTF-8",
        GOOD.replace(b"anthropic", b"a\xed\xa0\x80b"),
        400,
        "bad_text",
    ),
    Spoilt(27, "overlong", GOOD.replace(b"anthropic", b"a\xc0\xafb"), 400, "bad_text"),
    Spoilt(27, "BOM", b"\xef\xbb\xbf" + GOOD, 400, "bad_json"),
    Spoilt(27, "UTF-16", GOOD.decode().encode("utf-16"), 400, "bad_text"),
    Spoilt(27, "UTF-16 without BOM", GOOD.decode().encode("utf-16-le"), 400, "bad_json"),
    *(
        Spoilt(28, name, content, 400, "too_deep")
        for name, content in {
            "100,000 [": b"[" * 100_000,
            "100,000 {": b'{"a":' * 100_000,
            "closed": b"[" * 100_000 + b"]" * 100_000,
            "in a record": written(
                f"{'[' * 99_999}{']' * 99_999}", tags={"a": "@"}
            ).encode(),
            "in an unread member": counted(f'1,"x":{"[" * 50}{"]" * 50}').encode(),
        }.items()
    ),
    Spoilt(
        31,
        "unknown encoding",
        GOOD,
        415,
        "unsupported_encoding",
        {"Content_Encoding": "br"},
    ),
    Spoilt(32, "5 MB over the limit", b" " * 7_000_000 + GOOD, 413, "body_too_large"),
    Spoilt(
        32, "one byte over", GOOD + b" " * (2_000_001 - len(GOOD)), 413, "body_too_large"
    ),
    Spoilt(34, "no bytes", b"", 400, "empty_body"),
    Spoilt(34, "white space", b" \r\n\t", 400, "empty_body"),
    Spoilt(34, "no records", b"[]", 400, "empty_body"),
    Spoilt(34, "no records within", b'{"records": []}', 400, "empty_body"),
    Spoilt(
        34, "1,001 records", body(*(record() for _ in range(1001))), 413, "too_many_records"
    ),
    Spoilt(34, "a million commas", b"[1" + b",1" * 999_000 + b"]", 413, "too_many_members"),
    Spoilt(34, "records and more", b'{"records": [{}], "more": 1}', 400, "bad_envelope"),
    Spoilt(34, "a number", b"7", 400, "bad_json"),
    Spoilt(
        41,
        "10 MB of tags",
        b'[{"tags": {"a": "' + b"x" * 10_000_000 + b'"}}]',
        413,
        "body_too_large",
    ),
    Spoilt(
        41,
        "10^6 tags",
        b'[{"tags": {' + b'"a": "", ' * 10**6 + b'"b": ""}}]',
        413,
        "body_too_large",
    ),
]


@pytest.mark.parametrize("spoilt", SPOILT, ids=lambda one: f"{one.entry}: {one.name}")
def test_a_body_that_cannot_be_cut_is_refused_whole(door: Door, spoilt: Spoilt):
    answer = door.send(spoilt.content, **spoilt.headers)

    assert answer.problem == (spoilt.status, spoilt.code)
    assert answer.content_type == "application/problem+json"
    assert answer.body["detail"].isprintable()
    assert door.taken() == []


def test_a_body_of_exactly_the_limit_is_read(door: Door):
    """32: at the limit, and one byte over it above."""
    one = body(record())

    assert door.send(one + b" " * (2_000_000 - len(one))).status == 202
    assert len(door.taken()) == 1


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "zstd", "gzip, gzip"])
@pytest.mark.parametrize("content", [GOOD, gzip.compress(b" " * 100_000_000)])
def test_what_is_not_as_its_encoding_says_or_too_long_is_refused(
    door: Door, encoding: str, content: bytes
):
    """31: a bomb of 100 MB in 100 kB. What is not read at all is 415."""
    answer = door.send(content, Content_Encoding=encoding)

    assert answer.status in (400, 413, 415)
    assert answer.content_type == "application/problem+json"
    assert door.taken() == []


@pytest.mark.parametrize(
    "parameters",
    [
        "charset=bz2_codec",
        "charset=utf-16",
        "charset=rot13",
        "charset=undefined",
        "charset=unicode_escape",
        'charset="',
        "charset*=nothing''x",
        "x*=nothing''x",
        f"x={'y' * 20_000}",
    ],
    ids=lambda parameters: parameters[:24],
)
@pytest.mark.parametrize("path", ["usage?verbose=1", "prices/quote", "budgets"])
def test_what_the_client_says_of_its_charset_means_nothing(
    door: Door, path: str, parameters: str
):
    """27: the body is UTF-8, and so is the address. Django would look the codec up."""
    content = b'{"amount": "7"}' if path == "budgets" else GOOD

    answer = door.send(content, path, Content_Type=f"application/json; {parameters}")

    assert answer.status == {"usage?verbose=1": 202, "prices/quote": 200}.get(path, 201)
    assert len(door.taken()) == (2 if "usage" in path else 0)


# --- It is taken, as it is --------------------------------------------------------------


def test_a_negative_zero_is_zero(door: Door):
    """24"""
    assert door.send(f"[{counted('-0')}]".encode()).status == 202
    assert [stored.input for stored in door.taken()] == [0]


@pytest.mark.parametrize(("literal", "count"), [("1000000000000", 10**12), ("null", 0)])
def test_the_largest_count_and_none_are_taken(door: Door, literal: str, count: int):
    """22"""
    assert door.send(f"[{counted(literal)}]".encode()).status == 202
    assert [stored.input for stored in door.taken()] == [count]


def test_of_two_members_with_one_name_the_last_counts(door: Door):
    """30: as in every other reader of JSON that a proxy in between may use."""
    rest = json.dumps(record(id=None))[1:]
    twice = '{"input_tokens": 1, "input_tokens": 7, "output_tokens": 1}'
    text = f'{{"id": "first", "id": "last", "usage": {{}}, {rest[:-1]}, "usage": {twice}}}'

    answer = door.send(text.encode())

    assert json.loads(text)["id"] == answer.result(0)["id"] == "last"
    assert [(one.id, one.input) for one in door.taken()] == [("last", 7)]


def test_of_two_envelopes_the_last_counts(door: Door):
    """30"""
    one, other = record(), record()
    text = f'{{"records": [{json.dumps(one)}], "records": [{json.dumps(other)}]}}'

    assert door.send(text.encode()).status == 202
    assert [stored.id for stored in door.taken()] == [other["id"]]


@pytest.mark.parametrize(
    "name",
    [
        "=cmd|' /C calc'!A0",
        "@SUM(1+1)",
        "+1",
        "-1",
        "\t=1",
        "\r=1",
        "<script>alert(1)</script>",
        "\u202egnp.exe\u202c",
        "<!channel>",
        "a\r\nBcc: x@example.com",
        "'; DROP TABLE billing_usage_record; --",
        "%s %(x)s {} {0} $1",
        "\ufeff\u200b",
        "é",
        "e\u0301",
        "😀" * 50,
        " ",
    ],
)
def test_a_name_is_kept_as_it_is(door: Door, name: str):
    """42, 43: it is said harmlessly where it is said; `test_hostile_names` has the pages.

    There is no export to CSV or XLSX yet, where formulas would have to be escaped.
    """
    one = record(id=name, model=name, tags={name[:64]: name})

    answer = door.send(body(one))

    assert answer.status == 202
    assert answer.content_type == "application/json"
    assert answer.result(0)["id"] == name
    (stored,) = door.taken()
    assert (stored.id, stored.model, stored.tags) == (name, name, {name[:64]: name})


def test_names_that_look_alike_are_two(door: Door):
    """42: text is compared as it was sent; é in one sign is not é in two."""
    assert door.send(body(record(id="é"), record(id="e\u0301"))).body["accepted"] == 2
    assert {stored.id for stored in door.taken()} == {"é", "e\u0301"}


# --- Batches -----------------------------------------------------------------------------


def test_one_bad_of_a_thousand_leaves_999(door: Door):
    """34"""
    batch = [record() for _ in range(1000)]
    batch[499]["usage"] = {"input_tokens": -1, "output_tokens": 1}

    answer = door.send(body(*batch), "usage")

    assert (answer.status, answer.body["accepted"], answer.body["rejected"]) == (
        207,
        999,
        1,
    )
    (result,) = answer.body["results"]
    assert (result["index"], result["pointer"]) == (499, COUNT)
    taken = {stored.id for stored in door.taken()}
    assert taken == {one["id"] for one in batch} - {batch[499]["id"]}


def test_one_id_twice_in_a_batch_is_one_record(door: Door):
    """35"""
    one = record()
    other = one | {"usage": {"input_tokens": 7, "output_tokens": 7}}

    answer = door.send(body(one, one, other, record()))

    statuses = [result["status"] for result in answer.body["results"]]
    assert answer.status == 207
    assert statuses == ["accepted", "duplicate", "conflict", "accepted"]
    assert [stored.input for stored in door.taken()] == [1000, 1000]


def test_an_unknown_model_is_kept_without_a_price(door: Door):
    """40: its tokens are there, and are priced when a rate comes."""
    one = record(model="claude-unheard-of")

    answer = door.send(body(one), Prefer="wait=5")

    assert (answer.status, answer.result(0)["state"]) == (202, "unpriced")
    rows = door.query(
        "SELECT model_name, input FROM billing_usage_record JOIN billing_unpriced_record"
        " USING (team_id, month, record_id, model_name) WHERE record_id = %s",
        one["id"],
    )
    assert rows == [("claude-unheard-of", 1000)]


# --- When ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("away", "taken"),
    [
        (9 * MINUTE, True),
        (11 * MINUTE, False),  # the design allows ten minutes
        (-timedelta(days=35) + MINUTE, True),
        (-timedelta(days=35) - MINUTE, False),
        (-timedelta(days=36), False),
    ],
    ids=["9 min ahead", "11 min ahead", "almost 35 d ago", "over 35 d ago", "36 d ago"],
)
def test_the_window_is_said_and_nothing_is_moved_into_it(
    door: Door, away: timedelta, taken: bool
):
    """38"""
    moment = datetime.now(UTC).replace(microsecond=123456) + away  # noqa: TID251
    one = record(occurred_at=moment.isoformat())

    answer = door.send(body(record(), one), key="no_import")

    stored = {one.id: one.occurred_at for one in door.taken()}
    if taken:
        assert answer.status == 202
        assert stored[one["id"]] == moment
    else:
        result = answer.result(1)
        assert (result["code"], result["pointer"]) == ("time_out_of_window", "/occurred_at")
        assert " window from " in result["detail"]
        assert len(stored) == 1


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        ("2026-10-31T23:59:59.999999Z", date(2026, 10, 1)),
        ("2026-11-01T00:00:00Z", date(2026, 11, 1)),
        ("2026-11-01T00:59:59.999999+01:00", date(2026, 10, 1)),
        ("2026-11-01T01:00:00+01:00", date(2026, 11, 1)),
        ("2024-02-29T23:59:59.999999Z", date(2024, 2, 1)),
    ],
)
def test_a_month_owns_its_first_instant(door: Door, moment: str, month: date):
    """39: the month that a record is kept under is that of UTC."""
    assert door.send(body(record(occurred_at=moment))).status == 202

    (kept,) = door.query("SELECT month, occurred_at FROM billing_usage_record")
    assert kept == (month, datetime.fromisoformat(moment))


def test_a_day_owns_its_first_instant_also_when_clocks_change(door: Door):
    """39: in Berlin 25 October 2026 has 25 hours, one of them twice."""
    moments = {
        "2026-10-24T21:59:59.999999Z": "2026-10-24",
        "2026-10-24T22:00:00Z": "2026-10-25",
        "2026-10-25T00:30:00Z": "2026-10-25",  # 02:30 in summer time
        "2026-10-25T01:30:00Z": "2026-10-25",  # 02:30 again
        "2026-10-25T22:59:59.999999Z": "2026-10-25",
        "2026-10-25T23:00:00Z": "2026-10-26",
    }
    batch = [record(occurred_at=moment) for moment in moments]

    answer = door.send(body(*batch), Prefer="wait=5")

    assert {result["state"] for result in answer.body["results"]} == {"priced"}
    query = "reports/spend?group_by=day&from=2026-10-20&to=2026-10-30"
    rows = door.client(door.keys["project"]).get(query).body["rows"]
    assert {row["day"]: row["requests"] for row in rows} == {
        day: list(moments.values()).count(day) for day in moments.values()
    }
