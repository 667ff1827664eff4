"""A call that is about to be made: what it is expected to use, or to cost."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Annotated, Any

import msgspec

from billing.formats import registry, strict
from billing.formats.counts import Count
from billing.formats.errors import RecordError
from billing.formats.posted import Endpoint, Name, Place, QuoteRecord, Slug, Tags, Word
from billing.pricing import money, worst_case
from billing.pricing.rates import RateBook
from billing.pricing.usage import Processing, Speed, Usage
from billing.pricing.worst_case import WorstCase

LONGEST_SECONDS = 3_600
# More than any amount that is kept.
_TOO_MUCH = 10**12

_Tokens = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
_Seconds = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_SECONDS)]
_Amount = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]

# Who is called when nobody says so and nobody knows the model.
_ANYBODY = "unknown"


class ExpectedCall(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One coming call, in one of three ways.

    `usage` is what it is expected to use, as it would be posted. Or only its limits are
    known: `prompt_tokens` in, `max_tokens` out. Or the caller has an `estimate` of its
    own, in the organization's currency. Without `provider` the model is looked for at
    every one. The others are as in a posted record.
    """

    model: Name
    project: Slug | None = None
    provider: Word | None = None
    usage: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    prompt_tokens: Count | None = None
    max_tokens: _Tokens | None = None
    estimate: _Amount | None = None
    usage_format: Word | None = None
    processing: Processing | None = None
    speed: Speed | None = None
    geo: Place | None = None
    endpoint: Endpoint | None = None
    product: Word | None = None
    tags: Tags = {}
    expires_in: _Seconds = 600


class Question(msgspec.Struct, kw_only=True, frozen=True):
    """What may be spent on a project now; the model and the amount may be left open."""

    project: Slug | None = None
    provider: Word | None = None
    model: Name | None = None
    processing: Processing | None = None
    estimate: _Amount | None = None


_CALL = msgspec.json.Decoder(ExpectedCall)
_QUESTION = msgspec.json.Decoder(Question)


def decode(body: bytes) -> ExpectedCall:
    """Decode one coming call. Raises RecordError for each way it can be wrong."""
    call = strict.decode(_CALL, body)
    ways = {
        "/usage": call.usage is not msgspec.UNSET,
        "/max_tokens": call.max_tokens is not None,
        "/estimate": call.estimate is not None,
    }
    said = [pointer for pointer, is_said in ways.items() if is_said]
    if not said:
        raise RecordError(
            "missing_field",
            "/usage",
            "Say what the call will use: usage, or prompt_tokens and max_tokens, or an "
            "estimate.",
        )
    if len(said) > 1 or (call.prompt_tokens is not None and said != ["/max_tokens"]):
        raise RecordError(
            "contradiction",
            said[-1],
            "Say it in one way: usage, or prompt_tokens and max_tokens, or an estimate.",
        )
    if call.max_tokens is not None and call.prompt_tokens is None:
        raise RecordError(
            "missing_field", "/prompt_tokens", "max_tokens needs prompt_tokens beside it."
        )
    if call.usage is not msgspec.UNSET and bytes(call.usage)[:1] != b"{":
        raise RecordError("wrong_type", "/usage", "Expected `object`.")
    return call


def decode_question(parameters: Mapping[str, Any]) -> Question:
    """Read the parameters of an address. Raises RecordError like `decode`."""
    return strict.decode(_QUESTION, msgspec.json.encode(parameters))


def amount(estimate: str) -> Decimal:
    """Return an estimate as an amount of the currency. Raises RecordError."""
    try:
        value = money.amount(estimate)
        money.whole(value)
    except ValueError as error:
        raise RecordError(
            "bad_value", "/estimate", "Expected an amount such as 0.25, as text."
        ) from error
    if not 0 <= value < _TOO_MUCH:
        detail = f"Expected an amount >= 0 and below {_TOO_MUCH}."
        raise RecordError("out_of_range", "/estimate", detail)
    return value


def cost(call: ExpectedCall, book: RateBook, at: datetime) -> WorstCase:
    """Return what the call costs at most at the prices of a moment.

    Where no provider is said, and several have a price for such a call, it is the dearest
    one's. Raises RecordError like a posted record.
    """
    if call.estimate is not None:
        return WorstCase(money.whole(amount(call.estimate)))
    at_most = worst_case.of_prompt if call.usage is msgspec.UNSET else worst_case.of_usage
    providers = [call.provider] if call.provider else book.providers_of(call.model)
    return worst_case.dearest(
        [at_most(_usage(call, provider, at), book) for provider in providers or [_ANYBODY]]
    )


def is_free(
    *,
    model: str,
    provider: str | None,
    processing: Processing | None,
    book: RateBook,
    at: datetime,
) -> bool:
    """Whether the rates say that a model costs nothing, whatever is asked of it."""
    call = ExpectedCall(
        model=model,
        provider=provider,
        processing=processing,
        prompt_tokens=1,
        max_tokens=1,
    )
    return cost(call, book, at).is_free


def _usage(call: ExpectedCall, provider: str, at: datetime) -> Usage:
    """Tokens of which only the limits are known are `input` and `output`."""
    its_usage, usage_format = call.usage, call.usage_format
    if its_usage is msgspec.UNSET:
        counts = {"input": call.prompt_tokens, "output": call.max_tokens}
        its_usage, usage_format = msgspec.Raw(msgspec.json.encode(counts)), "native"
    return registry.read(
        QuoteRecord(
            occurred_at=at,
            provider=provider,
            model=call.model,
            usage=its_usage,
            usage_format=usage_format,
            processing=call.processing,
            speed=call.speed,
            geo=call.geo,
            endpoint=call.endpoint,
            product=call.product,
            tags=call.tags,
        )
    )


def fingerprint(call: ExpectedCall, project_id: int) -> bytes:
    """Return 16 bytes that two requests share when they ask for the same hold."""
    said = msgspec.json.encode((project_id, call), order="sorted")
    return blake2b(said, digest_size=16).digest()
