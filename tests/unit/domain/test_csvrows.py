from __future__ import annotations

from batchmill.domain.csvrows import csv_rows, cuts
from batchmill.domain.lines import Line
from batchmill.domain.request import Row


def rows(data: bytes) -> list[Row]:
    made, offset = [], 0
    for piece in data.split(b"\n"):
        made.append(Line(offset, piece))
        offset += len(piece) + 1
    return list(csv_rows(made, 1, ("a", "b"), skip_header=True))


def test_quoted_commas_quotes_and_newlines_are_data() -> None:
    (row,) = rows(b'a,b\n"x, ""y""","two\nlines"')
    assert row.columns == {"a": 'x, "y"', "b": "two\nlines"}
    assert (row.line, row.offset) == (2, 4)


def test_too_few_or_too_many_fields_are_an_error_that_names_the_line() -> None:
    few, good, many = rows(b'a,b\n1\n"x\ny",2\n1,2,3')
    assert few.error is not None
    assert few.error.message == "line 2: 1 fields, where the header has 2 (unbalanced quotes?)"
    assert good.error is None
    assert many.error is not None
    assert many.error.message.startswith("line 5: 3 fields")


def test_a_quote_that_is_never_closed_is_one_error_at_the_line_where_its_record_begins() -> None:
    good, bad = rows(b'a,b\n1,2\n3,"open\n4,5')
    assert good.error is None
    assert bad.error is not None
    assert bad.error.code == "invalid_csv"
    assert bad.error.message.startswith("line 3: ")


def test_bytes_that_are_not_utf8_are_an_error_of_their_record_alone() -> None:
    bad, good = rows(b"a,b\n\xff,2\n1,2")
    assert bad.error is not None
    assert (bad.error.code, good.error) == ("invalid_utf8", None)


def test_a_replacement_character_in_valid_text_is_no_error() -> None:
    (row,) = rows("a,b\n\ufffd,2".encode())
    assert row.error is None


def test_a_file_with_a_header_alone_has_no_records() -> None:
    assert cuts([Line(0, b"a,b")], 10).records == 0
    assert cuts([], 10).starts == ()
