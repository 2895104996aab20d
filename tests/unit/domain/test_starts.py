from __future__ import annotations

from itertools import pairwise

import pytest

from batchmill.domain.starts import Starts, starts


def found(data: bytes, delimiter: str | None = ",", limit: int = 1000, block: int = 1000) -> list[bytes]:
    """The records of the data, by their starts."""
    blocks = [data[at : at + block] for at in range(0, len(data), block)]
    begins = {at for at, _ in starts(blocks, range(len(data)), Starts(delimiter, limit=limit))}
    edges = sorted(begins | {len(data)})
    return [data[at:end] for at, end in pairwise(edges)]


@pytest.mark.parametrize("block", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    "records",
    [
        [b"a,b\n", b"1,2\n"],
        [b"a\r\n", b"\r\n", b"\n", b"1"],
        [b'a,"x\ny",b\n', b'"\n",""\r\n', b'"",2\n'],
        [b'"say ""no\n""",b\n', b'"""",""""\n', b"x\n"],
        [b'5" pipe,6"\n', b'a "b\n', b'c" d\n'],
        [b'"a"b,"c\n', b'd",e\n', b"f\n"],
        [b'"a" ,"b\n', b"c\n"],
        [b'a\rb,"c\n', b'd",e\n'],
        [b'"a"\rb,"c\n', b"d\n"],
        [b'"a",\r\n', b'"b"\r\n', b'"c"\r\r\n'],
        [b'x,"\x00\n\xff"\n', b"y\n"],
        [b"a\n", b'"open\nnever\nclosed'],
        [b"a\n", b'"open""\n""\n'],
    ],
)
def test_a_record_of_a_csv_ends_where_pythons_reader_ends_it(records: list[bytes], block: int) -> None:
    assert found(b"".join(records), block=block) == records


def test_without_a_delimiter_each_line_is_a_record() -> None:
    assert found(b'a,"b\nc",d\n\ne', None, block=3) == [b'a,"b\n', b'c",d\n', b"\n", b"e"]


def test_the_delimiter_given_is_the_one_that_counts() -> None:
    data = b'a;"b\nc"\n,"d\ne"\n'
    assert found(data, ";") == [b'a;"b\nc"\n', b',"d\n', b'e"\n']
    assert found(data, ",") == [b'a;"b\n', b'c"\n', b',"d\ne"\n']


def test_a_byte_order_mark_does_not_hide_the_first_quote() -> None:
    data = b'\xef\xbb\xbf"a\nb"\nc\n'
    scanner = Starts(",")
    assert list(starts([data[:2], data[2:]], [1, 4], scanner)) == [(9, 3), (9, 3)]


@pytest.mark.parametrize("block", [1, 5, 100])
def test_a_record_beyond_the_limit_ends_with_the_line_that_exceeds_it(block: int) -> None:
    data = b'a\n"12345\n7890\nbcd\ne"\nf\n'
    assert found(data, limit=10, block=block) == [b"a\n", b'"12345\n7890\n', b"bcd\n", b'e"\n', b"f\n"]
    assert found(data, limit=20, block=block) == [b"a\n", b'"12345\n7890\nbcd\ne"\n', b"f\n"]
    assert found(b"123456789\n1234567890\nab\n", None, 10, block) == [b"123456789\n", b"1234567890\n", b"ab\n"]


def test_what_is_beyond_the_limit_is_not_held() -> None:
    scanner = Starts(",", limit=1000)
    scanner.feed(b'"')
    for _ in range(100):
        scanner.feed(b"x" * 1000)
        assert scanner.find(10**9) is None
        assert len(scanner._data) <= 2001
    scanner.feed(b"\ny\n")
    assert scanner.find(10) == (100_002, 2)


def test_a_start_knows_the_number_of_its_line() -> None:
    data = b'a\n"b\nc"\n\nd\ne\n'
    assert list(starts([data], [0, 1, 3, 9, 10], Starts(","))) == [(0, 1), (2, 2), (8, 4), (9, 5), (11, 6)]


def test_scanning_goes_on_from_a_start_that_was_found() -> None:
    data = b'a\n"b\nc"\nd\ne\n'
    again = Starts(",", at=8, line=4)
    assert list(starts([data[8:]], [8, 9], again)) == [(8, 4), (10, 5)]
