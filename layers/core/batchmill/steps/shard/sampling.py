"""An input's beginning: its format, its columns, the size of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from batchmill.contracts.plan import PinnedObject
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.csvrows import Dialect, Record, csv_rows, records, sniffed
from batchmill.domain.errors import InputInvalid
from batchmill.domain.formats import Format, detect, named_format, plain_name
from batchmill.domain.jsonl import json_rows, openai_rows
from batchmill.domain.lines import LINE_LIMIT, Line, owned_lines
from batchmill.domain.request import Row
from batchmill.domain.textrows import TEXT_COLUMN, text_rows
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.ports.tables import TableFooter, Tables
from batchmill.steps.shard.reading import blocks, pinned

SAMPLE_BYTES = 256 * 1024
"""Read of an input's beginning. It decides no outcome, only sizes, and the default columns of JSON lines."""

FIRST_ROWS = 5
"""Rows of a sample that are kept."""

NAMED_LIMIT = 5
"""Models or endpoints that a refusal counts by name."""


@dataclass(frozen=True)
class Sample:
    """What an input's beginning shows: `rows` rows in `bytes` bytes, which are all there are where it is the `whole`.

    `header` are the names of a CSV's fields. `model` and `output_tokens` (a mean) are what OpenAI lines ask for
    themselves, None where they do not. A table's `footer` tells of all of it, and `bytes` are decompressed ones.
    `first` are the first rows that can be read; of a table none, since its footer alone is.
    """

    format: Format
    columns: tuple[str, ...]
    header: tuple[str, ...] | None = None
    delimiter: str = ","
    rows: int = 0
    bytes: int = 0
    whole: bool = False
    model: str | None = None
    output_tokens: float | None = None
    footer: TableFooter | None = None
    first: tuple[Row, ...] = ()

    @property
    def row_bytes(self) -> float:
        """Of a mean row; 1 where there is none."""
        return max(1.0, self.bytes / self.rows) if self.rows else 1.0


@dataclass(frozen=True)
class _Head:
    """The lines of an input's beginning that are whole."""

    where: str
    lines: Sequence[Line]
    whole: bool

    @property
    def bytes(self) -> int:
        return sum(LINE_LIMIT if data is None else len(data) + 1 for _, data in self.lines)


def sample(objects: Objects, tables: Tables, item: PinnedObject, spec: BatchSpec) -> Sample:
    """Look at the beginning of an input that is not compressed (any more).

    Raises InputInvalid, naming it, where it is not what it should be, and for OpenAI lines that ask for several models
    or endpoints, or for others than the batch.
    """
    info, where = pinned(item), item.uri
    told = named_format(where) if spec.format == "auto" else spec.format
    if told == "parquet":
        return _table(tables, info)
    end = min(info.size, SAMPLE_BYTES)
    first = objects.read(info, 0, end)
    form = detect(plain_name(where), first, spec.format, "none").format or "text"
    if form == "parquet":
        return _table(tables, info)
    head = _head(objects, info, where, first)
    if form in ("csv", "tsv"):
        made = _csv(head, form, spec)
    elif form == "text":
        rows = sum(data is None or bool(data.strip()) for _, data in head.lines)
        made = Sample(form, (TEXT_COLUMN,), rows=rows, bytes=head.bytes, whole=head.whole)
    else:
        made = _json(head, form, spec)
    readable = (row for row in _rows(head, made, spec) if row.columns)
    return replace(made, first=tuple(islice(readable, FIRST_ROWS)))


def _rows(head: _Head, made: Sample, spec: BatchSpec) -> Iterator[Row]:
    if made.format in ("csv", "tsv"):
        dialect = Dialect(made.delimiter, spec.csv.quoted_newlines)
        return csv_rows(head.lines, 1, made.header or (), dialect, skip_header=not spec.csv.names)
    if made.format == "openai":
        return openai_rows(head.lines, 1, spec.endpoint)
    return text_rows(head.lines, 1) if made.format == "text" else json_rows(head.lines, 1)


def _head(objects: Objects, info: ObjectInfo, where: str, first: bytes) -> _Head:
    end = len(first)
    whole = end == info.size
    lines = list(owned_lines([first], 0, end))
    if len(lines) > 1 and not whole:
        lines.pop()  # a record may go on past the sample
    elif not whole and b"\n" not in first:
        lines = list(owned_lines(chain([first], blocks(objects, info, end, end)), 0, end))
    return _Head(where, lines, whole)


