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


Reader = Callable[..., Usage]


@pytest.fixture
def reader() -> Callable[..., Reader]:
    """Makes what reads whole `usage` objects of one provider's record."""

    def make(**members: Any) -> Reader:
        def run(usage: dict[str, Any] | bytes, **changes: Any) -> Usage:
            made = {**RECORD, **members, **changes}
            written = usage if isinstance(usage, bytes) else msgspec.json.encode(usage)
            made["usage"] = msgspec.Raw(written)
            return registry.read(posted.decode(msgspec.json.encode(made)))

        return run

    return make


@pytest.fixture
def why() -> Callable[..., tuple[str, str]]:
    """Code and pointer of the error with which such a reader refuses."""

    def run(
        reads: Reader, usage: dict[str, Any] | bytes, **changes: Any
    ) -> tuple[str, str]:
        with pytest.raises(RecordError) as caught:
            reads(usage, **changes)
        return caught.value.code, caught.value.pointer

    return run
