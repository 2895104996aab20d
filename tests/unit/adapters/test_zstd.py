"""zstd as it comes: see also tests/unit/domain/test_unpacking.py, which unpacks by it."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from batchmill.adapters.zstd import unpacked
from batchmill.domain.unpacking import BLOCK_BYTES, BadStream


def frame(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


def test_frames_are_unpacked_in_blocks_of_bounded_size_however_they_arrive() -> None:
    data = bytes(range(256)) * 20_000
    packed = frame(data) + frame(b"more")
    blocks = list(unpacked([b"", packed[:3], packed[3:700], b"", packed[700:]]))
    assert b"".join(blocks) == data + b"more"
    assert max(map(len, blocks)) <= BLOCK_BYTES


def test_nothing_is_read_ahead_of_what_is_asked_for_but_a_little() -> None:
    taken = 0

    def source() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield frame(b"x" * 2 * BLOCK_BYTES)

    next(unpacked(source()))
    assert taken < 5


def test_nothing_at_all_is_no_content() -> None:
    assert list(unpacked([])) == []


def test_what_is_no_frame_is_a_bad_stream() -> None:
    with pytest.raises(BadStream):
        list(unpacked([b"plain text"]))
