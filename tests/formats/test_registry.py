import json
from pathlib import Path

import msgspec
import pytest

from billing.formats import posted, registry
from billing.formats.errors import RecordError
from billing.pricing.token_classes import NOTHING, Quantities

DATA = Path(__file__).parent.parent / "data"

CHAT = {"prompt_tokens": 10, "completion_tokens": 20}
RESPONSES = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}
MESSAGES = {"input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 0}
PLAIN = {"input_tokens": 10, "output_tokens": 20}
GEMINI = {"promptTokenCount": 10, "candidatesTokenCount": 20}
CONVERSE = {"inputTokens": 10, "outputTokens": 20}
NATIVE = {"input": 10, "output": 20}


@pytest.mark.parametrize(
    ("provider", "usage", "name"),
    [
        ("anthropic", PLAIN, "anthropic"),
        ("openai", CHAT, "openai_chat"),
        ("openai", RESPONSES, "openai_responses"),
        ("openai", PLAIN, "openai_responses"),
        ("google", GEMINI, "gemini"),
        ("google", PLAIN, "vertex_claude"),
        ("aws", CONVERSE, "bedrock_converse"),
        ("aws", PLAIN, "bedrock_invoke"),
        ("azure", CHAT, "openai_chat"),
        ("azure", RESPONSES, "openai_responses"),
        ("azure", MESSAGES, "anthropic"),
        ("gateway", CHAT, "openai_chat"),
        ("gateway", RESPONSES, "openai_responses"),
        ("gateway", MESSAGES, "anthropic"),
        ("gateway", GEMINI, "gemini"),
        ("gateway", CONVERSE, "bedrock_converse"),
        ("gateway", NATIVE, "native"),
    ],
)
def test_format_is_recognised_by_its_members(record, provider, usage, name) -> None:
    found = posted.decode(record(provider=provider, usage=usage))

    assert registry.name_of(found) == name
    assert registry.read(found).quantities == Quantities(10, output=20)
    assert registry.read(found) == registry.read(
        posted.decode(record(provider=provider, usage=usage, usage_format=name))
    )


def test_named_format_is_read_for_any_provider(record) -> None:
    found = posted.decode(record(provider="gateway", usage_format="anthropic"))

    assert registry.read(found).provider == "gateway"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"provider": "gateway"},
            "input_tokens, output_tokens, which fits anthropic and openai_responses: name",
        ),
        (
            {"provider": "openai", "usage": {"tokens": 5, "a": 1}},
            "provider openai has a, tokens, which fits no format that is known for it",
        ),
        ({"provider": "openai", "usage": {}}, "has no members, which fits no format"),
        ({"provider": "aws", "usage": GEMINI}, "which fits no format"),
        # Of one format by its names, and by one of them of another.
        ({"provider": "azure", "usage": {**MESSAGES, **RESPONSES}}, "fits no format"),
        ({"provider": "gateway", "usage": {**CHAT, **CONVERSE}}, "and openai_chat: name"),
        ({"usage_format": "ANTHROPIC"}, "ANTHROPIC is not one of anthropic, bedrock_"),
    ],
)
def test_unknown_format_is_refused(record, changes, said) -> None:
    with pytest.raises(RecordError) as caught:
        registry.read(posted.decode(record(**changes)))

    assert (caught.value.code, caught.value.pointer) == (
        "unknown_usage_format",
        "/usage_format",
    )
    assert said in caught.value.detail


def test_what_was_seen_is_shown_cut_and_printable(record) -> None:
    usage = {f"\x1b{place}": 1 for place in range(500)}

    with pytest.raises(RecordError) as caught:
        registry.name_of(posted.decode(record(provider="openai", usage=usage)))

    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) < 500


def test_every_providers_formats_are_formats() -> None:
    known = {name for names in registry.PROVIDER_FORMATS.values() for name in names}

    assert known <= set(registry.FORMATS)


@pytest.mark.parametrize("provider", ["openai", "google", "aws"])
@pytest.mark.parametrize("result", ["errored", "canceled", "expired"])
def test_batch_request_without_result_is_not_billed(record, provider, result) -> None:
    found = posted.decode(record(provider=provider, usage={}, batch_result=result))
    usage = registry.read(found)

    assert (usage.unbilled, usage.processing) == (f"batch_{result}", "batch")
    assert usage.quantities == NOTHING


def test_message_that_a_tool_made_up_is_not_billed(record) -> None:
    usage = registry.read(posted.decode(record(model="<synthetic>")))

    assert usage.unbilled == "synthetic"


def test_verbatim_is_kept_where_columns_do_not_suffice(record) -> None:
    entries = [{"type": "message", **PLAIN}, {"type": "compaction", **PLAIN}]
    kept = posted.decode(record(usage={**PLAIN, "iterations": entries, "text": "secret"}))
    columns = posted.decode(record(provider="openai", usage=CHAT))

    verbatim = registry.verbatim(kept, registry.read(kept))

    assert verbatim is not None
    assert msgspec.json.decode(verbatim) == {**PLAIN, "iterations": entries}
    assert registry.verbatim(columns, registry.read(columns)) is None


def examples():
    for example in json.loads((DATA / "price_examples.json").read_text(encoding="utf-8")):
        if example["occurred_at"] is not None:
            yield pytest.param(example, id=example["id"])


@pytest.mark.parametrize("example", list(examples()))
def test_format_of_an_example_is_recognised(example) -> None:
    named = posted.decode_quote(json.dumps(example).encode())
    del example["usage_format"]
    unnamed = posted.decode_quote(json.dumps(example).encode())

    # Anthropic's own object on Vertex has a name of its own there.
    alike = {"vertex_claude": "anthropic"}
    name = registry.name_of(unnamed)

    assert alike.get(name, name) == named.usage_format
    assert registry.read(unnamed) == registry.read(named)
