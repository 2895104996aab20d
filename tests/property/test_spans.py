"""Sharding tiles the input, whatever the input and wherever it is cut."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchmill.domain.csvrows import csv_rows, cuts
from batchmill.domain.lines import Line, count_starts, owned_lines
from batchmill.domain.span import Span, cut, gap

LINES = st.lists(st.binary(max_size=9).map(lambda data: data.replace(b"\n", b"")), max_size=12)
TEXT = st.builds(lambda lines, end: b"\n".join(lines) + end, LINES, st.sampled_from([b"", b"\n"]))


def blocks(data: bytes, start: int, size: int) -> Iterator[bytes]:
    """The data from `start` on, in blocks."""
    return (data[at : at + size] for at in range(start, len(data), size))


def whole_lines(data: bytes) -> list[Line]:
    """The lines as somebody reads them who has all the bytes."""
    found, offset = [], 0
    for piece in data.splitlines(keepends=True) if b"\r" not in data else _split(data):
        found.append(Line(offset, piece.removesuffix(b"\n")))
        offset += len(piece)
    return found


def _split(data: bytes) -> list[bytes]:
    pieces = [piece + b"\n" for piece in data.split(b"\n")]
    pieces[-1] = pieces[-1][:-1]
    return [piece for piece in pieces if piece]


@given(size=st.integers(0, 10**13), target=st.integers(10**9, 10**12))
def test_cuts_tile_and_none_is_larger_than_asked(size: int, target: int) -> None:
    ranges = cut(size, target)
    assert gap((Span(0, start, end) for start, end in ranges), [size]) is None
    assert all(0 < end - start <= target for start, end in ranges)


@given(data=TEXT, target=st.integers(1, 30), block=st.integers(1, 9))
def test_every_line_belongs_to_exactly_one_range(data: bytes, target: int, block: int) -> None:
    data = data.replace(b"\r", b"")
    owned = [
        line
        for start, end in cut(len(data), target)
        for line in owned_lines(blocks(data, max(start - 1, 0), block), start, end)
    ]
    assert owned == whole_lines(data)


@given(data=TEXT, target=st.integers(1, 30), block=st.integers(1, 9))
def test_a_range_knows_the_number_of_its_first_line(data: bytes, target: int, block: int) -> None:
    data = data.replace(b"\r", b"")
    ranges = cut(len(data), target)
    numbers, total = count_starts(blocks(data, 0, block), [start for start, _ in ranges])
    assert total == len(whole_lines(data))
    for (start, end), number in zip(ranges, numbers, strict=True):
        for line in owned_lines(blocks(data, max(start - 1, 0), block), start, end):
            assert number == data[: line.offset].count(b"\n") + 1
            break


FIELD = st.text(st.sampled_from('ab,"\n \r;é'), max_size=5)


@given(
    rows=st.lists(st.tuples(FIELD, FIELD), max_size=15),
    target=st.integers(1, 60),
    terminator=st.sampled_from(["\n", "\r\n"]),
)
def test_a_csv_read_in_pieces_gives_the_rows_of_the_whole(
    rows: list[tuple[str, str]], target: int, terminator: str
) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator=terminator, quoting=csv.QUOTE_ALL).writerows([("x", "y"), *rows])
    data = out.getvalue().encode()
    found = cuts(whole_lines(data), target)
    ends = [offset for offset, _ in found.starts[1:]] + [len(data)]
    read = []
    for (start, number), end in zip(found.starts, ends, strict=True):
        piece = [line for line in whole_lines(data) if start <= line.offset < end]
        read += [row.columns for row in csv_rows(piece, number, found.header, skip_header=start == 0)]
    # All is quoted: the writer leaves a lone carriage return bare, which is no RFC 4180.
    assert read == [{"x": x, "y": y} for x, y in rows]
    assert found.records == len(rows)


@pytest.mark.parametrize(
    ("spans", "sizes", "fault"),
    [
        ([Span(0, 0, 4)], [5], "object 0 ends at byte 5, its spans at byte 4"),
        ([Span(0, 0, 4), Span(0, 3, 5)], [5], "overlap in object 0: bytes 3 to 4"),
        ([Span(0, 0, 2), Span(0, 3, 5)], [5], "gap in object 0: bytes 2 to 3"),
        ([Span(1, 0, 2)], [2], "a span names object 1, of 1"),
        ([], [1], "object 0 ends at byte 1, its spans at byte 0"),
        ([Span(0, 0, 5), Span(1, 0, 2)], [5, 2], None),
        ([], [0], None),
    ],
)
def test_what_does_not_tile_is_named(spans: list[Span], sizes: list[int], fault: str | None) -> None:
    assert gap(spans, sizes) == fault
