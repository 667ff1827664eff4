"""Charts as pictures, where nothing draws them: in an e-mail."""

import struct
import zlib
from typing import NamedTuple

from billing.charts.look import Spec, resolved

# Of the picture as it is shown, in pixels; it has twice as many.
WIDTH = 560
_SCALE = 2

# What the names of colours mean in the light.
LIGHT = {
    "--font": "Liberation Sans, Arial, sans-serif",
    "--surface": "#ffffff",
    "--ink": "#15202b",
    "--muted": "#54616e",
    "--line": "#e3e7ec",
    "--over": "#b3261e",
    "--risk": "#8f4e00",
    "--series-1": "#0b6bbd",
    "--series-2": "#e69f00",
    "--series-3": "#0a8f6a",
    "--series-4": "#b0508f",
    "--series-5": "#7cc4ee",
    "--series-6": "#cc4e00",
    "--series-7": "#77750c",
    "--series-other": "#98a3ae",
}


class Picture(NamedTuple):
    """A chart, and the same in a sentence for whoever sees no pictures."""

    spec: Spec
    words: str


def png(spec: Spec) -> bytes:
    """A PNG, in light colours on white. Half a second the first time, a tenth after that.

    Raises ValueError for a specification that cannot be drawn.
    """
    # Large, and wanted by nobody who draws nothing.
    import vl_convert

    shown = {
        **resolved(spec, LIGHT),
        "width": WIDTH,
        "background": LIGHT["--surface"],
        "padding": 12,
    }
    drawn: bytes = vl_convert.vegalite_to_png(shown, scale=_SCALE, allowed_base_urls=[])
    return _packed(drawn)


_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _packed(picture: bytes) -> bytes:
    """The same picture, its pixels compressed as far as they go."""
    kept, pixels, at = [_SIGNATURE], b"", len(_SIGNATURE)
    while at < len(picture):
        (size,) = struct.unpack_from(">I", picture, at)
        kind, end = picture[at + 4 : at + 8], at + 12 + size
        if kind == b"IDAT":
            pixels += picture[at + 8 : at + 8 + size]
        else:
            if kind == b"IEND":
                kept.append(_chunk(b"IDAT", zlib.compress(zlib.decompress(pixels), 9)))
            kept.append(picture[at:end])
        at = end
    return b"".join(kept)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
