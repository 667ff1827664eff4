"""The posted record: what a service may send, and what is wrong when it is refused."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Annotated, Literal, TypeVar
from uuid import UUID

import msgspec

from billing.formats import strict
from billing.formats.errors import RecordError
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Processing, Speed, Usage

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Place = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
Slug = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
TagKey = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
TagValue = Annotated[str, msgspec.Meta(max_length=200)]
Tags = Annotated[dict[TagKey, TagValue], msgspec.Meta(max_length=16)]
BatchResult = Literal["succeeded", "errored", "canceled", "expired"]
Endpoint = Literal["global", "regional"]

# Years in which a call can have happened. Outside of them time arithmetic (the month
# after, the local day) leaves the range of a datetime.
FIRST_YEAR, LAST_YEAR = 2000, 2199


class Record(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The members that posted records and quotes have in common.

    `processing`, `speed` and `geo` are what the caller says; a format may report them
    in `usage`, and what was reported is what was billed. `endpoint` is for names of
    models that do not say it. `product` is the provider's name for what was called,
    where that is not a model's own API. `usage` is an object that only its format
    understands.
    """

    occurred_at: datetime
    provider: Word
    model: Name
    usage: msgspec.Raw
    usage_format: Word | None = None
    project: Slug | None = None
    processing: Processing | None = None
    speed: Speed | None = None
    geo: Place | None = None
    endpoint: Endpoint | None = None
    product: Word | None = None
    stop_reason: Word | None = None
    content_empty: bool = False
    batch_result: BatchResult | None = None
    tags: Tags = {}


class PostedRecord(Record, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One call, to be counted once. `id` is the provider's response id if it has one.

    Without an id no retry could be told from a second call, so there is no default.
    `corrects` is the id of the record that this one stands in the place of, `hold` that
    of the hold it settles.
    """

    id: Name
    corrects: Name | None = None
    hold: Name | None = None


class QuoteRecord(Record, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One call, to be priced and not kept. `expected_usd` is the caller's own figure.

    The expectation has no influence on the price.
    """

    id: Name | None = None
    expected_usd: Word | None = None


_FIRST_CLASSES = 6

AnyRecord = TypeVar("AnyRecord", bound=Record)

_POSTED = msgspec.json.Decoder(PostedRecord)
_QUOTE = msgspec.json.Decoder(QuoteRecord)


def decode(raw: msgspec.Raw | bytes) -> PostedRecord:
    """Decode one posted record. Raises RecordError for each way it can be wrong."""
    record = _checked(strict.decode(_POSTED, bytes(raw)))
    if record.corrects == record.id:
        raise RecordError("corrects_itself", "/corrects", "A record cannot correct itself.")
    return record


def decode_quote(raw: msgspec.Raw | bytes) -> QuoteRecord:
    """Decode one record to be quoted. Raises RecordError like `decode`."""
    return _checked(strict.decode(_QUOTE, bytes(raw)))


class _Named(msgspec.Struct):
    id: str | None = None


def named(raw: msgspec.Raw | bytes) -> str | None:
    """Return the id of a record that may be wrong in other ways, to repeat it."""
    try:
        return msgspec.json.decode(raw, type=_Named).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # what is not readable has no id


def hold_of(record: PostedRecord) -> str | None:
    """Return the id of the hold that a record names, or None if it is none at all."""
    try:
        return record.hold and str(UUID(record.hold))
    except ValueError:
        return None


def check_window(
    occurred_at: datetime,
    now: datetime,
    oldest: timedelta | None,
    newest: timedelta,
) -> None:
    """Raise RecordError when a call lies too far back or ahead of `now`.

    Both ends belong to the window; without `oldest` it has no beginning. A time is
    never moved into the window: it would be counted on a day it did not happen.
    """
    age = now - occurred_at
    if -age <= newest and (oldest is None or age <= oldest):
        return
    begin = "any time" if oldest is None else (now - oldest).isoformat()
    raise RecordError(
        "time_out_of_window",
        "/occurred_at",
        f"{occurred_at.isoformat()} does not lie in the accepted window from {begin} "
        f"to {(now + newest).isoformat()}.",
    )


def fingerprint(record: Record, usage: Usage) -> bytes:
    """Return 16 bytes that two records share when they say the same about one call.

    What differs makes the same id a conflict: the normalised usage with its
    conditions, the tags, and which record it corrects. Left out are the identity
    itself (project, id), the hold, the order of members, and members of `usage` that its
    format does not know.
    """
    content: tuple[object, ...] = (
        usage.provider,
        usage.model,
        usage.occurred_at.astimezone(UTC),
        (usage.processing, usage.speed, usage.geo, usage.endpoint),
        [(step.model, _identifying(step.quantities)) for step in usage.steps],
        usage.unbilled,
        usage.thinking,
        sorted(record.tags.items()),
    )
    if isinstance(record, PostedRecord) and record.corrects is not None:
        content = (*content, record.corrects)
    return blake2b(msgspec.json.encode(content), digest_size=16).digest()


def _identifying(quantities: Quantities) -> Sequence[int]:
    """The classes that fingerprints began with, and all where a later one is used.

    So a record says the same as before there were more classes.
    """
    return quantities if any(quantities[_FIRST_CLASSES:]) else quantities[:_FIRST_CLASSES]


def _checked(record: AnyRecord) -> AnyRecord:
    if bytes(record.usage)[:1] != b"{":
        raise RecordError("wrong_type", "/usage", "Expected `object`.")
    occurred_at = _utc(record.occurred_at)
    if occurred_at is record.occurred_at:
        return record
    return msgspec.structs.replace(record, occurred_at=occurred_at)


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is UTC:
        utc = moment
    elif moment.tzinfo is None:
        raise RecordError(
            "naive_time",
            "/occurred_at",
            "The time needs a zone: end it with Z or an offset such as +02:00.",
        )
    else:
        try:
            utc = moment.astimezone(UTC)
        except OverflowError:
            raise _implausible() from None
    if not FIRST_YEAR <= utc.year <= LAST_YEAR:
        raise _implausible()
    return utc


def _implausible() -> RecordError:
    return RecordError(
        "bad_time",
        "/occurred_at",
        f"The time does not lie in the years {FIRST_YEAR} to {LAST_YEAR} (UTC).",
    )
