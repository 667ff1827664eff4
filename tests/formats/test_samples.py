"""Samples: whatever people have at hand is read, nothing of its text is kept."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.formats import samples
from billing.formats.errors import BodyError
from billing.formats.samples import Asked, Problem, Reading
from billing.pricing.rates import RateBook
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Processing, Usage

AT = datetime(2026, 11, 22, tzinfo=UTC)
NAMES = [
    *(("anthropic", "claude-opus-5-5"), ("google", "claude-opus-5-5")),
    *(("anthropic", "claude-sonnet-5"), ("openai", "gpt-5"), ("google", "gemini-3-pro")),
]
BOOK = RateBook([], {(provider, name): f"{provider}/{name}" for provider, name in NAMES})
NOBODY = Asked()
SECRET = "the-secret-of-the-prompt"

USAGE = {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 7}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-5",
    "content": [{"type": "text", "text": SECRET}],
    "stop_reason": "end_turn",
    "usage": USAGE,
}
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-5",
    "choices": [{"message": {"content": SECRET}}],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 40},
    },
}
OPUS = Asked(model="claude-opus-5-5")


def read(content: Any, asked: Asked = NOBODY) -> Reading:
    text = content if isinstance(content, str) else json.dumps(content)
    return samples.read(text.encode(), asked, BOOK, AT)


def only(content: Any, asked: Asked = NOBODY) -> Usage:
    reading = read(content, asked)
    assert reading.problems == []
    (usage,) = reading.usages
    return usage


def problem(content: Any, asked: Asked = NOBODY) -> Problem:
    reading = read(content, asked)
    assert reading.usages == []
    (found,) = reading.problems
    return found


def refused(content: Any, asked: Asked = NOBODY) -> BodyError:
    with pytest.raises(BodyError) as caught:
        read(content, asked)
    return caught.value


# --- What is taken ------------------------------------------------------------------


def test_a_whole_response_is_read_by_its_usage():
    usage = only(MESSAGE)

    assert (usage.provider, usage.model) == ("anthropic", "claude-opus-5-5")
    assert usage.quantities == Quantities(input=100, output=20, cache_read=7)


def test_a_bare_usage_object_needs_a_model():
    assert problem(USAGE).detail == "It names no model: say which one it was."
    assert only(USAGE, OPUS).quantities == Quantities(100, 0, 0, 7, 20)


def test_an_unknown_model_is_whose_it_says_it_is():
    unheard = Asked(model="unheard-of")

    ambiguous = {"input_tokens": 5, "output_tokens": 1}

    assert "say which provider" in problem(ambiguous, unheard).detail
    assert only(ambiguous, unheard._replace(provider="openai")).provider == "openai"
    assert only(USAGE, Asked(model="claude-unheard-of")).provider == "anthropic"


def test_what_the_record_says_goes_before_what_the_person_says():
    asked = Asked(provider="google", model="claude-sonnet-5")

    usage = only(MESSAGE, asked)

    assert (usage.provider, usage.model) == ("google", "claude-opus-5-5")


@pytest.mark.parametrize(
    ("content", "provider", "quantities"),
    [
        (CHAT, "openai", Quantities(input=60, cache_read=40, output=20)),
        (
            {"model": "gpt-5", "usage": {"input_tokens": 9, "output_tokens": 1}},
            "openai",
            Quantities(input=9, output=1),
        ),
        (
            {
                "candidates": [{"content": SECRET}],
                "usageMetadata": {
                    "promptTokenCount": 50,
                    "candidatesTokenCount": 5,
                    "thoughtsTokenCount": 3,
                    "totalTokenCount": 58,
                },
                "modelVersion": "gemini-3-pro",
            },
            "google",
            Quantities(input=50, output=8),
        ),
        (
            {
                "model": "anthropic.claude-opus-5-5-v1:0",
                "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7},
            },
            "aws",
            Quantities(input=5, output=2),
        ),
        # A gateway that tells of Claude in the format of another.
        (
            {**CHAT, "model": "claude-opus-5-5"},
            "anthropic",
            Quantities(input=60, cache_read=40, output=20),
        ),
        (
            {
                "id": "a",
                "occurred_at": "2026-11-01T00:00:00Z",
                "project": "answers",
                "tags": {"user": SECRET},
                "provider": "anthropic",
                "model": "claude-opus-5-5",
                "usage": USAGE,
            },
            "anthropic",
            Quantities(100, 0, 0, 7, 20),
        ),
        (
            {"model": "claude-opus-5-5", "usage": {"input": 4, "cache_write_1h": 2}},
            "anthropic",
            Quantities(input=4, cache_write_1h=2),
        ),
        (
            {"model": "gpt-5", "prompt_tokens": 3, "completion_tokens": 1},
            "openai",
            Quantities(input=3, output=1),
        ),
    ],
)
def test_each_shape_is_read_by_its_own_rules(
    content: dict[str, Any], provider: str, quantities: Quantities
):
    usage = only(content)

    assert (usage.provider, usage.quantities) == (provider, quantities)


@pytest.mark.parametrize(
    "content",
    [
        {"custom_id": "a", "result": {"type": "succeeded", "message": MESSAGE}},
        {"custom_id": "a", "response": {"status_code": 200, "body": CHAT}},
        {**MESSAGE, "usage": {**USAGE, "service_tier": "batch"}},
    ],
)
def test_the_results_of_a_batch_are_a_batch(content: dict[str, Any]):
    assert only(content).processing == Processing.BATCH


def test_a_response_in_a_tier_of_its_own_is_of_that_tier():
    assert only({**CHAT, "service_tier": "flex"}).processing == Processing.FLEX
    assert only({**CHAT, "service_tier": "default"}).processing == Processing.STANDARD


def test_a_refusal_without_content_is_not_billed():
    refusal = {**MESSAGE, "stop_reason": "refusal", "content": []}

    assert only(refusal).unbilled == "refused_before_output"


def test_lines_of_a_transcript_are_one_call_by_their_id_and_the_last_counts():
    early = {**MESSAGE, "usage": {**USAGE, "output_tokens": 1}}
    lines = [
        {"type": "user", "message": {"role": "user", "content": SECRET}},
        {"type": "assistant", "message": early},
        {"type": "assistant", "message": MESSAGE},
    ]

    reading = read("\n".join(map(json.dumps, lines)))

    assert [usage.quantities.output for usage in reading.usages] == [20]
    assert reading.repeated == 1
    assert reading.problems == [Problem(1, "It has no usage.")]


def test_the_beginning_of_a_stream_is_no_call():
    assert "stream" in problem({"type": "message_start", "message": MESSAGE}).detail


def test_what_a_tool_made_up_is_no_call():
    local = {**MESSAGE, "model": "<synthetic>"}

    assert "made this message up" in problem(local).detail


# --- How many there are -------------------------------------------------------------


TWO = [{**MESSAGE, "id": "a"}, {**MESSAGE, "id": "b"}]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(TWO),
        json.dumps({"records": TWO}),
        json.dumps({"data": TWO}),
        "\n".join(map(json.dumps, TWO)),
        "\r\n\r\n".join(map(json.dumps, TWO)),
        ",\n".join(json.dumps(one, indent=2) for one in TWO),
        "\ufeff" + "\n".join(json.dumps(one, indent=2) for one in TWO),
    ],
)
def test_several_are_read_however_they_stand(content: str):
    assert len(read(content).usages) == 2


def test_of_lines_the_others_are_read_when_one_is_wrong():
    wrong = {**MESSAGE, "usage": {**USAGE, "input_tokens": -1}}
    lines = [json.dumps(one) for one in (TWO[0], wrong, TWO[1])]

    reading = read("\n".join([*lines, "{oops"]))

    assert len(reading.usages) == 2
    assert reading.unit == "line"
    assert reading.read_as == {"anthropic": 2}
    assert [found.number for found in reading.problems] == [2, 4]
    assert reading.problems[0].detail == "usage.input_tokens: Expected `int` >= 0."


def test_where_text_behind_the_others_breaks_off_it_says_in_which_line():
    text = json.dumps(TWO[0], indent=2) + "\n" + json.dumps(TWO[1], indent=2)[:-9]

    reading = read(text)

    assert len(reading.usages) == 1
    (found,) = reading.problems
    assert found.number == len(json.dumps(TWO[0], indent=2).splitlines()) + 1


def test_of_an_array_problems_have_the_number_of_the_record():
    reading = read([TWO[0], 5, {"model": "x"}])

    assert reading.unit == "record"
    assert reading.problems == [
        Problem(2, "It is no JSON object."),
        Problem(3, "It has no usage."),
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "empty_body"),
        ("  \n ", "empty_body"),
        ("[" + ",".join(["{}"] * 10_001) + "]", "too_many_records"),
        ("\n".join(["{}"] * 10_001), "too_many_records"),
        ("x" * 10_000_001, "body_too_large"),
        ("input,output\n" + "1,1\n" * 10_001, "too_many_records"),
    ],
)
def test_nothing_and_too_much_are_refused(content: str, code: str):
    assert refused(content, OPUS).code == code


@pytest.mark.parametrize("content", [b"\xff\xfe{\x00", b"input\0,output\n1,2\n"])
def test_what_is_no_text_is_refused(content: bytes):
    with pytest.raises(BodyError) as caught:
        samples.read(content, NOBODY, BOOK, AT)

    assert caught.value.code == "bad_text"


def test_what_is_nested_without_end_is_a_problem_of_its_own():
    deep = '{"message":' * 3000 + "1" + "}" * 3000
    deeper = "[" * 200_000

    reading = read("\n".join([json.dumps(TWO[0]), deep, deeper]))

    assert len(reading.usages) == 1
    assert len(reading.problems) == 2


# --- Contradictions and what was left open ------------------------------------------


def test_sums_that_cannot_be_are_refused():
    usage = {**CHAT["usage"], "prompt_tokens_details": {"cached_tokens": 101}}  # type: ignore[dict-item]

    found = problem({**CHAT, "usage": usage})

    assert "exceed" in found.detail


def test_a_split_that_is_smaller_than_its_total_is_flagged():
    split = {"ephemeral_1h_input_tokens": 3}
    usage = {**USAGE, "cache_creation_input_tokens": 10, "cache_creation": split}

    assert read({**MESSAGE, "usage": usage}).flags == {"cache_split_incomplete": 1}


# --- No text ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        MESSAGE,
        CHAT,
        {**MESSAGE, "usage": SECRET},
        {**MESSAGE, "usage": {"input_tokens": SECRET, "output_tokens": 1}},
        {**MESSAGE, "usage": {**USAGE, SECRET: SECRET}},
        {"message": SECRET},
        {"content": SECRET, "type": "message"},
        SECRET,
        json.dumps(MESSAGE)[:-5],
        f"model,input,output\nclaude-opus-5-5,{SECRET},5",
        f"model,input,output,prompt\nclaude-opus-5-5,5,5,{SECRET}",
        f"model,input,output\nclaude-opus-5-5,5,5,{SECRET}",
    ],
)
def test_no_text_is_kept_nor_said(content: Any):
    if content == SECRET:
        assert refused(content).code == "bad_table"
        return
    reading = read(content)

    said = repr((samples.packed(reading.usages), reading.problems, reading.read_as))
    assert SECRET not in said


# --- Tables -------------------------------------------------------------------------


def test_columns_are_found_by_their_names():
    table = (
        "Model,Request ID,Input Tokens,Cache Read Input Tokens,Output Tokens,note\n"
        'claude-opus-5-5,a,"1,000",30,5,"two\nlines"\n'
    )

    reading = read(table)

    assert reading.columns == {
        "model": "Model",
        "input": "Input Tokens",
        "cache_read": "Cache Read Input Tokens",
        "output": "Output Tokens",
    }
    assert reading.read_as == {"csv": 1}
    assert [usage.quantities for usage in reading.usages] == [
        Quantities(input=1000, cache_read=30, output=5)
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_those_of_the_first_line(delimiter: str):
    table = "model,input,output\nclaude-opus-5-5,7,5".replace(",", delimiter)

    assert only(table).quantities == Quantities(input=7, output=5)


def test_prompt_tokens_count_what_was_cached_and_others_do_not():
    table = "{},cached_tokens,output_tokens\n100,40,5\n30,40,5"

    inclusive = read(table.format("prompt_tokens"), OPUS)
    exclusive = read(table.format("input_tokens"), OPUS)

    assert [usage.quantities.input for usage in inclusive.usages] == [60]
    assert inclusive.problems == [
        Problem(3, "More was cached than the input that counts it.")
    ]
    assert [usage.quantities.input for usage in exclusive.usages] == [100, 30]
    assert (inclusive.inclusive, exclusive.inclusive) == (True, False)


def test_a_column_that_is_guessed_wrongly_can_be_said():
    table = "input,in_all,output\n1,100,5"

    reading = read(table, OPUS._replace(columns={"input": "In All"}, inclusive=False))

    assert reading.columns["input"] == "in_all"
    assert reading.usages[0].quantities.input == 100


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"input": "nowhere"}, "nowhere"), ({"cost": "input"}, "cost")],
)
def test_what_is_said_of_columns_has_to_be_there(columns: dict[str, str], said: str):
    error = refused("input,output\n1,1", OPUS._replace(columns=columns))

    assert (error.code, said in error.detail) == ("bad_table", True)


FLAT = [
    {"model": "claude-opus-5-5", "tokens_in": 5, "tokens_out": 9, "note": SECRET * 9},
    {"model": "claude-opus-5-5", "tokens_in": 50, "tokens_out": 90, "cached": None},
]
LINES = "\n\n".join(json.dumps(one) for one in FLAT)


@pytest.mark.parametrize("content", [FLAT, LINES, {"records": FLAT}])
@pytest.mark.parametrize("said", [{}, {"input": "tokens_in", "output": "tokens_out"}])
def test_flat_objects_are_rows_of_a_table(content: Any, said: dict[str, str]):
    reading = read(content, NOBODY._replace(columns=said))

    assert [usage.quantities for usage in reading.usages] == [
        *(Quantities(input=5, output=9), Quantities(input=50, output=90))
    ]
    assert reading.columns == {
        "model": "model",
        "input": "tokens_in",
        "output": "tokens_out",
    }


def test_columns_that_are_said_are_read_from_flat_usages_too():
    content = {"deployment": "gpt-5", "input_tokens": 5, "output": "text", "got": 9}

    usage = only(content, NOBODY._replace(columns={"model": "deployment", "output": "got"}))

    assert (usage.model, usage.quantities) == ("gpt-5", Quantities(input=5, output=9))


def test_flat_objects_that_are_wrong_are_told_by_their_own_numbers():
    lines = [*LINES.split("\n"), '{"tokens_in": 5.5, "tokens_out": 1}', "{malformed", "{}"]

    lined = read("\n".join(lines), OPUS)
    listed = read([*FLAT, {"tokens_in": -1, "tokens_out": 1}], OPUS)

    assert [(lined.unit, one) for one in lined.problems] == [
        ("line", Problem(4, "The input is 5.5, which is no whole number of 0 or more.")),
        ("line", Problem(5, "JSON is malformed.")),
        ("line", Problem(6, "The input is missing.")),
    ]
    assert (listed.unit, [one.number for one in listed.problems]) == ("record", [3])


@pytest.mark.parametrize("content", [MESSAGE, [USAGE, MESSAGE], {**USAGE, "usage": 1}])
def test_columns_are_not_said_of_what_has_a_usage(content: Any):
    error = refused(content, OPUS._replace(columns={"input": "tokens_in"}))

    assert (error.code, "flat objects without a usage" in error.detail) == (
        "bad_table",
        True,
    )


def test_flat_objects_of_unusual_names_say_which_they_have():
    assert "sent, got" in refused({"sent": 5, "got": 9}, OPUS).detail


def test_flat_objects_with_more_members_than_a_table_are_refused():
    many = [{f"a{number}": 1, f"b{number}": 2} for number in range(51)]

    assert "more than 100 columns" in refused(many, OPUS).detail


def test_no_column_may_be_said_to_have_a_field():
    table = "input,cached_tokens,output\n100,40,5"

    reading = read(table, OPUS._replace(columns={"cache_read": ""}))

    assert "cache_read" not in reading.columns
    assert reading.usages[0].quantities == Quantities(input=100, output=5)


@pytest.mark.parametrize("headers", [("入力", "出力"), ("Tokens in", "tokens_in")])
def test_headers_that_are_alike_are_told_apart(headers: tuple[str, str]):
    table = f"{headers[0]},{headers[1]}\n7,5"

    said = {"input": headers[0], "output": headers[1]}

    assert read(table, OPUS._replace(columns=said)).usages[0].quantities == Quantities(
        input=7, output=5
    )


@pytest.mark.parametrize(
    ("headers", "cells", "short", "long"),
    [
        ("cache_creation_input_tokens", "100", 100, 0),
        ("cache_creation_input_tokens,cache_write_1h", "100,30", 70, 30),
        ("cache_creation_input_tokens,cache_write_5m", "100,30", 30, 70),
        ("cache_creation_input_tokens,cache_write_5m,cache_write_1h", "100,60,30", 70, 30),
        ("cache_creation_input_tokens,cache_write_1h", ",30", 0, 30),
        ("cache_write_5m,cache_write_1h", "60,30", 60, 30),
    ],
)
def test_what_is_written_is_counted_once(headers: str, cells: str, short: int, long: int):
    table = f"prompt_tokens,output,{headers}\n500,5,{cells}"

    (usage,) = read(table, OPUS).usages

    assert usage.quantities == Quantities(
        input=500 - short - long, cache_write_5m=short, cache_write_1h=long, output=5
    )


def test_more_written_for_an_hour_than_in_all_is_a_problem():
    table = "input,output,cache_creation_input_tokens,cache_write_1h\n500,5,10,30"

    (problem,) = read(table, OPUS).problems

    assert problem.detail == "More was written to the cache for some time than in all."


def test_a_table_without_output_says_which_columns_it_has():
    error = refused("input,spent\n1,1", OPUS)

    assert "output" in error.detail
    assert "spent" in error.detail


@pytest.mark.parametrize(
    ("cell", "detail"),
    [
        ("12.5", "The output is 12.5, which is no whole number of 0 or more."),
        ("12.0", "The output is 12.0, which is no whole number of 0 or more."),
        ("-3", "The output is -3, which is no whole number of 0 or more."),
        ("1e3", "The output is 1e3, which is no whole number of 0 or more."),
        ("", "The output is missing."),
        ("many", "The output is no number."),
        ("99999999999999", "The output is 99999999999999, which"),
    ],
)
def test_a_cell_that_is_no_count_is_a_problem_of_its_row(cell: str, detail: str):
    reading = read(f"input,output\n1,2\n1,{cell}\n3,4", OPUS)

    assert len(reading.usages) == 2
    (found,) = reading.problems
    assert found.number == 3
    assert found.detail.startswith(detail)


def test_a_row_of_another_width_is_a_problem():
    found = problem("input,output\n1,2,3", OPUS)

    assert found == Problem(2, "It has 3 cells, the first line 2.")


def test_thinking_beyond_the_output_cannot_be():
    assert "exceed" in problem("input,output,thinking\n1,2,3", OPUS).detail


def test_a_tier_in_a_table_is_the_processing():
    table = "input,output,service_tier\n1,2,batch\n1,2,default\n1,2,\n"

    assert [usage.processing for usage in read(table, OPUS).usages] == [
        Processing.BATCH,
        Processing.STANDARD,
        Processing.STANDARD,
    ]


# --- Keeping ------------------------------------------------------------------------


def test_what_is_kept_is_what_was_read():
    iterations = [
        {"type": "message", "input_tokens": 5, "output_tokens": 1},
        {
            "type": "advisor_message",
            "model": "claude-sonnet-5",
            "input_tokens": 7,
            "output_tokens": 2,
        },
    ]
    several = {**MESSAGE, "id": "b", "usage": {**USAGE, "iterations": iterations}}
    batch = {**MESSAGE, "id": "c", "batch_result": "succeeded"}
    thinking = {**CHAT, "id": "d"}
    usages = read([MESSAGE, several, batch, thinking]).usages

    kept = json.loads(json.dumps(samples.packed(usages)))

    assert samples.unpacked(kept, AT) == usages
    assert len(usages[1].steps) == 2


def test_ten_thousand_rows_take_little_space():
    usage = only(MESSAGE)

    assert len(json.dumps(samples.packed([usage] * 10_000))) < 400_000


@given(st.binary(max_size=300))
def test_no_bytes_do_harm(content: bytes):
    with suppress(BodyError):
        samples.read(content, OPUS, BOOK, AT)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["usage", "message", "result", "input_tokens", "model", "id"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_does_harm(content: Any):
    text = json.dumps(content)
    with suppress(BodyError):
        samples.read(text.encode(), OPUS, BOOK, AT)
