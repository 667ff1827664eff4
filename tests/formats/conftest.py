"""Posted records as a service would write them."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import settings

from billing.formats import posted, registry
from billing.formats.errors import RecordError
from billing.pricing.usage import Usage

# Time says nothing about a rule, and the machines that test are shared.
settings.register_profile("rules", deadline=None)
settings.load_profile("rules")

RECORD = {
    "id": "msg_01",
    "occurred_at": "2026-11-22T12:00:00Z",
    "provider": "anthropic",
    "model": "claude-opus-5",
    "usage": {"input_tokens": 10, "output_tokens": 20},
}


@pytest.fixture
def record() -> Callable[..., bytes]:
    """A record as JSON, with members changed or (UNSET) left out."""

    def make(**changes: Any) -> bytes:
        members = {**RECORD, **changes}
        return msgspec.json.encode(
            {name: value for name, value in members.items() if value is not msgspec.UNSET}
        )

    return make


@pytest.fixture
def read(record: Callable[..., bytes]) -> Callable[..., Usage]:
    """The usage that is read from a record with these members of `usage`."""

    def run(usage: dict[str, Any] | None = None, **changes: Any) -> Usage:
        counts = {**RECORD["usage"], **(usage or {})}  # type: ignore[dict-item]
        return registry.read(posted.decode(record(usage=counts, **changes)))

    return run


@pytest.fixture
def refused(read: Callable[..., Usage]) -> Callable[..., RecordError]:
    """Why such a record is refused."""

    def run(usage: dict[str, Any] | None = None, **changes: Any) -> RecordError:
        with pytest.raises(RecordError) as caught:
            read(usage, **changes)
        return caught.value

    return run