def _table(tables: Tables, info: ObjectInfo) -> Sample:
    footer = tables.footer(info)
    return Sample("parquet", footer.columns, rows=footer.rows, bytes=footer.bytes, whole=True, footer=footer)


def _json(head: _Head, form: Format, spec: BatchSpec) -> Sample:
    rows = list(json_rows(head.lines, 1))
    good = [row for row in rows if not row.error]
    if not good and any(data and data.strip() for _, data in head.lines) and spec.format == "auto":
        raise InputInvalid(f"{head.where}: not JSON lines (no line of its beginning is a JSON object); give the format")
    made = Sample(form, (), rows=len(rows), bytes=head.bytes, whole=head.whole)
    return _openai(good, made, spec, head.where) if form == "openai" else replace(made, columns=_keys(good))


def _openai(rows: Sequence[Row], made: Sample, spec: BatchSpec, where: str) -> Sample:
    """What OpenAI lines ask for, which must be one thing."""
    bodies = [body for row in rows if isinstance(body := row.columns.get("body"), Mapping)]
    endpoints = Counter(url for row in rows if isinstance(url := row.columns.get("url"), str))
    models = Counter(model for body in bodies if isinstance(model := body.get("model"), str))
    for what, found, wanted in (("endpoint", endpoints, spec.endpoint), ("model", models, spec.model)):
        if len(found) > 1:
            raise InputInvalid(f"{where}: {_counted(what, found, len(rows))}; a batch has one: split the file")
        if found and wanted and wanted not in found:
            raise InputInvalid(f"{where}: its lines ask for {what} {next(iter(found))}, the batch for {wanted}")
    bounds = [bound for body in bodies if (bound := _bound(body))]
    return replace(made, model=next(iter(models), None), output_tokens=sum(bounds) / len(bounds) if bounds else None)


def _counted(what: str, found: Counter[str], lines: int) -> str:
    named = ", ".join(f"{name[:100]} in {count:,}" for name, count in found.most_common(NAMED_LIMIT))
    more = f" and {len(found) - NAMED_LIMIT} more" if len(found) > NAMED_LIMIT else ""
    return f"its lines ask for {len(found)} {what}s ({named}{more}, of the first {lines:,} lines)"


def _bound(body: Mapping[str, object]) -> int | None:
    found = body.get("max_completion_tokens") or body.get("max_tokens")
    return found if isinstance(found, int) and found > 0 else None


def _csv(head: _Head, form: Format, spec: BatchSpec) -> Sample:
    names = spec.csv.names
    delimiter = spec.csv.delimiter or ("\t" if form == "tsv" else sniffed(head.lines, names))
    found = list(records(head.lines, Dialect(delimiter, spec.csv.quoted_newlines)))
    end = head.bytes
    if len(found) > 1 and found[-1][3] and not head.whole:
        end, *_ = found.pop()  # its own end lies past the sample
    header = tuple(names) if names else _header(found, head.where)
    if names and found and all(len(fields) != len(names) for _, _, fields, _ in found):
        has = f"its first record has {len(found[0][2])} fields" if not found[0][3] else found[0][3].message
        raise InputInvalid(f"{head.where}: no record of its beginning has the {len(names)} fields of csv.names ({has})")
    rows = found if names else found[1:]
    if not rows and not head.whole:
        return Sample(form, header, header, delimiter, rows=1, bytes=SAMPLE_BYTES)
    size = max(0, end - rows[0][0]) if rows else 0
    return Sample(form, header, header, delimiter, rows=len(rows), bytes=size, whole=head.whole)


def _header(found: Sequence[Record], where: str) -> tuple[str, ...]:
    if not found:
        return ()
    _, line, fields, error = found[0]
    if error:
        raise InputInvalid(f"{where}: line {line + 1}, the header: {error.message}")
    if twice := sorted(name for name, count in Counter(fields).items() if count > 1):
        raise InputInvalid(f"{where}: line {line + 1}, the header names a column twice: {', '.join(twice[:10])}")
    return tuple(fields)


def _keys(rows: Sequence[Row]) -> tuple[str, ...]:
    """The keys of the sampled rows in the order of their first appearance."""
    return tuple(dict.fromkeys(key for row in rows for key in row.columns if _is_text(key)))


def _is_text(key: str) -> bool:
    """JSON's escapes can make half a character, which no column of a file can be called by."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
