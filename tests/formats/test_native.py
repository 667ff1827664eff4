import msgspec
import pytest

from billing.formats import native, posted
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Step
from tests.formats.conftest import RECORD


@pytest.fixture
def reads(reader):
    return reader(usage_format="native")


def test_every_class_is_a_member(reads) -> None:
    counts = {name: place for place, name in enumerate(TokenClass, start=1)}
    usage = reads({**counts, "thinking": 5})

    assert usage.steps == (
        Step("claude-opus-5", Quantities(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)),
    )
    assert usage.thinking == 5
    assert usage.reproducible


def test_class_that_is_left_out_is_zero(reads) -> None:
    assert reads({"session": 3_600_000}).quantities == Quantities(session=3_600_000)


@pytest.mark.parametrize(
    ("usage", "code", "pointer"),
    [
        (b"{}", "missing_field", "/usage"),
        (b"{ \n }", "missing_field", "/usage"),
        # It would be used, and never billed.
        ({"input": 1, "cache_write": 5}, "unknown_field", "/usage/cache_write"),
        ({"input_tokens": 1, "output_tokens": 5}, "unknown_field", "/usage/input_tokens"),
        ({"input": None}, "wrong_type", "/usage/input"),
        ({"input": 1.0}, "wrong_type", "/usage/input"),
        ({"output": "7"}, "wrong_type", "/usage/output"),
        ({"session": -1}, "out_of_range", "/usage/session"),
        ({"output": 10**12 + 1}, "out_of_range", "/usage/output"),
        ({"output": 5, "thinking": 6}, "contradiction", "/usage/thinking"),
    ],
)
def test_what_is_refused(reads, why, usage, code, pointer) -> None:
    assert why(reads, usage) == (code, pointer)


def test_conditions_are_declared(reads) -> None:
    usage = reads({"input": 1}, processing="batch", speed="fast", geo="us")

    assert (usage.processing, usage.speed, usage.geo) == ("batch", "fast", "us")


def test_only_a_claude_model_is_not_billed_for_a_refusal(reads) -> None:
    refused = {"stop_reason": "refusal", "content_empty": True}

    assert reads({"input": 1}, **refused).unbilled == "refused_before_output"
    assert reads({"input": 1}, provider="openai", model="gpt-5", **refused).unbilled == ""


def test_known_members_are_all(reads) -> None:
    record = posted.decode(msgspec.json.encode({**RECORD, "usage": {"input": 3}}))

    assert native.known_members(record) == b'{"input":3}'
