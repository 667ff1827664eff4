import msgspec
import pytest

from billing.formats import anthropic, posted, registry
from billing.formats.errors import RecordError
from billing.pricing.token_classes import NOTHING, Quantities
from billing.pricing.usage import Processing, Speed, Step

COUNTS = [
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
]


# --- Classes


def test_classes_are_exclusive(read) -> None:
    usage = read(
        {
            "input_tokens": 1,
            "cache_creation_input_tokens": 50,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 20,
                "ephemeral_1h_input_tokens": 30,
            },
            "cache_read_input_tokens": 400,
            "output_tokens": 5_000,
            "server_tool_use": {"web_search_requests": 6, "web_fetch_requests": 7},
        }
    )

    assert usage.steps == (Step("claude-opus-5", Quantities(1, 20, 30, 400, 5_000, 6)),)
    assert usage.reproducible
    assert (usage.unbilled, usage.flags) == ("", ())


def test_record_keeps_who_and_when(read) -> None:
    usage = read(model="claude-opus-5-20260801")

    assert (usage.provider, usage.model) == ("anthropic", "claude-opus-5-20260801")
    assert usage.occurred_at.isoformat() == "2026-11-22T12:00:00+00:00"
    assert usage.steps[0].model == "claude-opus-5-20260801"


def test_null_is_zero(read) -> None:
    nothing = dict.fromkeys([*COUNTS, "cache_creation", "server_tool_use", "service_tier"])
    more = dict.fromkeys(["speed", "inference_geo", "output_tokens_details", "iterations"])

    assert read({**nothing, **more}).quantities == NOTHING
    inner = {"ephemeral_5m_input_tokens": None, "ephemeral_1h_input_tokens": None}
    assert read({"cache_creation": inner}).quantities == Quantities(10, output=20)
    assert (
        read({"server_tool_use": {"web_search_requests": None}}).quantities.web_search == 0
    )
    assert read({"output_tokens_details": {"thinking_tokens": None}}).thinking == 0
    assert read({"iterations": []}).quantities == Quantities(10, output=20)


def test_unknown_members_are_ignored(read) -> None:
    unknown = {"brand_new_tokens": 5, "fallback_credit": {"status": "redeemed"}, "x": [1.5]}

    assert read(unknown) == read()


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(
    "number", [b"true", b"1.0", b"1e3", b'"7"', b'" 7 "', '"٣"'.encode(), b"[]", b"1e-400"]
)
def test_count_is_strictly_a_whole_number(record, name, number) -> None:
    posted_usage = {"input_tokens": 1, "output_tokens": 1, name: "X"}
    data = record(usage=posted_usage).replace(b'"X"', number)

    with pytest.raises(RecordError) as caught:
        registry.read(posted.decode(data))

    assert (caught.value.code, caught.value.pointer) == ("wrong_type", f"/usage/{name}")


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(
    "number", [b"-1", b"1000000000001", b"9" * 400, b"9" * 5000, b"1e999", b"-" + b"9" * 30]
)
def test_count_has_a_range(record, name, number) -> None:
    posted_usage = {"input_tokens": 1, "output_tokens": 1, name: "X"}
    data = record(usage=posted_usage).replace(b'"X"', number)

    with pytest.raises(RecordError) as caught:
        registry.read(posted.decode(data))

    assert (caught.value.code, caught.value.pointer) == ("out_of_range", f"/usage/{name}")


@pytest.mark.parametrize(("number", "count"), [(b"-0", 0), (b"1000000000000", 10**12)])
def test_ends_of_the_range(record, number, count) -> None:
    data = record(usage={"input_tokens": "X", "output_tokens": 0}).replace(b'"X"', number)

    assert registry.read(posted.decode(data)).quantities.input == count


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_json_has_no_word_for_is_malformed(record, number) -> None:
    data = record(usage={"input_tokens": "X", "output_tokens": 0}).replace(b'"X"', number)

    with pytest.raises(RecordError, match="bad_json"):
        posted.decode(data)


def test_usage_of_another_provider_is_not_read_as_nothing(record) -> None:
    data = record(usage={"prompt_tokens": 10, "completion_tokens": 20})

    with pytest.raises(RecordError, match="missing_field at /usage/input_tokens"):
        registry.read(posted.decode(data))


