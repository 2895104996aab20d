from __future__ import annotations

from collections.abc import Iterator

from batchmill.domain.lines import owned_lines

MIB = 1024 * 1024


def test_a_line_belongs_to_the_range_of_its_first_byte() -> None:
    data = b"one\ntwo\nthree"
    assert list(owned_lines([data], 0, 5)) == [(0, b"one"), (4, b"two")]
    assert list(owned_lines([data[4:]], 5, 13)) == [(8, b"three")]


def test_a_line_beyond_the_limit_is_told_without_its_text() -> None:
    data = b"a\n" + b"x" * 20 + b"\nb\n"
    for block in (1, 3, 100):
        blocks = (data[at : at + block] for at in range(0, len(data), block))
        assert list(owned_lines(blocks, 0, len(data), 10)) == [(0, b"a"), (2, None), (23, b"b")]


def test_the_limit_counts_the_line_feed() -> None:
    assert list(owned_lines([b"123456789\n1234567890\n123456789"], 0, 99, 10)) == [
        (0, b"123456789"),
        (10, None),
        (21, b"123456789"),
    ]


def test_a_long_line_is_read_no_further_than_its_range_needs() -> None:
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(MIB)
            yield b"x" * MIB

    assert list(owned_lines(endless(), 0, 20 * MIB)) == [(0, None)]
    assert list(owned_lines(endless(), 5, 20 * MIB)) == []
    assert sum(taken) <= 42 * MIB
