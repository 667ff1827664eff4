from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from billing.formats import posted, registry
from billing.formats.errors import RecordError
from billing.pricing.usage import Processing, Speed

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def refused(data: bytes) -> RecordError:
    with pytest.raises(RecordError) as caught:
        posted.decode(data)
    return caught.value


def placed(data: bytes) -> tuple[str, str]:
    error = refused(data)
    return error.code, error.pointer


# --- What is taken


def test_smallest_record(record) -> None:
    found = posted.decode(record())

    assert found.id == "msg_01"
    assert found.occurred_at == NOW
    assert (found.provider, found.model) == ("anthropic", "claude-opus-5")
    assert msgspec.json.decode(found.usage) == {"input_tokens": 10, "output_tokens": 20}
    assert (found.usage_format, found.project, found.stop_reason) == (None, None, None)
    assert (found.processing, found.speed, found.geo) == (None, None, None)
    assert (found.content_empty, found.batch_result, found.tags) == (False, None, {})


def test_fullest_record(record) -> None:
    found = posted.decode(
        record(
            project="answers",
            usage_format="anthropic",
            processing="batch",
            speed="fast",
            geo="us",
            stop_reason="end_turn",
            content_empty=True,
            batch_result="succeeded",
            tags={"feature": "search", "empty": ""},
        )
    )

    assert (found.project, found.usage_format) == ("answers", "anthropic")
    assert (found.processing, found.speed, found.geo) == (
        Processing.BATCH,
        Speed.FAST,
        "us",
    )
    assert (found.stop_reason, found.content_empty) == ("end_turn", True)
    assert found.batch_result == "succeeded"
    assert found.tags == {"feature": "search", "empty": ""}


def test_raw_and_bytes_are_the_same(record) -> None:
    assert posted.decode(msgspec.Raw(record())) == posted.decode(record())


def test_of_two_members_with_one_name_the_last_counts(record) -> None:
    twice = record()[:-1] + b',"id":"msg_02"}'

    assert posted.decode(twice).id == "msg_02"


@pytest.mark.parametrize(
    "name", ["=cmd()", "@SUM(A1)", "\tx", "\r", "<script>", "\u202e", "é😀"]
)
def test_odd_text_is_kept_as_it_is(record, name) -> None:
    assert posted.decode(record(id=name, tags={name: name})).id == name
    assert posted.decode(record(tags={name: name})).tags == {name: name}


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2026-11-22T12:00:00+00:00", NOW),
        ("2026-11-22T12:00:00-00:00", NOW),
        ("2026-11-22t14:00:00+02:00", NOW),
        ("2026-11-22T17:45:00+05:45", NOW),
        ("2026-11-22T12:00:00.5Z", NOW + timedelta(milliseconds=500)),
        ("2000-01-01T00:00:00Z", datetime(2000, 1, 1, tzinfo=UTC)),
        ("2199-12-31T23:59:59Z", datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("1999-12-31T23:00:00-01:00", datetime(2000, 1, 1, tzinfo=UTC)),
    ],
)
def test_time_is_kept_in_utc(record, written, utc) -> None:
    found = posted.decode(record(occurred_at=written)).occurred_at

    assert found == utc
    assert found.tzinfo is UTC


# --- What is refused


@pytest.mark.parametrize("member", ["id", "occurred_at", "provider", "model", "usage"])
def test_missing_member(record, member) -> None:
    assert placed(record(**{member: msgspec.UNSET})) == ("missing_field", f"/{member}")


@pytest.mark.parametrize(
    ("member", "pointer"),
    [
        ("cost", "/cost"),
        ("expected_usd", "/expected_usd"),
        ("a/b~c", "/a~1b~0c"),
        ("", "/"),
        ("a` - at `$.id", "/a` - at `$.id"),
    ],
)
def test_unknown_member(record, member, pointer) -> None:
    assert placed(record(**{member: 1})) == ("unknown_field", pointer)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("id", 5),
        ("id", None),
        ("id", ["msg_01"]),
        ("model", True),
        ("occurred_at", 1_700_000_000),
        ("occurred_at", None),
        ("usage", None),
        ("usage", []),
        ("usage", "{}"),
        ("usage", 5),
        ("content_empty", 1),
        ("content_empty", "true"),
        ("tags", []),
        ("tags", None),
        ("project", 7),
        ("speed", 1),
    ],
)
def test_wrong_type(record, member, value) -> None:
    assert placed(record(**{member: value})) == ("wrong_type", f"/{member}")


def test_wrong_type_of_a_tag(record) -> None:
    assert placed(record(tags={"a": 1})) == ("wrong_type", "/tags")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("processing", "Batch"),
        ("speed", "normal"),
        ("batch_result", "failed"),
        ("speed", ""),
    ],
)
def test_value_outside_its_list(record, member, value) -> None:
    assert placed(record(**{member: value})) == ("bad_value", f"/{member}")


