from __future__ import annotations

import pytest

from batchmill.domain.jsonl import json_rows, openai_rows
from batchmill.domain.lines import Line
from batchmill.domain.request import Row, Source

GOOD = b'{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}}'


def lines(*data: bytes) -> list[Line]:
    offset = 0
    made: list[Line] = []
    for item in data:
        made.append((offset, item))
        offset += len(item) + 1
    return made


def only(row: list[Row]) -> Row:
    (one,) = row
    return one


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b'{"a": 1', "invalid_json_line", "line 7: not JSON"),
        (b"[1]", "invalid_row", "a JSON list"),
        (b"3", "invalid_row", "a JSON int"),
        (b'{"a": "\xff"}', "invalid_utf8", "byte 8 of the line"),
        (b'{"a": NaN}', "invalid_json_line", "a number JSON does not have"),
        (b'{"a": 1e999}', "invalid_json_line", "a number JSON does not have"),
        (b'{"a": [-1e400]}', "invalid_json_line", "a number JSON does not have"),
        (b'{"a": ' + b"9" * 5000 + b"}", "invalid_json_line", "a number JSON does not have"),
        (b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "invalid_json_line", "nested deeper than 100 levels"),
        (b'{"a": "' + b"[" * 200 + b'", "b": ' + b"[" * 101 + b"]" * 101 + b"}", "invalid_json_line", "nested deeper"),
        (b'{"a": "' + b"[" * 200, "invalid_json_line", "not JSON"),
    ],
)
def test_a_line_that_is_no_object_is_an_error_at_its_place(data: bytes, code: str, words: str) -> None:
    error = only(list(json_rows(lines(data), 7))).error
    assert error is not None
    assert error.code == code
    assert words in error.message
    assert error.message.startswith("line 7: ")


def test_what_json_can_say_is_read_as_it_is_said() -> None:
    text = b'{"a": 123456789012345678901234567890, "b": "\\ud800", "c": "\\u0000", "e": [' + b"[]," * 200 + b"0]}"
    row = only(list(json_rows(lines(text), 1)))
    assert (row.columns["a"], row.columns["b"], row.columns["c"]) == (123456789012345678901234567890, "\ud800", "\x00")


def test_a_line_that_was_too_long_to_hold_is_an_error_at_its_place() -> None:
    (_, long) = json_rows([(0, b"{}"), (3, None)], 1, Source("in/a.jsonl"))
    assert long.error is not None
    assert (long.error.code, long.row) == ("line_too_long", 1)
    assert long.error.message.startswith("line 2 of in/a.jsonl: longer than 16 MiB")


def test_blank_lines_are_no_rows_but_count_as_lines() -> None:
    rows = list(json_rows(lines(b'{"a":1}', b"", b"  ", b'{"a":2}'), 1))
    assert [(row.row, row.line) for row in rows] == [(0, 1), (1, 4)]


def test_a_line_of_an_uncounted_file_is_named_by_its_byte() -> None:
    (_, bad) = json_rows(lines(b'{"a":1}', b"x"), None)
    assert bad.error is not None
    assert bad.error.message.startswith("the line at byte 8: ")


def test_a_byte_order_mark_is_no_part_of_the_first_row() -> None:
    assert only(list(json_rows(lines(b'\xef\xbb\xbf{"a":1}'), 1))).columns == {"a": 1}


def test_a_good_openai_line_gives_its_custom_id_and_body() -> None:
    row = only(list(openai_rows(lines(GOOD), 1, "/v1/embeddings")))
    assert (row.custom_id, row.error) == ("a", None)
    assert row.columns["body"] == {"input": "x"}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b'"a"', b"null", "missing_required_parameter"),
        (b'"body"', b'"Body"', "missing_required_parameter"),
        (b'"a"', b"5", "invalid_custom_id"),
        (b'"a"', b'""', "invalid_custom_id"),
        (b'"a"', b'"' + b"x" * 513 + b'"', "invalid_custom_id"),
        (b"POST", b"GET", "invalid_method"),
        (b"/v1/embeddings", b"/v1/completions", "invalid_url"),
        (b'{"input": "x"}', b'"x"', "invalid_type"),
    ],
)
def test_a_fault_of_an_openai_line_is_that_rows_error(old: bytes, new: bytes, code: str) -> None:
    row = only(list(openai_rows(lines(GOOD.replace(old, new)), 3, "/v1/embeddings")))
    assert row.error is not None
    assert row.error.code == code
    assert row.error.message.startswith("line 3: ")


def test_a_body_that_names_another_model_than_the_batchs_is_that_rows_error() -> None:
    def error(model: bytes) -> str | None:
        line = GOOD.replace(b'"input"', b'"model": ' + model + b', "input"')
        found = only(list(openai_rows(lines(line), 1, "/v1/embeddings", "small"))).error
        return found.code if found else None

    assert (error(b'"small"'), error(b"null"), error(b'"large"')) == (None, None, "model_not_found")
