"""A shard's rows, read from exactly the version that the plan pinned."""

from __future__ import annotations

from collections.abc import Iterator

from batchmill.contracts.plan import PinnedObject, PlanDocument
from batchmill.domain.csvrows import Dialect, csv_rows, records
from batchmill.domain.errors import InputInvalid
from batchmill.domain.jsonl import json_rows, openai_rows
from batchmill.domain.lines import LINE_LIMIT, Line, owned_lines
from batchmill.domain.request import Outcome, Row, RowError, Source, error_outcome, located
from batchmill.domain.shard import ShardKey
from batchmill.domain.span import Span
from batchmill.domain.textrows import text_rows
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.ports.tables import Tables
from batchmill.steps.shard.parsing import parsed

BLOCK_BYTES = 8 * 1024 * 1024
"""One ranged read: large enough that a read's fixed cost vanishes, small enough to hold several."""

TAIL_BYTES = 64 * 1024
"""Read past a span's end for the rest of its last line; twice as much each time, for lines that are long."""


def pinned(item: PinnedObject) -> ObjectInfo:
    """The plan's pinned object as the port takes it."""
    return ObjectInfo(item.bucket, item.key, item.size, item.etag, item.version_id)


def blocks(objects: Objects, item: ObjectInfo, start: int, end: int) -> Iterator[bytes]:
    """The object's bytes from `start`: to `end` in large blocks, then on to the object's end as far as is asked.

    Raises InputChanged or InputMissing where the pinned version is no longer there.
    """
    at, tail = start, TAIL_BYTES
    while at < item.size:
        stop = min(at + BLOCK_BYTES, end) if at < end else at + tail
        tail = tail if at < end else min(2 * tail, BLOCK_BYTES)
        stop = min(stop, item.size)
        yield objects.read(item, at, stop)
        at = stop


def span_lines(objects: Objects, item: ObjectInfo, span: Span, limit: int = LINE_LIMIT) -> Iterator[Line]:
    """The lines that belong to a span of bytes; of one beyond `limit` bytes only the place."""
    return owned_lines(blocks(objects, item, max(span.start - 1, 0), span.end), span.start, span.end, limit)


def span_rows(
    objects: Objects, tables: Tables, document: PlanDocument, span: Span, limit: int = LINE_LIMIT
) -> Iterator[Row]:
    """The rows of a span, malformed ones included (as rows with an error), as are those beyond `limit` bytes.

    Raises as `blocks`, and InputInvalid for a CSV whose header is not the plan's.
    """
    item = document.objects[span.object]
    info, source = pinned(item), _source(document, item)
    if document.format == "parquet":
        return _table_rows(tables, info, span, source)
    lines = span_lines(objects, info, span, limit)
    if document.format in ("csv", "tsv"):
        # Where records have several lines, spans begin at record starts: every record's lines lie within its span.
        dialect, header = Dialect(document.delimiter, document.spec.csv.quoted_newlines), document.header or ()
        at = _header(objects, document, item, dialect, limit) if document.header_line else None
        skip = at is not None and item.beginning and span.start <= at < span.end
        return csv_rows(lines, span.first_line, header, dialect, skip_header=skip, source=source, limit=limit)
    if document.format == "openai":
        return openai_rows(lines, span.first_line, document.spec.endpoint, document.model_served, source, parsed)
    if document.format == "text":
        return text_rows(lines, span.first_line, source)
    return json_rows(lines, span.first_line, source, parsed)


def _source(document: PlanDocument, item: PinnedObject) -> Source:
    several = any(other.uri != item.uri for other in document.objects)
    return Source(item.name if several else "", document.format == "parquet")


def _header(objects: Objects, document: PlanDocument, item: PinnedObject, dialect: Dialect, limit: int) -> int | None:
    """Where in its file a CSV's header stands, which blank lines may precede; None in a file without a record.

    Raises InputInvalid where it is not the plan's: of thousands of files plan looks at some.
    """
    head = pinned(next(one for one in document.objects if one.uri == item.uri and one.beginning))
    lines = owned_lines(blocks(objects, head, 0, TAIL_BYTES), 0, head.size, limit)
    for at, _, fields, _ in records(lines, dialect, limit):
        if tuple(fields) != document.header:
            raise InputInvalid(f"{item.uri}: its header is not that of the batch's other inputs: submit it on its own")
        return at
    return None


def _table_rows(tables: Tables, info: ObjectInfo, span: Span, source: Source) -> Iterator[Row]:
    for number, found in enumerate(tables.rows(info, span.start, span.end)):
        if isinstance(found, RowError):
            row = Row(number, span.start + number, source=source)
            yield row._replace(error=located(found, row.place))
        else:
            yield Row(number, span.start + number, None, None, found, None, source)


def span_error(document: PlanDocument, key: ShardKey, span: Span, error: RowError, attempt: int) -> Outcome:
    """The one outcome of a span whose rows can no longer be read, with the bytes (or rows) it stands for."""
    item = document.objects[span.object]
    extent = f"bytes {span.start} to {span.end}" if item.rows is None else f"rows {span.start + 1} to {span.end}"
    columns = dict.fromkeys(document.columns)
    why = located(error, f"{extent} of {item.uri}")
    template = document.template_sha256 or None
    return error_outcome(key.shard, 0, f"span-{key.shard:05d}", why, columns, attempt, template_sha256=template)
