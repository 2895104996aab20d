"""Plain text to rows: one line a row, in the column `text`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from batchmill.domain.lines import BOM, TOO_LONG, Line
from batchmill.domain.request import LINES, Row, RowError, Source, located

TEXT_COLUMN = "text"


def text_rows(lines: Iterable[Line], first_line: int | None, source: Source = LINES) -> Iterator[Row]:
    """A row for each line that is not blank, without its line break. One that is not UTF-8 is a row with an error."""
    row = 0
    for number, (at, data) in enumerate(lines):
        if at == 0 and data:
            data = data.removeprefix(BOM)
        if data is not None and (not data or data.isspace()):
            continue
        place = None if first_line is None else first_line + number
        text = _decoded(data)
        if isinstance(text, str):
            yield Row(row, at, place, None, {TEXT_COLUMN: text}, None, source)
        else:
            bad = Row(row, at, place, source=source)
            yield bad._replace(error=located(text, bad.place))
        row += 1


def _decoded(data: bytes | None) -> str | RowError:
    if data is None:
        return TOO_LONG
    try:
        return data.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        return RowError("invalid_utf8", f"not UTF-8 at byte {error.start + 1} of the line")
