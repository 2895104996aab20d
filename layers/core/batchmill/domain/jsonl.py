"""JSON lines to rows: plain objects, and OpenAI's batch lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator

from batchmill.domain.lines import BOM, Line
from batchmill.domain.request import Row, RowError

CUSTOM_ID_LIMIT = 512
"""Characters. OpenAI's own documents give no limit; longer ones are refused rather than cut."""

DEPTH_LIMIT = 100
"""Levels of nesting. What Python's parser just takes, its writer may not, on another thread's stack."""

_QUOTE, _BACKSLASH = b'"\\'


def json_rows(lines: Iterable[Line], first_line: int | None) -> Iterator[Row]:
    """A row for each line that is not blank. A line that is no JSON object becomes a row with an error."""
    row = 0
    for i, line in enumerate(lines):
        data = line.data.removeprefix(BOM) if line.offset == 0 else line.data
        if not data.strip():
            continue
        number = None if first_line is None else first_line + i
        parsed = _object(data)
        if isinstance(parsed, RowError):
            yield Row(row, line.offset, number, error=located(parsed, number, line.offset))
        else:
            yield Row(row, line.offset, number, columns=parsed)
        row += 1


def openai_rows(lines: Iterable[Line], first_line: int | None, endpoint: str) -> Iterator[Row]:
    """Rows of OpenAI batch lines `{custom_id, method, url, body}`; every fault of a line is that row's error."""
    for row in json_rows(lines, first_line):
        if row.error:
            yield row
            continue
        given = row.columns.get("custom_id")
        custom_id = given if isinstance(given, str) and 0 < len(given) <= CUSTOM_ID_LIMIT else None
        fault = _openai_fault(row.columns, custom_id, endpoint)
        error = located(fault, row.line, row.offset) if fault else None
        yield Row(row.row, row.offset, row.line, custom_id, row.columns, error)


def located(error: RowError, line: int | None, offset: int) -> RowError:
    """The error with its place in the file put before its message."""
    place = f"line {line}" if line is not None else f"the line at byte {offset}"
    return RowError(error.code, f"{place}: {error.message}")


def _object(data: bytes) -> dict[str, object] | RowError:
    try:
        value = json.loads(data.decode(), parse_constant=_no_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        return RowError("invalid_utf8", f"not UTF-8 at byte {error.start + 1} of the line")
    except json.JSONDecodeError as error:
        return RowError("invalid_json", f"not JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number JSON does not have"
        return RowError("invalid_json", f"not JSON: {reason}")
    if _deep(data):
        return RowError("invalid_json", f"nested deeper than {DEPTH_LIMIT} levels")
    if not isinstance(value, dict):
        return RowError("invalid_row", f"a JSON {type(value).__name__}, where an object is needed")
    return value


def _deep(data: bytes) -> bool:
    """Whether brackets nest beyond the limit; looked at closely only where there are that many at all."""
    if data.count(b"[") + data.count(b"{") <= DEPTH_LIMIT:
        return False
    depth, deepest, quoted, escaped = 0, 0, False, False
    for byte in data:
        if quoted:
            quoted = escaped or byte != _QUOTE
            escaped = not escaped and byte == _BACKSLASH
        elif byte == _QUOTE:
            quoted = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest > DEPTH_LIMIT


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _finite(text: str) -> float:
    """Python reads 1e999 as infinity, which no JSON can say again."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _openai_fault(line: dict[str, object] | object, custom_id: str | None, endpoint: str) -> RowError | None:
    assert isinstance(line, dict)
    if custom_id is None:
        return RowError("invalid_custom_id", f"custom_id must be a string of 1 to {CUSTOM_ID_LIMIT} characters")
    if line.get("method") != "POST":
        return RowError("invalid_method", "method must be POST")
    if line.get("url") != endpoint:
        return RowError("invalid_url", f"url must be the batch's endpoint, {endpoint}")
    if not isinstance(line.get("body"), dict):
        return RowError("missing_body", "body must be an object")
    return None
