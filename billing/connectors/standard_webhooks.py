"""Signatures of webhooks after the Standard Webhooks specification, symmetric variant.

The receiver checks them with any library of https://www.standardwebhooks.com. The id
says which message this is, in every attempt; the timestamp says when this attempt was
made, so that a copy of it is refused after a few minutes.
"""

import base64
import binascii
import hmac
import secrets as randomness
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

_PREFIX = "whsec_"
# The specification allows 24 to 64.
_SECRET_BYTES = 24
_MAX_SECRET_BYTES = 64


def new_secret() -> str:
    random = randomness.token_bytes(_SECRET_BYTES)
    return _PREFIX + base64.b64encode(random).decode()


def message_id(uid: UUID) -> str:
    """What a receiver sees of a message's identity."""
    return f"msg_{uid.hex}"


def headers(
    *, message: str, at: datetime, body: bytes, secrets: Sequence[str]
) -> dict[str, str]:
    """The three headers of one attempt, signed with each secret (two while one rotates).

    Raises ValueError when there is no secret, or one is malformed.
    """
    if not secrets:
        raise ValueError("a webhook is signed with at least one secret")
    timestamp = str(int(at.timestamp()))
    signed = b".".join([message.encode(), timestamp.encode(), body])
    return {
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    digest = hmac.digest(_key(secret), signed, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    fits = _SECRET_BYTES <= len(key) <= _MAX_SECRET_BYTES
    if not (fits and secret.startswith(_PREFIX)):
        # Says nothing of the secret itself.
        raise ValueError(f"a secret is {_PREFIX} and base64 of 24 to 64 bytes")
    return key
