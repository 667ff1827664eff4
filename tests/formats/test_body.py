import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing.formats import body, posted
from billing.formats.errors import BodyError, RecordError

JSON = "application/json"
LINES = "application/x-ndjson"
ONE = b'{"id": "a", "usage": {}}'
TWO = b'{"id": "b", "usage": {}}'


def pieces(content: bytes, content_type: str = JSON, **limits: int) -> list[object]:
    return [json.loads(bytes(raw)) for raw in body.split(content, content_type, **limits)]


def refused(content: bytes, content_type: str = JSON, **limits: int) -> BodyError:
    with pytest.raises(BodyError) as caught:
        body.split(content, content_type, **limits)
    return caught.value


# --- What is taken


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"[" + ONE + b"," + TWO + b"]", JSON),
        (b" \r\n\t[ " + ONE + b" , " + TWO + b"] \n", JSON),
        (b'{"records": [' + ONE + b"," + TWO + b"]}", JSON),
        (ONE + b"\n" + TWO, LINES),
        (ONE + b"\r\n\r\n  \n" + TWO + b"\r\n", "application/ndjson"),
        (ONE + b"\n" + TWO + b"\n", JSON),
        (b"\n" + ONE + b"\n\n" + TWO, JSON),
    ],
)
def test_records_are_cut_out_in_their_order(content, content_type) -> None:
    assert pieces(content, content_type) == [json.loads(ONE), json.loads(TWO)]


@pytest.mark.parametrize("content_type", [JSON, LINES])
def test_single_record_is_a_body(content_type) -> None:
    assert pieces(ONE, content_type) == [json.loads(ONE)]
    assert pieces(b"\n " + ONE + b"\n", content_type) == [json.loads(ONE)]


def test_pretty_printed_document_is_no_lines() -> None:
    content = json.dumps([json.loads(ONE), json.loads(TWO)], indent=2).encode()

    assert pieces(content) == [json.loads(ONE), json.loads(TWO)]


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=bz2_codec",
        " application/json ",
        "application/x-ndjson; charset=utf-16",
    ],
)
def test_content_type_is_read_without_parameters(content_type) -> None:
    assert pieces(ONE, content_type) == [json.loads(ONE)]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "json",
        "\x00",
    ],
)
def test_other_content_type_is_415(content_type) -> None:
    error = refused(ONE, content_type)

    assert (error.status, error.code) == (415, "unsupported_media_type")


def test_text_beyond_ascii_arrives_unchanged() -> None:
    content = '{"id": "é😀\\ud83d\\ude00", "usage": {}}'.encode()

    assert pieces(content) == [{"id": "é😀😀", "usage": {}}]


def test_of_two_members_with_one_name_the_last_counts() -> None:
    assert pieces(b'{"records": [1, 2], "records": [' + ONE + b"]}") == [json.loads(ONE)]


# --- What leaves no records


@pytest.mark.parametrize("content_type", [JSON, LINES])
@pytest.mark.parametrize("content", [b"", b" \n\t\r\n"])
def test_empty_body_is_400(content, content_type) -> None:
    error = refused(content, content_type)

    assert (error.status, error.code) == (400, "empty_body")


@pytest.mark.parametrize("content", [b"[]", b"[ ]", b'{"records": []}'])
def test_body_without_records_is_400(content) -> None:
    error = refused(content)

    assert (error.status, error.code) == (400, "empty_body")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"id": "a"',
        b'{"id": "a"} x',
        b'{"id": "a"}, {"id": "b"}',
        b"{'id': 'a'}",
        b'{"id": NaN}',
        b'{"id": Infinity}',
        b'{"id": 01}',
        b'{"id": "\x00"}',
        b'{"id": "a\nb"}',
        b"\x00",
        b"\xef\xbb\xbf" + ONE,
        b'[{"id": "a"},]',
        b'{"id": "a", }',
        b'{"id": "a"}\n{"id": ',
    ],
)
@pytest.mark.parametrize("content_type", [JSON, LINES])
def test_what_is_not_json_is_400(content, content_type) -> None:
    error = refused(content, content_type)

    assert (error.status, error.code) == (400, "bad_json")
    assert error.detail


def test_error_in_lines_names_the_line() -> None:
    assert refused(ONE + b"\n\n{oops}\n", LINES).detail.startswith("Line 3: ")


def test_error_in_a_document_is_not_blamed_on_lines() -> None:
    assert "Line" not in refused(b'{"id": "a",\n "usage": oops}\n').detail


@pytest.mark.parametrize(
    "content",
    [
        b'{"id": "\xff"}',
        b'{"\xff": 1}',
        b'{"id": "\xed\xa0\x80"}',
        ONE.decode().encode("utf-16"),
        '{"id": "é"}'.encode("latin-1"),
    ],
)
@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=latin-1", LINES])
def test_what_is_not_utf_8_is_400(content, content_type) -> None:
    error = refused(content, content_type)

    assert (error.status, error.code) == (400, "bad_text")


def test_utf_16_without_mark_is_400() -> None:
    assert refused(ONE.decode().encode("utf-16-le")).status == 400


@pytest.mark.parametrize("content", [b"5", b'"a"', b"null", b"true", b"9" * 5000, b"1e999"])
def test_scalar_is_no_body(content) -> None:
    error = refused(content)

    assert (error.status, error.code) == (400, "bad_json")


