from pathlib import Path

import pytest

from batchmill.domain.errors import AlreadyExists, Gone
from benchmarks import sparse
from benchmarks.sparse import DATA, ETAG, INPUT, CountingObjects

TAIL = b"footer" + (6).to_bytes(4, "little") + b"PAR1"


def test_a_tiled_content_is_the_same_bytes_whatever_the_ranges() -> None:
    content = sparse.tiled(b"abcde", b"head")
    whole = b"head" + b"abcde" * 10
    assert content(0, len(whole)) == whole
    assert all(content(low, high) == whole[low:high] for low in range(30) for high in range(low, 31))


def test_a_content_with_an_end_is_zeros_between_its_magic_and_its_footer() -> None:
    content = sparse.ending(TAIL, 100)
    whole = b"PAR1" + bytes(100 - 4 - len(TAIL)) + TAIL
    assert content(0, 100) == whole
    assert all(content(low, high) == whole[low:high] for low in range(0, 100, 3) for high in range(low, 101, 7))


def test_a_terabyte_is_read_where_it_is_asked_for() -> None:
    tile = sparse.jsonl_tile()
    at = 10**12 - 1000
    assert sparse.tiled(tile)(at, at + 1000) == (tile * 2)[at % len(tile) :][:1000]


def test_tiles_are_made_of_whole_rows_and_are_the_same_each_time() -> None:
    for made in (sparse.jsonl_tile, sparse.csv_tile):
        assert made() == made()
        assert made().endswith(b"\n")
        assert len(made()) >= sparse.TILE_BYTES


def test_a_stored_content_is_the_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    assert sparse.stored(tmp_path / "file")(3, 7) == b"3456"


def test_requests_and_bytes_of_the_inputs_are_counted_and_what_is_written_is_not() -> None:
    objects = CountingObjects({"in/a": (10, sparse.tiled(b"ab")), "in/b": (4, sparse.tiled(b"c"))})
    info = objects.head(INPUT, "in/a")
    assert (info.size, info.etag) == (10, ETAG)
    assert objects.read(info, 8, 50) == b"ab"
    assert [one.key for one in objects.list(INPUT, "in/")] == ["in/a", "in/b"]
    objects.put(DATA, "plan", b"{}")
    assert objects.get(DATA, "plan") == b"{}"
    assert [(one.key, one.size) for one in objects.list(DATA, "")] == [("plan", 2)]
    assert (objects.requests, objects.bytes_read) == (3, 2)
    with pytest.raises(AlreadyExists):
        objects.create(DATA, "plan", b"", {})
    with pytest.raises(Gone):
        objects.head(DATA, "other")
