"""Compressed streams: several in one, in any slices, damaged, cut off, and bombs."""

from __future__ import annotations

import bz2
import gzip
import random
import tracemalloc
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchmill.adapters.zstd import unpacked as zstd
from batchmill.domain.errors import InputChanged
from batchmill.domain.formats import Compression
from batchmill.domain.unpacking import BLOCK_BYTES, BadStream, Unpacked

SKIPPED = b"\x53\x2a\x4d\x18\x05\x00\x00\x00hello"
"""A zstd frame that is to be skipped."""


def zstd_frame(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


PACK: dict[Compression, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress, "zstd": zstd_frame}
KINDS = list(PACK)


def slices(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def content(kind: Compression, packed: bytes, size: int = 1000) -> bytes:
    return b"".join(Unpacked(kind, slices(packed, size), zstd))


def text(size: int, seed: int = 1) -> bytes:
    drawn = random.Random(seed)
    words = [b"word%d" % drawn.randrange(5000) for _ in range(size // 7)]
    return b" ".join(words)


def drain(blocks: Iterable[bytes], into: bytearray) -> None:
    for block in blocks:
        into += block


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.binary(max_size=3000), min_size=1, max_size=4), size=st.integers(1, 400))
def test_streams_one_after_the_other_are_one_content_however_they_are_sliced(
    kind: Compression, parts: list[bytes], size: int
) -> None:
    packed = b"".join(PACK[kind](part) for part in parts)
    assert content(kind, packed, size) == b"".join(parts)


@pytest.mark.parametrize("kind", KINDS)
def test_no_block_is_large_and_both_sides_are_counted(kind: Compression) -> None:
    data = text(5 * BLOCK_BYTES)
    packed = PACK[kind](data)
    unpacked = Unpacked(kind, [packed], zstd)
    assert max(len(block) for block in unpacked) <= BLOCK_BYTES
    assert (unpacked.taken, unpacked.given, unpacked.bomb) == (len(packed), len(data), False)


def test_zstd_frames_that_are_to_be_skipped_are() -> None:
    packed = SKIPPED + zstd_frame(b"one ") + SKIPPED + zstd_frame(b"two") + SKIPPED
    assert content("zstd", packed) == b"one two"


def test_gzips_zeros_between_members_and_behind_are_padding() -> None:
    packed = gzip.compress(b"one ") + bytes(700) + gzip.compress(b"two") + bytes(512)
    assert content("gzip", packed, 100) == b"one two"


@pytest.mark.parametrize("kind", ["gzip", "bzip2"])
def test_unpacking_can_begin_anew_where_the_latest_stream_begins(kind: Compression) -> None:
    first, second = text(300_000), text(200_000, seed=2)
    packed = PACK[kind](first) + PACK[kind](second)
    unpacked = Unpacked(kind, slices(packed, 10_000), zstd)
    blocks = iter(unpacked)
    given_before = b""
    while not unpacked.restart[0]:
        given_before += next(blocks)
    taken, given = unpacked.restart
    assert (taken, given) == (len(PACK[kind](first)), len(first))
    assert content(kind, packed[taken:]) == second


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_stream_that_was_cut_off_says_so_after_what_it_held(kind: Compression, kept: float) -> None:
    data = text(3_000_000)
    packed = PACK[kind](data)
    unpacked = Unpacked(kind, [packed[: int(len(packed) * kept)]], zstd)
    found = bytearray()
    with pytest.raises(BadStream, match=r"cut off|Truncated"):
        drain(unpacked, found)
    assert data.startswith(bytes(found))
    assert unpacked.given == len(found) >= len(data) * (kept - 0.35)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behind", [b"garbage and more of it", b"\x1f\x8b"])
def test_what_follows_a_stream_and_is_none_is_damage(kind: Compression, behind: bytes) -> None:
    with pytest.raises(BadStream):
        content(kind, PACK[kind](b"whole") + behind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte_in_the_middle_is_damage(kind: Compression) -> None:
    packed = bytearray(PACK[kind](text(400_000)))
    for at in range(len(packed) // 2, len(packed) // 2 + 8):
        packed[at] ^= 0x5A
    with pytest.raises(BadStream):
        content(kind, bytes(packed))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_such_stream_at_all_is_damage(kind: Compression) -> None:
    with pytest.raises(BadStream):
        content(kind, b'{"text": "plain"}\n')


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_is_seen_early_and_never_held(kind: Compression) -> None:
    zeros = bytes(10_000_000)
    packed = b"".join(PACK[kind](zeros) for _ in range(20)) if kind != "gzip" else gzip.compress(bytes(200_000_000), 9)
    unpacked = Unpacked(kind, slices(packed, 64), zstd)
    tracemalloc.start()
    try:
        for _ in unpacked:
            if unpacked.bomb:
                break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert unpacked.bomb
    assert unpacked.given < 30_000_000
    assert peak < 8 * BLOCK_BYTES


def test_what_the_source_raises_comes_through() -> None:
    def source() -> Iterable[bytes]:
        yield zstd_frame(text(100_000))[:500]
        raise InputChanged("overwritten")

    with pytest.raises(InputChanged):
        list(Unpacked("zstd", source(), zstd))


def test_a_zstd_window_that_would_need_too_much_memory_is_refused() -> None:
    # A frame header: magic, descriptor (no single segment, no size), window of 2 GiB (exponent 21, mantissa 0).
    header = b"\x28\xb5\x2f\xfd" + bytes([0x00, 21 << 3])
    with pytest.raises(BadStream, match="memory"):
        content("zstd", header + b"\x01\x00\x00" + bytes(100))
