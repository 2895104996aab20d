"""Rows read, checked and rendered as a worker does it; `python -m benchmarks.reading ROWS` tells the memory of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import cast

from batchmill.adapters.jinja import JinjaTemplates
from batchmill.adapters.json_schema import JsonSchemas
from batchmill.contracts.plan import PinnedObject, PlanDocument
from batchmill.contracts.spec import parse_spec
from batchmill.domain.formats import Format
from batchmill.domain.request import Request
from batchmill.domain.span import Span
from batchmill.local.engines.scripted import MODEL
from batchmill.ports.tables import Tables
from batchmill.steps.shard.reading import span_rows
from batchmill.steps.shard.rendering import Renderer
from benchmarks import machine
from benchmarks.sparse import ETAG, INPUT, CountingObjects, tiled
from benchmarks.workload import ENDPOINT, BenchFailed

SYSTEM = "You sort support tickets. Answer with one word: billing, shipping, returns or technical."
TEXT = (
    'I ordered two lamps on day {n} and the tracking page says:\n"waiting to be picked up". The shop handed it over; '
    "the carrier says – in {n} mails – that it never did. Please find out where it is. "
)
SPECS: dict[Format, dict[str, object]] = {
    "openai": {"endpoint": ENDPOINT, "format": "openai"},
    "jsonl": {
        "endpoint": ENDPOINT,
        "format": "jsonl",
        "system": SYSTEM,
        "prompt": "Ticket {{ id }}, {{ subject }}: {{ body }}",
        "custom_id": "id",
        "params": {"max_tokens": 16, "temperature": 0},
    },
}


def file_of(kind: Format, rows: int, paragraphs: int) -> bytes:
    """Lines of one format, each with a ticket of so many paragraphs of some 200 characters."""
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in _rows(kind, rows, paragraphs))


def requests(kind: Format, tile: bytes, size: int) -> Iterator[Request]:
    """The requests of a file of `size` bytes that is `tile` over and over. Raises BenchFailed for a row in error."""
    objects = CountingObjects({"input": (size, tiled(tile))})
    item = PinnedObject(bucket=INPUT, key="input", size=size, etag=ETAG)
    document = PlanDocument(
        batch_id="batch",
        run=0,
        spec=parse_spec(SPECS[kind], "benchmarks"),
        format=kind,
        objects=(item,),
        columns=("id", "subject") if kind == "jsonl" else (),
        header=None,
        shards=1,
        rows_estimated=1,
        model=MODEL,
        fingerprint="",
    )
    renderer = Renderer(document, JinjaTemplates(), JsonSchemas())
    for row in span_rows(objects, cast(Tables, None), document, Span(0, 0, size)):
        made = renderer.request(0, row)
        if not isinstance(made, Request):
            raise BenchFailed(f"{made.code}: {made.message}")
        yield made


def _rows(kind: Format, rows: int, paragraphs: int) -> Iterator[dict[str, object]]:
    for n in range(rows):
        name, text = f"ticket-{n:07d}", TEXT.format(n=n) * paragraphs
        if kind == "jsonl":
            yield {"id": name, "subject": "a parcel is late", "body": text}
            continue
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
        body = {"model": MODEL, "messages": messages, "max_tokens": 16, "temperature": 0}
        yield {"custom_id": name, "method": "POST", "url": ENDPOINT, "body": body}


def main(rows: int) -> None:
    """Read so many rows, holding none, and print the memory (bytes) at its most, and before."""
    tile = file_of("openai", 1000, 2)
    before = machine.peak_rss(os.getpid())
    found = sum(1 for _ in requests("openai", tile, rows // 1000 * len(tile)))
    if found != rows:
        raise BenchFailed(f"{found} rows read of {rows}")
    sys.stdout.write(json.dumps([before, machine.peak_rss(os.getpid())]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