@pytest.mark.parametrize(
    ("member", "limit"),
    [
        ("id", 200),
        ("model", 200),
        ("provider", 40),
        ("usage_format", 40),
        ("geo", 32),
        ("stop_reason", 40),
        ("project", 100),
    ],
)
def test_length_of_text(record, member, limit) -> None:
    assert posted.decode(record(**{member: "é" * limit})) is not None
    assert placed(record(**{member: "é" * (limit + 1)})) == ("bad_length", f"/{member}")
    assert placed(record(**{member: ""})) == ("bad_length", f"/{member}")


def test_size_of_tags(record) -> None:
    tags = {f"{n:064}": "v" * 200 for n in range(16)}

    assert posted.decode(record(tags=tags)).tags == tags
    for wrong in ({**tags, "one more": ""}, {"k" * 65: ""}, {"k": "v" * 201}, {"": "v"}):
        assert placed(record(tags=wrong)) == ("bad_length", "/tags")


@pytest.mark.parametrize("written", ["2026-11-22T12:00:00", "2026-11-22T12:00:00.123"])
def test_time_without_zone(record, written) -> None:
    assert placed(record(occurred_at=written)) == ("naive_time", "/occurred_at")


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-22T12:00:60Z",
        "2026-06-30T23:59:60Z",
        "2026-11-22T24:00:00Z",
        "2026-02-29T12:00:00Z",
        "2026-11-22T12:00:00+99:00",
        "9999-12-31T23:59:59-12:00",
        "9999-12-31T23:59:59.9999999Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+12:00",
        "0001-01-01T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "2199-12-31T23:59:59-00:01",
        "2026-11-22",
        "1700000000",
        "now",
        "",
    ],
)
def test_time_that_is_none(record, written) -> None:
    assert placed(record(occurred_at=written)) == ("bad_time", "/occurred_at")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"id": "a\0"}, "/id"),
        ({"model": "\0"}, "/model"),
        ({"tags": {"a": "\0"}}, "/tags/a"),
        ({"tags": {"\0": "a"}}, "/tags/\ufffd"),
        ({"usage": {"new": [{"text": "\0"}]}}, "/usage/new/0/text"),
    ],
)
def test_nul_is_refused_wherever_it_is(record, changes, pointer) -> None:
    assert placed(record(**changes)) == ("bad_text", pointer)


@pytest.mark.parametrize("escape", [rb"\ud800", rb"\uDFFF", rb"\ud800\ud800", rb"\ud800\n"])
def test_half_a_surrogate_pair_is_refused(record, escape) -> None:
    assert placed(record(id="X").replace(b"X", escape)) == ("bad_text", "/id")


def test_hidden_nul_is_refused(record) -> None:
    hidden = record(usage={"a": 1}).replace(b'"a":1', rb'"a":"\u0000","a":1')

    assert placed(hidden) == ("bad_text", "")


def test_escaped_backslash_is_no_escape(record) -> None:
    assert posted.decode(record(id=r"\u0000\ud800")).id == r"\u0000\ud800"
    assert (
        posted.decode(record(id="😀").replace("😀".encode(), rb"\ud83d\ude00")).id == "😀"
    )


def test_text_that_is_not_utf_8(record) -> None:
    assert placed(record(id="X").replace(b"X", b"\xff")) == ("bad_text", "")
    assert placed(record(usage={"a": "X"}).replace(b"X", b"\xff")) == ("bad_text", "")


@pytest.mark.parametrize("data", [b"", b"{", b"nul", b"NaN"])
def test_what_is_not_json(data) -> None:
    assert placed(data) == ("bad_json", "")


def test_what_is_cut_off_or_goes_on(record) -> None:
    assert placed(record()[:-1]) == ("bad_json", "")
    assert placed(record() + b" x") == ("bad_json", "")


@pytest.mark.parametrize("data", [b"[]", b"5", b"null", b'"a"', b"true"])
def test_what_is_no_object(data) -> None:
    assert placed(data) == ("wrong_type", "")


def test_what_is_nested_too_deeply(record) -> None:
    deep = b"[" * 100_000

    assert placed(deep) in [("too_deep", ""), ("wrong_type", "")]
    assert placed(record(usage={"a": "X"}).replace(b'"X"', deep)) == ("too_deep", "")


def test_huge_number_in_any_place(record) -> None:
    huge = b"9" * 5000

    assert placed(record(id="X").replace(b'"X"', huge))[1] == "/id"
    assert placed(huge)[0] in ("wrong_type", "out_of_range")


def test_error_repeats_no_control_characters(record) -> None:
    error = refused(record(speed="\x1b[2J\u202e" + "x" * 500))

    assert error.detail.isprintable()
    assert len(error.detail) < 250


# --- Quotes


def test_quote_needs_no_id_and_may_expect_a_price(record) -> None:
    quote = posted.decode_quote(record(id=msgspec.UNSET, expected_usd="0.1"))

    assert (quote.id, quote.expected_usd) == (None, "0.1")
    assert posted.decode_quote(record()).id == "msg_01"
    assert registry.read(quote) == registry.read(posted.decode(record()))


