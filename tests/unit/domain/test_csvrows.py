from __future__ import annotations

import pytest

from batchmill.domain.csvrows import Dialect, csv_rows, sniffed
from batchmill.domain.lines import LINE_LIMIT, Line, owned_lines
from batchmill.domain.request import Row, Source

RFC = Dialect()


def lines(data: bytes) -> list[Line]:
    return list(owned_lines([data], 0, len(data)))


def rows(data: bytes, dialect: Dialect = RFC, limit: int = LINE_LIMIT) -> list[Row]:
    return list(csv_rows(lines(data), 1, ("a", "b"), dialect, skip_header=True, limit=limit))


def fault(row: Row) -> str:
    assert row.error is not None
    return f"{row.error.code}: {row.error.message}"


def test_quoted_commas_quotes_and_newlines_are_data() -> None:
    (row,) = rows(b'a,b\n"x, ""y""","two\nlines"')
    assert row.columns == {"a": 'x, "y"', "b": "two\nlines"}
    assert (row.line, row.offset) == (2, 4)


def test_a_byte_order_mark_and_carriage_returns_are_no_data() -> None:
    data = b'\xef\xbb\xbf"a",b\r\n1,"x\r\ny"\r\n\r\n2,3\r\n'
    (one, two) = csv_rows(lines(data), 1, ("a", "b"), RFC, skip_header=True)
    assert (one.columns, two.columns) == ({"a": "1", "b": "x\r\ny"}, {"a": "2", "b": "3"})
    assert two.line == 5


def test_another_delimiter_may_be_given() -> None:
    (row,) = rows(b"a\tb\n1,2\t3\n", Dialect("\t"))
    assert row.columns == {"a": "1,2", "b": "3"}


def test_without_a_header_line_the_first_record_is_a_row() -> None:
    found = list(csv_rows(lines(b"1,2\n3,4\n"), 1, ("a", "b"), RFC, skip_header=False))
    assert [(row.row, row.line, dict(row.columns)) for row in found] == [
        (0, 1, {"a": "1", "b": "2"}),
        (1, 2, {"a": "3", "b": "4"}),
    ]


def test_too_few_or_too_many_fields_are_an_error_that_names_the_line() -> None:
    few, good, many = rows(b'a,b\n1\n"x\ny",2\n1,2,3')
    assert fault(few) == "invalid_csv: line 2: 1 field, where the header has 2 (unbalanced quotes?)"
    assert good.error is None
    assert fault(many).startswith("invalid_csv: line 5: 3 fields")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b'"open', "not closed before the file's end"),
        (b'"a"b,2', "text behind a closing quote"),
        (b"a\rb,2", "a carriage return outside of quotes"),
    ],
)
def test_what_is_no_csv_is_an_error_at_the_line_where_its_record_begins(record: bytes, words: str) -> None:
    good, bad = rows(b"a,b\n1,2\n" + record)
    assert good.error is None
    assert fault(bad).startswith("invalid_csv: line 3: not CSV: ")
    assert words in fault(bad)


def test_a_record_that_is_no_csv_costs_its_line_alone() -> None:
    bad, good = rows(b'a,b\n"x"y,"\n1,2\n')
    assert (bad.error is None, good.columns) == (False, {"a": "1", "b": "2"})


def test_bytes_that_are_not_utf8_are_an_error_of_their_record_alone() -> None:
    bad, good = rows(b"a,b\n\xff,2\n1,2")
    assert fault(bad) == "invalid_utf8: line 2: not UTF-8 at byte 1 of the line"
    assert good.error is None


def test_a_replacement_character_and_a_nul_in_valid_text_are_data() -> None:
    (row,) = rows("a,b\n\ufffd,\x00".encode())
    assert row.columns == {"a": "\ufffd", "b": "\x00"}


def test_a_record_beyond_the_limit_is_an_error_and_the_next_line_a_new_beginning() -> None:
    found = rows(b'a,b\n1,"' + b"x\n" * 10 + b'1,2\n"y\nz",3\n', limit=12)
    assert [(row.line, row.error.code if row.error else dict(row.columns)) for row in found] == [
        (2, "line_too_long"),
        *((line, "invalid_csv") for line in range(7, 12)),
        (12, {"a": "1", "b": "2"}),
        (13, {"a": "y\nz", "b": "3"}),
    ]


def test_a_line_that_was_not_held_is_an_error_and_the_next_line_a_new_beginning() -> None:
    data = b'a,b\n"' + b"x" * 100 + b"\n1,2\n"
    long, good = csv_rows(owned_lines([data], 0, len(data), 50), 1, ("a", "b"), RFC, skip_header=True)
    assert fault(long).startswith("line_too_long: line 2: longer than 16 MiB")
    assert good.columns == {"a": "1", "b": "2"}


def test_where_no_field_spans_lines_an_open_quote_costs_its_line_alone() -> None:
    bad, good, last = rows(b'a,b\n1,"x\n3,4\n5,"y', Dialect(multiline=False))
    assert fault(bad).startswith("invalid_csv: line 2: a quoted field is not closed at the end of its line")
    assert good.columns == {"a": "3", "b": "4"}
    assert fault(last) == fault(bad).replace("line 2", "line 4")


def test_an_error_names_the_byte_and_the_file_where_lines_are_not_counted_and_files_are_several() -> None:
    (_, bad) = csv_rows(lines(b"1,2\n3\n"), None, ("a", "b"), RFC, skip_header=False, source=Source("in/b.csv"))
    assert fault(bad).startswith("invalid_csv: the line at byte 4 of in/b.csv: ")


@pytest.mark.parametrize(
    ("data", "names", "delimiter"),
    [
        (b"a,b\n1,2\n", None, ","),
        (b"a;b\n1,5;2,5\n", None, ";"),
        (b"a\tb\nx, y, z\tw\n", None, "\t"),
        (b"a|b|c\n1|2|3\n", None, "|"),
        (b'name;text\n1;"a, b; c"\n2;"x, y"\n', None, ";"),
        (b"text\nno, it is one column\n", None, ","),
        (b"", None, ","),
        (b"1,2;3\n4,5;6\n", ["a", "b"], ","),
        (b"1;2,3,4\n1;2,3,4\n", ["a", "b"], ";"),
    ],
)
def test_the_delimiter_is_the_one_that_splits_most_evenly(data: bytes, names: list[str] | None, delimiter: str) -> None:
    assert sniffed(lines(data), names) == delimiter
