"""Pieces of a stream: the same however it arrives, whole records, bounded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchmill.domain.pieces import Piece, PieceName, Pieces, PieceSizes

SIZES = PieceSizes(limit=64, record=16, mark=8)

line = st.one_of(
    st.text("ab\r", max_size=6),
    st.just('"q,\n"'),
    st.just('x,"open'),
    st.just('"",'),
    st.integers(10, 90).map(lambda size: "y" * size),
    st.integers(10, 40).map(lambda size: '"' + "z\n" * size),
)
stream = st.lists(line, max_size=40).map(lambda lines: "\n".join(lines).encode())


def cut(data: bytes, size: int, delimiter: str | None) -> list[Piece]:
    pieces = Pieces(SIZES, delimiter)
    found = [piece for at in range(0, len(data), size) for piece in pieces.add(data[at : at + size])]
    return [*found, pieces.rest()]


def extents(found: list[Piece]) -> Iterator[tuple[Piece, int, int]]:
    """Each piece with where it begins in the stream, and the number of the line there."""
    at, number = 0, 1
    for piece in found:
        yield piece, at, number
        at, number = piece.end, piece.next_line


@pytest.mark.parametrize("delimiter", [None, ","])
@settings(max_examples=300)
@given(data=stream, size=st.integers(1, 200))
def test_pieces_do_not_depend_on_how_the_stream_arrives(delimiter: str | None, data: bytes, size: int) -> None:
    assert cut(data, size, delimiter) == cut(data, len(data) or 1, delimiter)


@pytest.mark.parametrize("delimiter", [None, ","])
@settings(max_examples=300)
@given(data=stream, size=st.integers(1, 200))
def test_pieces_are_the_stream_but_for_what_no_reader_takes(delimiter: str | None, data: bytes, size: int) -> None:
    found = cut(data, size, delimiter)
    assert found[-1].end == len(data)
    for piece, at, number in extents(found):
        assert len(piece.body) <= SIZES.limit + 1
        assert number == 1 + data.count(b"\n", 0, at)
        whole = data[at : piece.end]
        if piece.body != whole:
            assert len(whole) > SIZES.limit
            assert piece.body == whole[: SIZES.limit] + b"\n"
            kept = piece.body.rsplit(b"\n", 2)[-2] if delimiter is None else piece.body
            assert len(kept) >= SIZES.record


@settings(max_examples=300)
@given(data=stream, size=st.integers(1, 200))
def test_marks_are_lines_beginnings_with_their_numbers(data: bytes, size: int) -> None:
    for piece, _, number in extents(cut(data, size, None)):
        assert [at for at, _ in piece.marks] == sorted({at for at, _ in piece.marks})
        for at, marked in piece.marks:
            assert piece.body[at - 1 : at] == b"\n"
            assert marked == number + piece.body.count(b"\n", 0, at)
            assert 0 < at < len(piece.body)


def test_lines_are_cut_where_one_ends_behind_the_target() -> None:
    data = b"".join(b"%03d\n" % i for i in range(40))
    found = cut(data, 7, None)
    assert [len(piece.body) for piece in found] == [48, 48, 48, 16]
    assert found[0].marks == ((8, 3), (16, 5), (24, 7), (32, 9), (40, 11))


def test_a_quoted_line_break_is_not_a_place_to_cut() -> None:
    data = b'a,"1\n2"\n' * 20
    for piece, at, _ in extents(cut(data, 5, ",")):
        assert at % 8 == 0
        assert all(mark % 8 == 0 for mark, _ in piece.marks)


def test_an_endless_line_is_held_no_further_than_a_piece_goes() -> None:
    pieces = Pieces(SIZES, None)
    assert not [piece for _ in range(10_000) for piece in pieces.add(b"x" * 100)]
    assert len(pieces._buffer) == SIZES.limit
    (piece,) = list(pieces.add(b"x\nnext\n"))
    assert (piece.body, piece.end, piece.next_line) == (b"x" * 64 + b"\n", 1_000_002, 2)
    assert pieces.rest().body == b"next\n"


def test_a_stream_goes_on_where_another_pass_stopped() -> None:
    data = b"".join(b"%03d\n" % i for i in range(40))
    first, *others = cut(data, 7, None)
    pieces = Pieces(SIZES, None, first.end, first.next_line)
    assert [*pieces.add(data[first.end :]), pieces.rest()] == others


@pytest.mark.parametrize("name", [PieceName(0, 0, 1, False), PieceName(49_999, 123_456, 10**11, True)])
def test_a_name_tells_its_piece(name: PieceName) -> None:
    assert PieceName.parse(str(name)) == name


def test_names_sort_as_their_pieces_do() -> None:
    names = [PieceName(source, number, 1, False) for source in (0, 9, 10, 49_999) for number in (0, 9, 10, 50_000)]
    assert sorted(map(str, names)) == list(map(str, names))


@pytest.mark.parametrize("name", ["", "inputs.json", "00000-00001", "0-0-1", "00000-00000-1-first"])
def test_other_names_are_no_pieces(name: str) -> None:
    assert PieceName.parse(name) is None
