"""CSV (RFC 4180) to rows.

Python's own csv reader, fed line by line, so that a piece read alone gives the records that a reader of the whole would
give, as long as it begins where a record does (domain.starts finds such places).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, cast

from batchmill.domain.lines import BOM, LINE_LIMIT, TOO_LONG, Line
from batchmill.domain.request import LINES, Row, RowError, Source, located

DELIMITERS = ",\t;|"
"""Those that are looked for where none is given; the first wins where several do as well."""

SNIFFED_RECORDS = 200

_INVALID = "invalid_csv"
_NOT_CLOSED = RowError(
    _INVALID, "a quoted field is not closed at the end of its line, where csv.quoted_newlines is false"
)
_FAULTS = {
    "unexpected end": "a quoted field is not closed before the file's end",
    "new-line character": "a carriage return outside of quotes",
    "expected after": "text behind a closing quote (a quote within a quoted field is written twice)",
}
"""Python's reasons by a part of them, in words that tell what to mend."""


class Dialect(NamedTuple):
    """How a CSV is written. Where no quoted field holds a line break (`multiline` false), each line is a record."""

    delimiter: str = ","
    multiline: bool = True


Record = tuple[int, int, Sequence[str], RowError | None]
"""The place of its first byte, the number of its first line counted from 0, its fields, or what is wrong."""


def records(lines: Iterable[Line], dialect: Dialect, limit: int = LINE_LIMIT) -> Iterator[Record]:
    """The records of lines that begin at a record's start. Blank lines are none.

    One that is no CSV ends with the line that shows it, one of more than `limit` bytes with the line that exceeds it.
    """
    csv.field_size_limit(LINE_LIMIT)
    feed = _Feed(lines, dialect, limit)
    texts = cast(Iterator[str], feed.texts())
    reader = csv.reader(texts, delimiter=dialect.delimiter, strict=True)
    while True:
        feed.fresh, feed.fault = True, None
        error: RowError | None = None
        fields: Sequence[str] = ()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            error = _fault(str(fault), dialect)
        if feed.fault:
            fields, error = (), feed.fault
        if fields or error:
            yield feed.begin, feed.first, fields, error


class _Feed:
    """Feeds the csv reader, and remembers where the current record began and what its lines had against them."""

    def __init__(self, lines: Iterable[Line], dialect: Dialect, limit: int) -> None:
        self._lines, self._multiline, self._limit = lines, dialect.multiline, limit
        self.begin = self.first = 0
        self.fresh = True
        self.fault: RowError | None = None

    def texts(self) -> Iterator[str | None]:
        """Lines as csv takes them, or None, which it refuses, so that the record ends there."""
        for number, (at, data) in enumerate(self._lines):
            if not self.fresh and not self._multiline:
                self.fault = self.fault or _NOT_CLOSED
                yield None
            if self.fresh:
                self.begin, self.first, self.fresh = at, number, False
            if data is None or at + len(data) >= self.begin + self._limit:
                self.fault = TOO_LONG
                yield None
                continue
            if at == 0:
                data = data.removeprefix(BOM)
            try:
                text = data.decode()
            except UnicodeDecodeError as error:
                text = data.decode(errors="replace")
                self.fault = RowError("invalid_utf8", f"not UTF-8 at byte {error.start + 1} of the line")
            yield text + "\n"


def _fault(reason: str, dialect: Dialect) -> RowError:
    if reason.startswith("unexpected end") and not dialect.multiline:
        return _NOT_CLOSED
    known = next((words for part, words in _FAULTS.items() if part in reason), reason)
    return RowError(_INVALID, f"not CSV: {known}")


def csv_rows(
    lines: Iterable[Line],
    first_line: int | None,
    header: Sequence[str],
    dialect: Dialect,
    *,
    skip_header: bool,
    source: Source = LINES,
    limit: int = LINE_LIMIT,
) -> Iterator[Row]:
    """A row for each record after the header. A record with too few or too many fields is a row with an error."""
    found = records(lines, dialect, limit)
    if skip_header:
        next(found, None)
    width = len(header)
    for number, (at, line, fields, error) in enumerate(found):
        place = None if first_line is None else first_line + line
        if not error and len(fields) == width:
            yield Row(number, at, place, None, dict(zip(header, fields, strict=True)), None, source)
            continue
        has = _fields(len(fields))
        fault = error or RowError(_INVALID, f"{has}, where the header has {width} (unbalanced quotes?)")
        row = Row(number, at, place, source=source)
        yield row._replace(error=located(fault, row.place))


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"


def sniffed(lines: Sequence[Line], names: Sequence[str] | None) -> str:
    """The delimiter that splits a file's beginning most evenly (into as many fields as there are names, where given).

    A comma where none does.
    """

    def evenness(delimiter: str) -> tuple[float, int]:
        found = islice(records(lines, Dialect(delimiter)), SNIFFED_RECORDS)
        widths = [len(fields) for _, _, fields, error in found if not error]
        wanted = len(names) if names else (widths or [0])[0]
        even = sum(width == wanted for width in widths) / len(widths) if widths else 0.0
        return (even, wanted) if wanted > 1 else (0.0, 0)

    return max(DELIMITERS, key=evenness)