@pytest.mark.parametrize("inside", ["cached_tokens", "cache_write_tokens"])
def test_input_that_counts_what_was_cached_is_refused(refused, inside) -> None:
    error = refused({"input_tokens_details": {inside: 9}})

    assert (error.code, error.pointer) == ("contradiction", "/usage/input_tokens_details")


@pytest.mark.parametrize("details", [None, {}, {"cached_tokens": 0}, {"text_tokens": 9}])
def test_details_of_the_input_that_hold_nothing_cached_are_ignored(read, details) -> None:
    assert read({"input_tokens_details": details}) == read()


@pytest.mark.parametrize(
    ("usage", "code", "pointer"),
    [
        ({"server_tool_use": []}, "wrong_type", "/usage/server_tool_use"),
        (
            {"server_tool_use": {"web_search_requests": -1}},
            "out_of_range",
            "/usage/server_tool_use/web_search_requests",
        ),
        ({"cache_creation": 5}, "wrong_type", "/usage/cache_creation"),
        ({"iterations": {}}, "wrong_type", "/usage/iterations"),
        (
            {"iterations": [{"type": "message", "input_tokens": 1, "output_tokens": "x"}]},
            "wrong_type",
            "/usage/iterations/0/output_tokens",
        ),
        ({"inference_geo": 1}, "wrong_type", "/usage/inference_geo"),
    ],
)
def test_error_says_where_it_is(refused, usage, code, pointer) -> None:
    error = refused(usage)

    assert (error.code, error.pointer) == (code, pointer)


# --- The cache split


def writes(usage) -> tuple[int, int]:
    return usage.quantities.cache_write_5m, usage.quantities.cache_write_1h


def split(five_minutes: int, one_hour: int) -> dict[str, int]:
    return {
        "ephemeral_5m_input_tokens": five_minutes,
        "ephemeral_1h_input_tokens": one_hour,
    }


def test_writes_without_split_live_five_minutes(read) -> None:
    usage = read({"cache_creation_input_tokens": 5_000})

    assert writes(usage) == (5_000, 0)
    assert usage.flags == ()


def test_split_without_total_is_the_total(read) -> None:
    assert writes(read({"cache_creation": split(3, 4)})) == (3, 4)
    with_null = {"cache_creation": split(3, 4), "cache_creation_input_tokens": None}
    assert writes(read(with_null)) == (3, 4)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (split(31_490, 0), (184_457, 0)),
        (split(0, 31_490), (152_967, 31_490)),
        ({"ephemeral_1h_input_tokens": 31_490}, (152_967, 31_490)),
        ({}, (184_457, 0)),
    ],
)
def test_rest_of_an_incomplete_split_lives_five_minutes(read, given, expected) -> None:
    usage = read({"cache_creation_input_tokens": 184_457, "cache_creation": given})

    assert writes(usage) == expected
    assert usage.flags == ("cache_split_incomplete",)
    assert usage.reproducible


@pytest.mark.parametrize(("total", "given"), [(6, split(3, 4)), (0, split(0, 1))])
def test_split_larger_than_its_total_is_refused(refused, total, given) -> None:
    error = refused({"cache_creation_input_tokens": total, "cache_creation": given})

    assert (error.code, error.pointer) == ("contradiction", "/usage/cache_creation")


# --- Thinking


def test_thinking_is_a_part_of_the_output(read) -> None:
    usage = read({"output_tokens_details": {"thinking_tokens": 20}})

    assert usage.thinking == 20
    assert usage.quantities.output == 20


def test_thinking_beyond_the_output_is_refused(refused) -> None:
    error = refused({"output_tokens_details": {"thinking_tokens": 21}})

    assert (error.code, error.pointer) == (
        "contradiction",
        "/usage/output_tokens_details/thinking_tokens",
    )


# --- Conditions


def conditions(usage) -> tuple[Processing, Speed, str, str]:
    return usage.processing, usage.speed, usage.geo, usage.endpoint


STANDARD = (Processing.STANDARD, Speed.STANDARD, "global", "global")


def test_conditions_are_standard_when_nobody_says_otherwise(read) -> None:
    assert conditions(read()) == STANDARD
    assert conditions(read({"inference_geo": "not_available"})) == STANDARD
    assert conditions(read(geo="not_available")) == STANDARD


