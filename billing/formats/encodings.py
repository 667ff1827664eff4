"""Undoing the compression of a body, with a bound on what comes out.

Whatever a few bytes claim to hold, no more is made of them than was asked for.
"""

import sys
import zlib
from collections.abc import Callable
from typing import Protocol

from billing.formats.errors import BodyError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Several members (of gzip) or frames (of zstd) after each other are one body. Tools that
# compress in parallel write one for every hundred kilobytes or so.
MAX_MEMBERS = 64

# 8 MB: what RFC 9659 lets a sender ask for as the window of zstd, and what a whole body
# needs at most.
_WINDOW_LOG = 23


class _Member(Protocol):
    """One member while it is read: `zlib`'s and `zstd`'s are alike in this."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _gzip_member() -> _Member:
    return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # with header and checksum


def _zstd_frame() -> _Member:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    return zstd.ZstdDecompressor(options=options)


_MEMBERS: dict[str, Callable[[], _Member]] = {"gzip": _gzip_member, "zstd": _zstd_frame}

NAMES = tuple(_MEMBERS)
"""The encodings that are read, as `Content-Encoding` and `Accept-Encoding` name them."""

_SAME_AS = {"x-gzip": "gzip"}  # RFC 9110, section 8.4.1.3


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """What `body` is without its `encoding` (the value of Content-Encoding).

    Raises BodyError and nothing else: 415 for another encoding or several of them, 413
    when more than `limit` bytes come out, 400 for what is not whole.
    """
    name = encoding.strip().lower()
    name = _SAME_AS.get(name, name)
    if name == "identity":
        return body
    if name not in _MEMBERS:
        raise BodyError(
            415,
            "unsupported_encoding",
            f"Bodies in {encoding!r} are not read: use {' or '.join(NAMES)}, once.",
        )
    try:
        return _inflated(body, name, limit)
    except (zlib.error, zstd.ZstdError) as error:
        raise _damaged(f"The body is not {name}: {error}.") from None


def _inflated(body: bytes, name: str, limit: int) -> bytes:
    parts = []
    room = limit + 1
    for _ in range(MAX_MEMBERS):
        member = _MEMBERS[name]()
        parts.append(member.decompress(body, room))
        room -= len(parts[-1])
        if not room:
            raise BodyError(
                413, "body_too_large", f"The body holds more than {limit} bytes of text."
            )
        if not member.eof:
            raise _damaged(f"The body ends within its {name}.")
        body = member.unused_data
        if not body:
            return b"".join(parts)
    raise _damaged(f"The body has more than {MAX_MEMBERS} parts of {name}.")


def _damaged(detail: str) -> BodyError:
    return BodyError(400, "bad_encoding", detail)
