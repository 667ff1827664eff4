import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing.formats.encodings import MAX_MEMBERS, NAMES, inflate, zstd
from billing.formats.errors import BodyError

LIMIT = 100_000
BODY = json.dumps([{"id": f"msg_{number}"} for number in range(200)]).encode()


def compressed_by_zstd(content: bytes) -> bytes:
    return zstd.compress(content, options={zstd.CompressionParameter.checksum_flag: 1})


BY_NAME: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": compressed_by_zstd,
}

each_encoding = pytest.mark.parametrize("name", NAMES)


def refused(content: bytes, encoding: str, limit: int = LIMIT) -> BodyError:
    with pytest.raises(BodyError) as caught:
        inflate(content, encoding, limit)
    return caught.value


# --- What is taken


@each_encoding
def test_whole_body_comes_out(name: str) -> None:
    assert inflate(BY_NAME[name](BODY), name, LIMIT) == BODY


@pytest.mark.parametrize("said", ["GZIP", " gzip ", "x-gzip", "X-Gzip"])
def test_name_is_read_as_http_means_it(said: str) -> None:
    assert inflate(gzip.compress(BODY), said, LIMIT) == BODY


@pytest.mark.parametrize("said", ["identity", "Identity"])
def test_identity_changes_nothing(said: str) -> None:
    assert inflate(BODY, said, LIMIT) == BODY


@each_encoding
def test_parts_after_each_other_are_one_body(name: str) -> None:
    parts = [BODY[start : start + 100] for start in range(0, len(BODY), 100)]

    assert inflate(b"".join(map(BY_NAME[name], parts)), name, LIMIT) == BODY


@each_encoding
def test_empty_content_is_an_empty_body(name: str) -> None:
    assert inflate(BY_NAME[name](b""), name, LIMIT) == b""


@given(content=st.binary(max_size=2_000), name=st.sampled_from(NAMES))
def test_what_is_compressed_comes_out_as_it_was(content: bytes, name: str) -> None:
    assert inflate(BY_NAME[name](content), name, 2_000) == content


# --- How much of it


@each_encoding
def test_limit_itself_is_taken_and_one_byte_more_is_not(name: str) -> None:
    assert len(inflate(BY_NAME[name](b"x" * LIMIT), name, LIMIT)) == LIMIT

    error = refused(BY_NAME[name](b"x" * (LIMIT + 1)), name)

    assert (error.status, error.code) == (413, "body_too_large")