def test_scalar_among_records_spoils_only_itself() -> None:
    huge = b"9" * 5000
    number, record = body.split(b"[" + huge + b"," + ONE + b"]", JSON)

    assert bytes(record) == ONE
    with pytest.raises(RecordError):
        posted.decode(number)


@pytest.mark.parametrize(
    "content",
    [
        b'{"records": 5}',
        b'{"records": {}}',
        b'{"records": null}',
        b'{"records": [' + ONE + b'], "more": 1}',
        b'{"more": 1, "records": [' + ONE + b"]}",
    ],
)
def test_envelope_has_exactly_one_member(content) -> None:
    error = refused(content)

    assert (error.status, error.code) == (400, "bad_envelope")


# --- Limits


@pytest.mark.parametrize(
    ("wrap", "content_type"),
    [
        (lambda records: b"[" + b",".join(records) + b"]", JSON),
        (lambda records: b'{"records":[' + b",".join(records) + b"]}", JSON),
        (lambda records: b"\n".join(records), LINES),
        (lambda records: b"\n".join(records), JSON),
    ],
)
def test_more_records_than_allowed_is_413(wrap, content_type) -> None:
    assert len(body.split(wrap([ONE] * 1000), content_type)) == 1000
    error = refused(wrap([ONE] * 1001), content_type)

    assert (error.status, error.code) == (413, "too_many_records")
    assert "1000" in error.detail
    assert refused(wrap([ONE] * 3), content_type, max_records=2).status == 413


@pytest.mark.parametrize("content", [b"[" + b"0," * 400_000 + b"0]", b"0\n" * 400_000])
def test_millions_of_tiny_values_are_413_before_they_become_objects(content) -> None:
    error = refused(content, LINES if b"\n" in content else JSON)

    assert (error.status, error.code) == (413, "too_many_members")


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("form", "around"),
    [
        (lambda inner: b'{"usage":{"new":' + inner + b"}}", 2),
        (lambda inner: b'[{"usage":{"new":' + inner + b"}}]", 3),
        (lambda inner: b'{"records":[{"usage":{"new":' + inner + b"}}]}", 4),
    ],
)
def test_deeper_than_sixteen_levels_is_400(form, around) -> None:
    assert len(body.split(form(nested(16 - around)), JSON)) == 1
    error = refused(form(nested(17 - around)))

    assert (error.status, error.code) == (400, "too_deep")


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":', b'{"records":['])
@pytest.mark.parametrize("content_type", [JSON, LINES])
def test_hundred_thousand_levels_are_400(opening, content_type) -> None:
    assert refused(opening * 100_000, content_type).status == 400


def test_brackets_in_text_are_not_levels() -> None:
    text = json.dumps({"id": "[" * 40 + '\\"{' * 40, "list": [[], {}] * 20})

    assert pieces(text.encode()) == [json.loads(text)]


def test_only_the_deep_record_is_looked_for_in_a_long_body() -> None:
    wide = b'{"id":"a","list":[' + b"[],{}," * 30 + b"[]]}"

    assert len(body.split(b"[" + wide + b"," + ONE + b"]", JSON)) == 2
    deep = b'{"new":' + nested(16) + b"}"
    assert refused(b"[" + wide + b"," + deep + b"]").code == "too_deep"


def test_half_a_surrogate_pair_spoils_its_own_record_only() -> None:
    content = rb'[{"id": "\ud800"}, {"id": "\ud83d\ude00"}, {"id": "\\ud800"}]'

    halves, pair, backslash = body.split(content, JSON)

    with pytest.raises(RecordError, match="bad_text"):
        posted.decode(halves)
    assert msgspec.json.decode(pair) == {"id": "😀"}
    assert msgspec.json.decode(backslash) == {"id": "\\ud800"}


# --- Anything


BITS = st.sampled_from([*b'{}[],:"\\\n 0-\x00\xff']).map(
    lambda byte: bytes([byte])
) | st.sampled_from(
    [b'"records"', b'"id"', b'"a"', b"null", rb"\ud800", rb"\u0000", b"9" * 40, b"1e999"]
)
BODIES = st.binary(max_size=60) | st.lists(BITS, max_size=30).map(b"".join)


def attempt(call):
    """What a call returns, or the one kind of error it may raise."""
    try:
        return call()
    except (BodyError, RecordError) as error:
        return error


@given(BODIES, st.sampled_from([JSON, LINES, "", "text/html", "\xff;"]))
@example(b'{"records":' + b"9" * 5000 + b"}", JSON)
@example(b'[{"id":' + b"9" * 5000 + b"}]", JSON)
@example(rb'"\ud800', JSON)
def test_any_body_is_cut_or_refused(content, content_type) -> None:
    found = attempt(lambda: body.split(content, content_type, max_records=5))

    if isinstance(found, BodyError):
        assert found.status in (400, 413, 415)
        assert found.code.isidentifier()
        assert found.detail.isprintable()
    else:
        assert 1 <= len(found) <= 5
        assert all(isinstance(raw, msgspec.Raw) for raw in found)


@given(BODIES)
@example(b'{"id":' + b"9" * 5000 + b"}")
@example(rb'{"id":"\ud800"}')
def test_any_record_is_decoded_or_refused(content) -> None:
    found = attempt(lambda: posted.decode(content))

    if isinstance(found, RecordError):
        assert found.code.isidentifier()
        assert found.pointer == "" or found.pointer.startswith("/")
        assert (found.pointer + found.detail).isprintable()
    else:
        assert isinstance(found, posted.PostedRecord)
