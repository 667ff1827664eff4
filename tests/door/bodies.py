"""Bodies that hypothesis makes: bytes, nearly valid JSON, nearly valid records."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.builders import record

USAGES: list[dict[str, Any]] = [
    {"input_tokens": 10, "output_tokens": 20, "service_tier": "standard"},
    {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_creation_input_tokens": 7,
        "cache_read_input_tokens": 3,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        "server_tool_use": {"web_search_requests": 1},
        "iterations": [{"type": "message", "input_tokens": 1, "output_tokens": 2}],
        "active_seconds": 1.5,
    },
    {
        "inputTokens": 1,
        "outputTokens": 2,
        "totalTokens": 3,
        "cacheDetails": [{"ttl": "1h"}],
    },
    {
        "prompt_tokens": 9,
        "completion_tokens": 2,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
    {
        "input_tokens": 9,
        "output_tokens": 2,
        "total_tokens": 11,
        "input_tokens_details": {"cached_tokens": 3},
    },
    {
        "promptTokenCount": 9,
        "candidatesTokenCount": 2,
        "totalTokenCount": 11,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}],
    },
    {"input": 1, "cache_write_5m": 2, "output": 3, "thinking": 1},
]
FORMATS = [
    "anthropic",
    "bedrock_converse",
    "bedrock_invoke",
    "gemini",
    "native",
    "openai_chat",
    "openai_responses",
    "vertex_claude",
]
PROVIDERS = ["anthropic", "aws", "azure", "google", "openai", "mistral", ""]

# What JSON text may hold that breaks readers.
LITERALS = [
    *(b"NaN", b"-Infinity", b"1e999", b"-1e999", b"1e-400", b"-0", b"-0.0", b"-1", b"1.0"),
    *(b"9" * 900, b"9" * 5000, b"1" + b"0" * 400, b"1000000000001", b"true", b"null"),
    *(
        rb'"\ud800"',
        rb'"\udc00\ud800"',
        rb'"\u0000"',
        b'"\0"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
    ),
    *('"٣"'.encode(), '"１２"'.encode(), b'" 7 "', b'"NaN"', b'"1E+1000000"', b'""'),
    *(
        b"[" * 20,
        b"[" * 5000,
        b'{"a":' * 5000,
        b"{}",
        b"[]",
        b'{"records":[]}',
        b"\xef\xbb\xbf",
    ),
    *(
        b'"' + b"x" * 300 + b'"',
        b'"' + b"x" * 70_000 + b'"',
        b'"\xe2\x80\xae"',
        b'"<script>"',
    ),
    *(b'"2026-11-20T09:30:00"', b'"9999-12-31T23:59:59-12:00"', b'"0001-01-01T00:00:00Z"'),
    b"{" + b",".join(b'"m%d":0' % number for number in range(2000)) + b"}",
]
SIGNS = [bytes([sign]) for sign in b'{}[],:"\\\n\r\t 0-.eE\x00\x7f\xff']
NAMES = ["id", "occurred_at", "provider", "model", "usage", "project", "tags", "records"]

texts = st.text(max_size=20) | st.sampled_from(
    ["", "\0", "\ud800", "\u202e", "=1", "a" * 201, "\r\n", "$", "`$.id`", "~/"]
)
numbers = st.integers() | st.sampled_from(
    [0, -1, 10**12, 10**12 + 1, 2**63, 2**64, 10**400, 1.5, -0.0, 1e300, 5e-324]
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)
times = st.sampled_from(
    [
        "2026-11-20T09:30:00Z",
        "2026-11-20T09:30:00+05:45",
        "2026-11-20T09:30:00",
        "2199-12-31",
    ]
) | st.datetimes().map(lambda moment: moment.isoformat() + "Z")


@st.composite
def usages(draw: st.DrawFn) -> Any:
    """A provider's object with some of its members replaced, added or left out."""
    usage = dict(draw(st.sampled_from(USAGES)))
    for name in draw(st.lists(st.sampled_from(sorted(usage)), max_size=2)):
        usage[name] = draw(st.integers(0, 20) | anything)
    if draw(st.integers(0, 9)) == 0:
        usage |= draw(st.dictionaries(texts, anything, max_size=2))
    if draw(st.integers(0, 9)) == 0:
        usage.pop(draw(st.sampled_from(sorted(usage))))
    return usage


