"""JSON lines to rows: plain objects, and OpenAI's batch lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from batchmill.domain.lines import BOM, TOO_LONG, Line
from batchmill.domain.request import LINES, Row, RowError, Source, located

CUSTOM_ID_LIMIT = 512
"""Characters. OpenAI's own documents give no limit; longer ones are refused rather than cut."""

DEPTH_LIMIT = 100
"""Levels of nesting. What Python's parser just takes, its writer may not, on another thread's stack."""

_INVALID = "invalid_json_line"
_FIELDS = ("custom_id", "method", "url", "body")
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


Parser = Callable[[bytes], dict[str, object] | RowError]
"""A line to its object, or why it is none."""


def parsed(data: bytes) -> dict[str, object] | RowError:
    """The object of a line of JSON, exactly as it says: numbers of any length, but none that JSON does not have."""
    if deep(data):
        return RowError(_INVALID, f"nested deeper than {DEPTH_LIMIT} levels")
    try:
        value = _DECODER.decode(data.decode())
    except UnicodeDecodeError as error:
        return RowError("invalid_utf8", f"not UTF-8 at byte {error.start + 1} of the line")
    except json.JSONDecodeError as error:
        return RowError(_INVALID, f"not JSON: {error.msg} at column {error.colno}")
    except ValueError:
        return RowError(_INVALID, "not JSON: a number JSON does not have")
    if not isinstance(value, dict):
        return RowError("invalid_row", f"a JSON {type(value).__name__}, where an object is needed")
    return value


def json_rows(
    lines: Iterable[Line], first_line: int | None, source: Source = LINES, parse: Parser = parsed
) -> Iterator[Row]:
    """A row for each line that is not blank. A line that is no JSON object becomes a row with an error."""
    return _rows(lines, first_line, source, parse, lambda _: (None, None))


def openai_rows(
    lines: Iterable[Line],
    first_line: int | None,
    endpoint: str,
    model: str = "",
    source: Source = LINES,
    parse: Parser = parsed,
) -> Iterator[Row]:
    """Rows of OpenAI batch lines `{custom_id, method, url, body}`; every fault of a line is that row's error.

    A body that names another model than `model` is at fault, where that is known.
    """

    def judge(line: Mapping[str, object]) -> tuple[str | None, RowError | None]:
        given = line.get("custom_id")
        custom_id = given if isinstance(given, str) and 0 < len(given) <= CUSTOM_ID_LIMIT else None
        return custom_id, _openai_fault(line, custom_id, endpoint, model)

    return _rows(lines, first_line, source, parse, judge)


def _rows(
    lines: Iterable[Line],
    first_line: int | None,
    source: Source,
    parse: Parser,
    judge: Callable[[Mapping[str, object]], tuple[str | None, RowError | None]],
) -> Iterator[Row]:
    row = 0
    for number, (at, data) in enumerate(lines):
        if at == 0 and data:
            data = data.removeprefix(BOM)
        if data is not None and (not data or data.isspace()):
            continue
        found = TOO_LONG if data is None else parse(data)
        columns: Mapping[str, object] = {} if isinstance(found, RowError) else found
        custom_id, error = (None, found) if isinstance(found, RowError) else judge(found)
        made = Row(row, at, None if first_line is None else first_line + number, custom_id, columns, None, source)
        yield made._replace(error=located(error, made.place)) if error else made
        row += 1


def deep(data: bytes) -> bool:
    """Whether brackets nest beyond the limit; looked at closely only where there are that many at all."""
    # What is left without them tells their number in a tenth of the time that counting takes.
    lists, objects = data.replace(b"[", b"", DEPTH_LIMIT + 1), data.replace(b"{", b"", DEPTH_LIMIT + 1)
    if 2 * len(data) - len(lists) - len(objects) <= DEPTH_LIMIT:
        return False
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(data):
        token = found[0]
        if token in (b"[", b"{"):
            depth += 1
            if depth > DEPTH_LIMIT:
                return True
        elif token in (b"]", b"}"):
            depth -= 1
    return False


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _finite(text: str) -> float:
    """Python reads 1e999 as infinity, which no JSON can say again."""
    number = float(text)
    if number - number != 0:
        raise ValueError(text)
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def _openai_fault(line: Mapping[str, object], custom_id: str | None, endpoint: str, model: str) -> RowError | None:
    body = line.get("body")
    if custom_id and isinstance(body, dict) and line.get("method") == "POST" and line.get("url") == endpoint:
        if model and body.get("model") not in (None, model):
            return RowError("model_not_found", f"body.model must be the pool's model, {model}, or be left out")
        return None
    missing = next((name for name in _FIELDS if line.get(name) is None), None)
    if missing:
        return RowError("missing_required_parameter", f"{missing} is missing (of {', '.join(_FIELDS)})")
    if custom_id is None:
        return RowError("invalid_custom_id", f"custom_id must be a string of 1 to {CUSTOM_ID_LIMIT} characters")
    if line["method"] != "POST":
        return RowError("invalid_method", "method must be POST")
    if line["url"] != endpoint:
        return RowError("invalid_url", f"url must be the batch's endpoint, {endpoint}")
    return RowError("invalid_type", "body must be an object")
