"""How many tokens a text is to a Claude model, asked of Anthropic.

`POST /v1/messages/count_tokens`: the text goes there, and nowhere else. The count is of a
message of one user with this text; what it adds to the text is a few tokens.
Source: the provider's pages on token counting.
"""

import json

import msgspec

from billing.connectors import outgoing
from billing.connectors.outgoing import INTERNET, Network, NotSent

_VERSION = "2023-06-01"
_SECONDS = 8.0
_REFUSALS = {
    401: "the API key is not accepted",
    403: "the API key may not count tokens",
    404: "it knows no such model",
    413: "the text is too long",
    429: "it is asked too often at the moment",
}


class NotCounted(Exception):
    """There is no count. The text says why, and nothing of what was sent."""


class _Counted(msgspec.Struct):
    input_tokens: int


_ANSWER = msgspec.json.Decoder(_Counted)


def count(
    text: str,
    model: str,
    *,
    api_key: str,
    url: str,
    allow: frozenset[str],
    network: Network = INTERNET,
) -> int:
    """Return the tokens of a text for a model, by the provider's name of it.

    `url` is the API's base; `allow` as in `outgoing`. Raises NotCounted.
    """
    message = {"model": model, "messages": [{"role": "user", "content": text}]}
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Purser",
        "anthropic-version": _VERSION,
        "x-api-key": api_key,
    }
    try:
        reply = outgoing.post(
            f"{url.rstrip('/')}/v1/messages/count_tokens",
            json.dumps(message).encode(),
            headers,
            allow=allow,
            timeout=_SECONDS,
            network=network,
        )
    except NotSent as error:
        raise NotCounted(str(error)) from error
    if reply.status != 200:
        raise NotCounted(_REFUSALS.get(reply.status, f"it answered {reply.status}"))
    try:
        return _ANSWER.decode(reply.body).input_tokens
    except msgspec.MsgspecError:
        raise NotCounted("its answer has no count") from None