@pytest.mark.parametrize("declared", [None, "batch"])
def test_reported_conditions_are_what_was_billed(read, declared) -> None:
    reported = {"service_tier": "batch", "speed": "fast", "inference_geo": "us"}

    assert conditions(read(reported, processing=declared)) == (
        Processing.BATCH,
        Speed.FAST,
        "us",
        "global",
    )


def test_declared_conditions_count_where_nothing_is_reported(read) -> None:
    silent = {"service_tier": None}

    assert conditions(read(silent, processing="batch", speed="fast", geo="us")) == (
        Processing.BATCH,
        Speed.FAST,
        "us",
        "global",
    )


@pytest.mark.parametrize("tier", ["standard", "priority", "flex"])
def test_reported_tier_decides_between_all_but_batch(read, tier) -> None:
    for declared in ("standard", "priority", "flex"):
        usage = read({"service_tier": tier}, processing=declared)

        assert usage.processing == tier


def test_tier_and_speed_that_are_new_are_kept_as_they_are(read) -> None:
    usage = read({"service_tier": "flex_discount", "speed": "ludicrous"})

    assert (usage.processing, usage.speed) == ("flex_discount", "ludicrous")


def test_speed_that_was_asked_for_but_not_given_is_not_billed(read) -> None:
    assert read({"speed": "standard"}, speed="fast").speed == Speed.STANDARD


@pytest.mark.parametrize(
    ("usage", "declared", "pointer"),
    [
        ({"service_tier": "standard"}, {"processing": "batch"}, "/usage/service_tier"),
        ({"service_tier": "priority"}, {"processing": "batch"}, "/usage/service_tier"),
        ({"service_tier": "batch"}, {"processing": "standard"}, "/usage/service_tier"),
        (
            {"service_tier": "standard"},
            {"batch_result": "succeeded"},
            "/usage/service_tier",
        ),
        ({}, {"batch_result": "succeeded", "processing": "standard"}, "/batch_result"),
        ({}, {"batch_result": "errored", "processing": "priority"}, "/batch_result"),
        ({"inference_geo": "global"}, {"geo": "us"}, "/usage/inference_geo"),
        ({"inference_geo": "us"}, {"geo": "global"}, "/usage/inference_geo"),
        ({"inference_geo": "not_available"}, {"geo": "us"}, "/usage/inference_geo"),
    ],
)
def test_contradiction_is_refused(refused, usage, declared, pointer) -> None:
    error = refused(usage, **declared)

    assert (error.code, error.pointer) == ("contradiction", pointer)


# --- What is not billed


@pytest.mark.parametrize("result", ["errored", "canceled", "expired"])
def test_batch_request_without_result_is_not_billed(read, result) -> None:
    usage = read(batch_result=result, geo="us", speed="fast")

    assert usage.unbilled == f"batch_{result}"
    assert conditions(usage) == (Processing.BATCH, Speed.FAST, "us", "global")
    assert usage.steps == (Step("claude-opus-5", NOTHING),)
    assert usage.reproducible


def test_batch_request_without_result_needs_no_counts(record) -> None:
    usage = registry.read(posted.decode(record(usage={}, batch_result="errored")))

    assert usage.unbilled == "batch_errored"


def test_batch_result_that_succeeded_is_billed_as_batch(read) -> None:
    usage = read(batch_result="succeeded")

    assert (usage.unbilled, usage.processing) == ("", Processing.BATCH)


@pytest.mark.parametrize(
    ("counts", "said", "unbilled"),
    [
        ({"output_tokens": 0}, {"stop_reason": "refusal"}, "refused_before_output"),
        (
            {"output_tokens": 0},
            {"stop_reason": "refusal", "content_empty": True},
            "refused_before_output",
        ),
        ({}, {"stop_reason": "refusal", "content_empty": True}, "refused_before_output"),
        ({}, {"stop_reason": "refusal"}, ""),
        ({"output_tokens": 0}, {"stop_reason": "end_turn", "content_empty": True}, ""),
        ({"output_tokens": 0}, {"content_empty": True}, ""),
    ],
)
def test_refusal_before_any_output_is_not_billed(read, counts, said, unbilled) -> None:
    usage = read(counts, **said)

    assert usage.unbilled == unbilled
    assert usage.quantities.input == 10


