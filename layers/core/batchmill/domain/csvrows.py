"""CSV (RFC 4180) to rows, and the places where it may be cut.

One reader serves both the plan, which cuts, and the worker, which reads a piece: Python's own csv reader, fed line by
line, so that a piece read alone gives the records that a reader of the whole would give.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from batchmill.domain.jsonl import located
from batchmill.domain.lines import BOM, Line
from batchmill.domain.request import Row, RowError

FIELD_LIMIT = 16 * 1024 * 1024
"""Characters in one field: csv's own limit (131,072) is too small for documents."""


@dataclass(frozen=True)
class Record:
    """One CSV record: where it begins, the number of its first line counted from 0, its fields or what is wrong."""

    offset: int
    line: int
    fields: tuple[str, ...]
    error: RowError | None = None


def records(lines: Iterable[Line]) -> Iterator[Record]:
    """The records of lines that begin at a record's start. Blank lines are none."""
    csv.field_size_limit(FIELD_LIMIT)
    source = _Source(lines)
    reader = csv.reader(source, strict=True)
    while True:
        begin = source.taken
        error: RowError | None = None
        fields: Sequence[str] = ()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            error = RowError("invalid_csv", f"not CSV: {fault}")
        offset, undecodable = source.since(begin)
        if undecodable:
            error = RowError("invalid_utf8", "not UTF-8")
        if fields or error:
            yield Record(offset, begin, tuple(fields), error)


class _Source:
    """Feeds the csv reader, and remembers where the lines of the current record were."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._marks: dict[int, tuple[int, bool]] = {}
        self.taken = 0

    def __iter__(self) -> _Source:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        data = line.data.removeprefix(BOM) if line.offset == 0 else line.data
        text = data.decode(errors="replace")
        self._marks[self.taken] = (line.offset, "\ufffd" in text and not _is_utf8(data))
        self.taken += 1
        return text + "\n"

    def since(self, begin: int) -> tuple[int, bool]:
        """Offset of the record that took lines begin.., and whether any of them was not UTF-8."""
        taken = [self._marks.pop(number) for number in range(begin, self.taken)]
        return taken[0][0], any(bad for _, bad in taken)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def csv_rows(lines: Iterable[Line], first_line: int, header: Sequence[str], skip_header: bool) -> Iterator[Row]:
    """A row for each record after the header. A record with too few or too many fields is a row with an error."""
    found = records(lines)
    if skip_header:
        next(found, None)
    for row, record in enumerate(found):
        number = first_line + record.line
        error = record.error
        if not error and len(record.fields) != len(header):
            error = RowError(
                "invalid_csv", f"{len(record.fields)} fields, where the header has {len(header)} (unbalanced quotes?)"
            )
        if error:
            yield Row(row, record.offset, number, error=located(error, number, record.offset))
        else:
            yield Row(row, record.offset, number, columns=dict(zip(header, record.fields, strict=True)))


@dataclass(frozen=True)
class Cuts:
    """Where a CSV may be cut: (offset, 1-based line) of each piece's start, the first being (0, 1); and its records."""

    starts: tuple[tuple[int, int], ...]
    records: int
    header: tuple[str, ...]
    header_error: RowError | None = None


def cuts(lines: Iterable[Line], target: int) -> Cuts:
    """Cut a whole CSV at record starts into pieces of at least `target` bytes each (the last may be smaller)."""
    found = records(lines)
    header = next(found, None)
    if header is None:
        return Cuts((), 0, ())
    starts, count = [(0, 1)], 0
    for record in found:
        if count and record.offset - starts[-1][0] >= target:
            starts.append((record.offset, record.line + 1))
        count += 1
    return Cuts(tuple(starts), count, header.fields, header.error)