@each_encoding
def test_limit_is_of_all_parts_together(name: str) -> None:
    half = BY_NAME[name](b"x" * (LIMIT // 2))

    assert len(inflate(half + half, name, LIMIT)) == LIMIT
    assert refused(half + half + BY_NAME[name](b"x"), name).status == 413


@each_encoding
def test_many_empty_parts_are_refused(name: str) -> None:
    part = BY_NAME[name](b"")

    assert inflate(part * MAX_MEMBERS, name, LIMIT) == b""
    assert refused(part * (MAX_MEMBERS + 1), name).code == "bad_encoding"


@each_encoding
def test_what_is_compressed_twice_is_undone_once(name: str) -> None:
    once = BY_NAME[name](b"x" * LIMIT * 10)

    assert inflate(BY_NAME[name](once), name, LIMIT) == once


_BOMB = """
import resource, sys
from billing.formats.encodings import inflate
from billing.formats.errors import BodyError

def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

bomb = sys.stdin.buffer.read()
before = used()
seconds = -resource.getrusage(resource.RUSAGE_SELF).ru_utime
try:
    inflate(bomb, sys.argv[1], 2_000_000)
except BodyError as error:
    seconds += resource.getrusage(resource.RUSAGE_SELF).ru_utime
    print(error.status, used() - before, seconds)
"""


def _gzip_bomb(zeros: int) -> bytes:
    packing = zlib.compressobj(wbits=31)
    block = bytes(1_000_000)
    return b"".join(
        [packing.compress(block) for _ in range(zeros // len(block))] + [packing.flush()]
    )


def _zstd_bomb(zeros: int) -> bytes:
    packing = zstd.ZstdCompressor()
    block = bytes(1_000_000)
    return b"".join(
        [packing.compress(block) for _ in range(zeros // len(block))] + [packing.flush()]
    )


@pytest.mark.parametrize(
    ("name", "bomb"),
    [
        ("gzip", lambda: _gzip_bomb(300_000_000)),
        ("zstd", lambda: _zstd_bomb(1_000_000_000)),
        ("gzip", lambda: gzip.compress(b"x" * 1_990_000) * 64),
        ("gzip", lambda: gzip.compress(b"") * 90_000),
        ("zstd", lambda: zstd.compress(b"") * 150_000),
    ],
    ids=["gzip", "zstd", "members", "empty-members", "empty-frames"],
)
def test_bomb_costs_neither_memory_nor_time(name: str, bomb: Callable[[], bytes]) -> None:
    content = bomb()
    assert len(content) < 2_000_000  # what is read of a body at all

    done = subprocess.run(
        [sys.executable, "-c", _BOMB, name], input=content, capture_output=True, check=True
    )

    status, grown, seconds = done.stdout.split()
    assert status in (b"400", b"413")
    assert int(grown) < 32_000_000
    assert float(seconds) < 2


# --- What is not whole


@each_encoding
def test_body_that_was_cut_off_is_refused_wherever_it_was(name: str) -> None:
    content = BY_NAME[name](BODY)

    codes = {refused(content[:length], name).code for length in range(len(content))}

    assert codes == {"bad_encoding"}


@each_encoding
def test_what_stands_behind_the_body_is_refused(name: str) -> None:
    for garbage in (b"\0", b"garbage", BODY):
        assert refused(BY_NAME[name](BODY) + garbage, name).code == "bad_encoding"


@each_encoding
def test_wrong_checksum_is_refused(name: str) -> None:
    content = bytearray(BY_NAME[name](BODY))
    content[-1 if name == "zstd" else -5] ^= 1  # gzip ends with the length

    assert refused(bytes(content), name).code == "bad_encoding"


def test_wrong_length_of_gzip_is_refused() -> None:
    content = bytearray(gzip.compress(BODY))
    content[-1] ^= 1

    assert refused(bytes(content), "gzip").code == "bad_encoding"


@each_encoding
def test_plain_body_that_is_said_to_be_compressed_is_refused(name: str) -> None:
    error = refused(BODY, name)

    assert (error.status, error.code) == (400, "bad_encoding")
    assert name in error.detail


def test_frame_that_asks_for_too_much_memory_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 27}
    packing = zstd.ZstdCompressor(options=options)
    content = packing.compress(BODY) + packing.flush()

    assert refused(content, "zstd").code == "bad_encoding"


@pytest.mark.parametrize(
    "said", ["deflate", "br", "compress", "gzip, gzip", "gzip,zstd", "", "gz\x00ip", "é"]
)
def test_other_encodings_are_refused(said: str) -> None:
    error = refused(gzip.compress(BODY), said)

    assert (error.status, error.code) == (415, "unsupported_encoding")


@given(content=st.binary(max_size=300), name=st.sampled_from(NAMES))
@example(content=b"\x1f\x8b\x08\xff" + bytes(20), name="gzip")
@example(content=b"\x50\x2a\x4d\x18\xff\xff\xff\xff", name="zstd")  # to be skipped
@example(content=b"\x50\x2a\x4d\x18\x01\x00\x00\x00x", name="zstd")
def test_any_bytes_are_inflated_within_the_limit_or_refused(
    content: bytes, name: str
) -> None:
    for start in (b"", BY_NAME[name](BODY)[:20]):
        with suppress(BodyError):
            assert len(inflate(start + content, name, 500)) <= 500