# --- What has to be kept


def test_columns_suffice_for_one_call(record) -> None:
    found = posted.decode(record())

    assert registry.verbatim(found, registry.read(found)) is None


def test_kept_usage_reads_as_before_without_what_is_unknown(record) -> None:
    entry = {
        "type": "message",
        "input_tokens": 3,
        "output_tokens": 4,
        "cache_creation_input_tokens": 5,
        "secret": "text",
    }
    counts = {
        "input_tokens": 6,
        "output_tokens": 8,
        "cache_creation_input_tokens": 10,
        "cache_creation": split(4, 6),
        "server_tool_use": {"web_search_requests": 1},
        "inference_geo": "us",
        "iterations": [
            entry,
            {**entry, "type": "advisor_message", "model": "claude-opus-5-5"},
        ],
        "secret": "text",
    }
    found = posted.decode(record(usage=counts))
    usage = registry.read(found)

    kept = registry.verbatim(found, usage)

    assert kept is not None
    assert "secret" not in kept
    again = msgspec.structs.replace(found, usage=msgspec.Raw(kept.encode()))
    assert registry.read(again) == usage
    assert not usage.reproducible


# --- Managed agents


def session(written: bytes) -> bytes:
    return b'{"input_tokens":1,"output_tokens":2,"active_seconds":' + written + b"}"


@pytest.fixture
def agent(reader):
    return reader(product="managed_agents_api")


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        (b"3600", 3_600_000),
        (b"0.5", 500),
        (b"12.345", 12_345),
        (b"12.345000", 12_345),
        (b"0.001", 1),
        (b"1.10", 1_100),
        (b"999999999.999", 999_999_999_999),
        (b"0", 0),
        (b"0.000", 0),
        (b"null", 0),
    ],
)
def test_session_is_kept_to_the_millisecond(agent, written, milliseconds) -> None:
    usage = agent(session(written))

    assert usage.quantities == Quantities(1, output=2, session=milliseconds)
    assert usage.reproducible


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (b"0.0001", "out_of_range"),
        (b"1.2345", "out_of_range"),
        (b"1.0000000000000000000000000000000001", "out_of_range"),
        (b"-1", "out_of_range"),
        (b"-0", "out_of_range"),
        (b"3.6e3", "out_of_range"),
        (b"1e999999999", "out_of_range"),
        (b"1000000000", "out_of_range"),
        (b"9" * 5000, "out_of_range"),
        (b'"3600"', "wrong_type"),
        (b"true", "wrong_type"),
        (b"[3600]", "wrong_type"),
        (b"{}", "wrong_type"),
    ],
)
def test_session_is_strictly_seconds(agent, why, written, code) -> None:
    assert why(agent, session(written)) == (code, "/usage/active_seconds")


@pytest.mark.parametrize("product", [None, "messages_api", "claude_code"])
def test_session_of_another_product_is_refused(reader, why, product) -> None:
    assert why(reader(product=product), session(b"0.001")) == (
        "contradiction",
        "/usage/active_seconds",
    )
    assert reader(product=product)(session(b"0")).quantities == Quantities(1, output=2)


def test_session_is_not_batched(agent, why) -> None:
    reported = {"input_tokens": 1, "output_tokens": 2, "service_tier": "batch"}

    assert why(agent, reported) == ("contradiction", "/product")
    assert why(agent, session(b"1"), processing="batch") == ("contradiction", "/product")


def test_session_belongs_to_the_own_model(agent) -> None:
    other = {"type": "advisor_message", "model": "claude-fable-5"}
    counts = {"input_tokens": 3, "output_tokens": 4}
    usage = agent({**counts, "active_seconds": 2, "iterations": [{**other, **counts}]})

    assert usage.steps == (
        Step("claude-fable-5", Quantities(3, output=4)),
        Step("claude-opus-5", Quantities(session=2_000)),
    )


def test_session_is_billed_whatever_its_last_answer(agent) -> None:
    assert agent(session(b"5"), stop_reason="refusal", content_empty=True).unbilled == ""


def test_session_is_kept_with_the_object(record) -> None:
    found = posted.decode(
        record(usage="X", product="managed_agents_api").replace(b'"X"', session(b"1.50"))
    )

    assert b'"active_seconds":1.50' in anthropic.known_members(found)