@st.composite
def records(draw: st.DrawFn) -> Any:
    """A record of which a member or two may be anything."""
    made = record(
        id=draw(st.text("abc", min_size=1, max_size=2)),
        usage=draw(usages()),
        provider=draw(st.sampled_from(PROVIDERS)),
        occurred_at=draw(times),
    )
    wild = {
        "usage_format": st.sampled_from(FORMATS) | texts,
        "tags": st.dictionaries(texts, texts, max_size=18) | anything,
        "processing": st.sampled_from(["batch", "flex"]) | texts,
        "batch_result": st.sampled_from(["errored"]) | texts,
        "product": st.just("managed_agents_api") | texts,
        "stop_reason": st.just("refusal") | texts,
        "content_empty": st.booleans() | anything,
        "id": texts | anything,
        "occurred_at": anything,
        "project": st.sampled_from(["triage", "secret", "answers"]) | anything,
        "model": texts | anything,
        "usage": anything,
        "cost": anything,
    }
    for name in draw(st.lists(st.sampled_from(sorted(wild)), max_size=2)):
        made[name] = draw(wild[name])
    return draw(st.just(made)) if draw(st.integers(0, 19)) else draw(anything)


def encoded(value: Any) -> bytes:
    """As JSON; halves of surrogate pairs become escapes."""
    return json.dumps(value).encode()


def in_some_form(batch: list[Any], form: str) -> bytes:
    if form == "lines":
        return b"\n".join(encoded(one) for one in batch)
    if form == "envelope":
        return encoded({"records": batch})
    return encoded(batch[0] if form == "one" and batch else batch)


structures = st.builds(
    in_some_form,
    st.lists(records(), min_size=1, max_size=4),
    st.sampled_from(["array", "lines", "envelope", "one"]),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Valid or nearly so, then cut, spliced, repeated or sprinkled with the unreadable."""
    content = draw(structures)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(content)))
        end = draw(st.integers(place, min(len(content), place + 40)))
        change = draw(
            st.sampled_from(["cut", "literal", "sign", "bytes", "splice", "repeat"])
        )
        if change == "cut":
            content = content[:place]
        elif change == "literal":
            content = content[:place] + draw(st.sampled_from(LITERALS)) + content[end:]
        elif change == "sign":
            content = content[:place] + draw(st.sampled_from(SIGNS)) + content[place:]
        elif change == "bytes":
            content = content[:place] + draw(st.binary(max_size=8)) + content[end:]
        elif change == "splice":
            content = content[:place] + draw(structures)[place:]
        else:
            content = content[:end] + content[place:end] * 3 + content[end:]
    return content


@st.composite
def replaced(draw: st.DrawFn) -> bytes:
    """Records between which one value is a literal that breaks readers."""
    one = record(id=draw(st.text("abc", min_size=1, max_size=2)))
    name = draw(st.sampled_from(["id", "occurred_at", "model", "tags", "usage"]))
    if draw(st.booleans()):
        one["usage"] = one["usage"] | {"input_tokens": "@"}
    else:
        one[name] = "@"
    text = encoded(one).replace(b'"@"', draw(st.sampled_from(LITERALS)))
    return b"[" + b",".join([encoded(record()), text, encoded(record())]) + b"]"


HUGE = [
    b"[" + b",".join(encoded(record()) for _ in range(1000)) + b"]",
    b"[" + b",".join(b'{"id":1}' for _ in range(1000)) + b"]",
    b"[" + b"1," * 290_000 + b"1]",
    b'[{"id":"a","usage":{' + b'"a":[1],' * 200_000 + b'"b":1}}]',
    b'[{"id":"a","usage":{"a":"' + rb"\u0041" * 300_000 + b'"}}]',
    rb'[{"id":"a\u0000","usage":[' + b"[],{}," * 140_000 + b"1]}]",
    b'[{"tags":{"a":"' + rb"\ud800" * 320_000 + b'"}}]',
    b'{"a":"' + b'\\"' * 990_000 + b'"}',
    b"\n" * 1_999_000,
    b" " * 1_999_000 + b"{}",
    b'"' * 1_999_000,
    b"[" * 1_999_000,
    b"{}\n" * 290_000,
    b'[{"id":' + b"9" * 1_990_000 + b"}]",
    b'[{"usage":{"active_seconds":' + b"9" * 1_900_000 + b"}}]",
]
huge = st.sampled_from(HUGE)

bodies = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from(SIGNS + LITERALS), max_size=12).map(b"".join),
    structures,
    mutated(),
    replaced(),
)
content_types = st.sampled_from(
    ["application/json"] * 6
    + ["application/x-ndjson"] * 2
    + ["", "text/plain", "application/json; charset=bz2_codec"]
)