def test_quote_is_checked_like_a_record(record) -> None:
    with pytest.raises(RecordError, match="unknown_field at /cost"):
        posted.decode_quote(record(cost=1))
    with pytest.raises(RecordError, match="naive_time"):
        posted.decode_quote(record(occurred_at="2026-11-22T12:00:00"))
    with pytest.raises(RecordError, match="wrong_type at /expected_usd"):
        posted.decode_quote(record(expected_usd=1))


# --- The window


DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("age", [timedelta(0), -10 * MINUTE, 35 * DAY])
def test_both_ends_belong_to_the_window(age) -> None:
    assert posted.check_window(NOW - age, NOW, 35 * DAY, 10 * MINUTE) is None


@pytest.mark.parametrize("age", [-10 * MINUTE - timedelta(microseconds=1), 36 * DAY])
def test_outside_of_the_window_is_refused(age) -> None:
    with pytest.raises(RecordError) as caught:
        posted.check_window(NOW - age, NOW, 35 * DAY, 10 * MINUTE)

    assert (caught.value.code, caught.value.pointer) == (
        "time_out_of_window",
        "/occurred_at",
    )
    assert "2026-10-18T12:00:00+00:00" in caught.value.detail
    assert "2026-11-22T12:10:00+00:00" in caught.value.detail


def test_window_without_beginning() -> None:
    assert posted.check_window(NOW - 9999 * DAY, NOW, None, MINUTE) is None
    with pytest.raises(RecordError, match="from any time to 2026-11-22T12:01:00"):
        posted.check_window(NOW + DAY, NOW, None, MINUTE)


# --- The fingerprint


@pytest.fixture
def fingerprint(record):
    def run(**changes) -> bytes:
        found = posted.decode(record(**changes))
        return posted.fingerprint(found, registry.read(found))

    return run


COUNTS = {"input_tokens": 10, "output_tokens": 20, "cache_creation_input_tokens": 5}


@pytest.mark.parametrize(
    "changes",
    [
        {"usage": {"output_tokens": 20, "input_tokens": 10}},
        {"usage": {"input_tokens": 10, "output_tokens": 20, "brand_new": {"x": 1}}},
        {
            "usage": {
                "input_tokens": 10,
                "output_tokens": 20,
                "cache_read_input_tokens": None,
            }
        },
        {"usage": {"input_tokens": 10, "output_tokens": 20, "service_tier": "standard"}},
        {"occurred_at": "2026-11-22T13:00:00+01:00"},
        {"project": "answers"},
        {"usage_format": "anthropic"},
        {"id": "msg_02"},
        {"geo": "global"},
        {"stop_reason": "end_turn"},
    ],
)
def test_same_content_has_the_same_fingerprint(fingerprint, changes) -> None:
    assert fingerprint(**changes) == fingerprint()
    assert len(fingerprint()) == 16


@pytest.mark.parametrize(
    "changes",
    [
        {"usage": {"input_tokens": 11, "output_tokens": 20}},
        {"usage": {"input_tokens": 20, "output_tokens": 10}},
        {"usage": COUNTS},
        {"usage": {**COUNTS, "cache_creation": {"ephemeral_1h_input_tokens": 5}}},
        {"usage": {"input_tokens": 10, "output_tokens": 20, "service_tier": "batch"}},
        {
            "usage": {
                "input_tokens": 10,
                "output_tokens": 20,
                "output_tokens_details": {"thinking_tokens": 3},
            }
        },
        {
            "usage": {
                "input_tokens": 10,
                "output_tokens": 20,
                "iterations": [
                    {"type": "message", "input_tokens": 5, "output_tokens": 10},
                    {"type": "message", "input_tokens": 5, "output_tokens": 10},
                ],
            }
        },
        {"model": "claude-opus-5-5"},
        {"occurred_at": "2026-11-22T12:00:00.000001Z"},
        {"processing": "batch"},
        {"speed": "fast"},
        {"geo": "us"},
        {"tags": {"a": "b"}},
        {"stop_reason": "refusal", "content_empty": True},
        {"batch_result": "expired"},
    ],
)
def test_other_content_has_another_fingerprint(fingerprint, changes) -> None:
    assert fingerprint(**changes) != fingerprint()


def test_order_of_tags_does_not_matter(fingerprint) -> None:
    assert fingerprint(tags={"a": "1", "b": "2"}) == fingerprint(tags={"b": "2", "a": "1"})
    assert fingerprint(tags={"a": "1", "b": "2"}) != fingerprint(tags={"a": "2", "b": "1"})


def test_fingerprint_is_the_same_tomorrow(fingerprint) -> None:
    # It is stored: changing its form makes conflicts of every record sent again.
    assert fingerprint().hex() == "13b30dd8dec284cfadcfe657f17506ea"
