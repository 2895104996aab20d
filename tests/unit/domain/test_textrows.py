from __future__ import annotations

from batchmill.domain.lines import owned_lines
from batchmill.domain.request import Row
from batchmill.domain.textrows import text_rows


def rows(data: bytes, first_line: int | None = 1) -> list[Row]:
    return list(text_rows(owned_lines([data], 0, len(data), 50), first_line))


def test_each_line_that_is_not_blank_is_a_row() -> None:
    found = rows(b'\xef\xbb\xbfone\r\n\n  \n two\x00, "three"\rfour')
    assert [(row.row, row.line, row.columns["text"]) for row in found] == [
        (0, 1, "one"),
        (1, 4, ' two\x00, "three"\rfour'),
    ]


def test_a_line_that_is_not_utf8_or_too_long_is_an_error_at_its_place() -> None:
    bad, good, long = rows(b"ab\xff\ngood\n" + b"x" * 50)
    assert bad.error is not None
    assert (bad.error.code, bad.error.message) == ("invalid_utf8", "line 1: not UTF-8 at byte 3 of the line")
    assert good.columns == {"text": "good"}
    assert long.error is not None
    assert long.error.code == "line_too_long"


def test_a_line_of_an_uncounted_file_is_named_by_its_byte() -> None:
    (_, bad) = rows(b"good\n\xff", None)
    assert bad.error is not None
    assert bad.error.message.startswith("the line at byte 5: ")
