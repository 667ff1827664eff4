import pytest

from billing.formats import posted, registry
from billing.formats.errors import RecordError


def test_format_is_the_providers_own_by_default(record) -> None:
    named = posted.decode(record(usage_format="anthropic"))

    assert registry.read(named) == registry.read(posted.decode(record()))


def test_named_format_is_read_for_any_provider(record) -> None:
    found = posted.decode(record(provider="gateway", usage_format="anthropic"))

    assert registry.read(found).provider == "gateway"


@pytest.mark.parametrize(
    "changes",
    [
        {"provider": "gateway"},
        {"usage_format": "openai_chat"},
        {"usage_format": "ANTHROPIC"},
    ],
)
def test_unknown_format_is_refused(record, changes) -> None:
    with pytest.raises(RecordError) as caught:
        registry.read(posted.decode(record(**changes)))

    assert (caught.value.code, caught.value.pointer) == (
        "unknown_usage_format",
        "/usage_format",
    )
    assert "anthropic" in caught.value.detail
    assert next(iter(changes.values())) in caught.value.detail


def test_every_default_is_a_format() -> None:
    assert set(registry.DEFAULT_FORMAT.values()) <= set(registry.FORMATS)
