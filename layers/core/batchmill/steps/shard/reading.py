"""A shard's rows, read from exactly the version that the plan pinned."""

from __future__ import annotations

from collections.abc import Iterator

from batchmill.contracts.plan import PinnedObject, PlanDocument
from batchmill.domain.csvrows import csv_rows
from batchmill.domain.jsonl import json_rows, openai_rows
from batchmill.domain.lines import Line, owned_lines
from batchmill.domain.request import Outcome, Row, RowError, error_outcome
from batchmill.domain.shard import ShardKey
from batchmill.domain.span import Span
from batchmill.ports.objects import ObjectInfo, Objects

BLOCK_BYTES = 8 * 1024 * 1024
"""One ranged read: large enough that a read's fixed cost vanishes, small enough to hold several."""

TAIL_BYTES = 64 * 1024
"""Read past a span's end in one go for the rest of its last line."""


def pinned(item: PinnedObject) -> ObjectInfo:
    """The plan's pinned object as the port takes it."""
    return ObjectInfo(item.bucket, item.key, item.size, item.etag, item.version_id)


def blocks(objects: Objects, item: ObjectInfo, start: int, end: int) -> Iterator[bytes]:
    """The object's bytes from `start`: to `end` in large blocks, then on to the object's end as far as is asked.

    Raises InputChanged or InputMissing where the pinned version is no longer there.
    """
    at = start
    while at < item.size:
        stop = min(at + BLOCK_BYTES, end) if at < end else at + TAIL_BYTES
        stop = min(stop, item.size)
        yield objects.read(item, at, stop)
        at = stop


def span_lines(objects: Objects, document: PlanDocument, span: Span) -> Iterator[Line]:
    """The lines that belong to a span."""
    item = pinned(document.objects[span.object])
    yield from owned_lines(blocks(objects, item, max(span.start - 1, 0), span.end), span.start, span.end)


def span_rows(objects: Objects, document: PlanDocument, span: Span) -> Iterator[Row]:
    """The rows of a span, malformed ones included (as rows with an error). Raises as `blocks`."""
    lines = span_lines(objects, document, span)
    if document.format == "csv":
        # A CSV's spans begin at record starts, so every record's lines lie within its span.
        return csv_rows(lines, span.first_line or 1, document.header or (), skip_header=span.start == 0)
    if document.format == "openai":
        return openai_rows(lines, span.first_line, document.spec.endpoint)
    return json_rows(lines, span.first_line)


def span_error(document: PlanDocument, key: ShardKey, span: Span, error: RowError, attempt: int) -> Outcome:
    """The one outcome of a span whose rows can no longer be read, with the bytes it stands for."""
    item = document.objects[span.object]
    place = f"bytes {span.start} to {span.end} of s3://{item.bucket}/{item.key}"
    located = RowError(error.code, f"{place}: {error.message}")
    columns = dict.fromkeys(document.columns)
    return error_outcome(key.shard, 0, f"span-{key.shard:05d}", located, columns, attempt)
