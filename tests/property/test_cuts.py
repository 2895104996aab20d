"""Any cut of any file in any format gives the rows of whoever reads it in one go, each once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchmill.adapters.parquet import ParquetTables
from batchmill.contracts.plan import PinnedObject, PlanDocument
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.formats import Format
from batchmill.domain.request import Row
from batchmill.domain.span import Span, gap
from batchmill.domain.starts import Start, Starts, starts
from batchmill.steps.planning import cutting
from batchmill.steps.planning.cutting import Cutting, Target
from batchmill.steps.shard import reading
from batchmill.steps.shard.reading import span_rows
from fakes.objects import MemoryObjects

MARK = b"\xef\xbb\xbf"
TOKENS = [
    *[b'"', b'"', b'""', b",", b",", b"\t", b"\n", b"\n", b"\r\n", b"\r", b"a", b" ", b"\x00", b"\xff", b'"\n', b'\n"'],
    *[b"x" * 9, "né\n".encode(), b'{"a": 1}\n', b'{"a": "\\ud800"}', b"[1]\n", b'{"a": NaN}\n', b"1,2\n", b'"q",2\n'],
    b'{"custom_id": "i", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}}\n',
]
FILES = st.builds(
    lambda mark, tokens: mark + b"".join(tokens),
    st.sampled_from([b"", b"", MARK]),
    st.lists(st.sampled_from(TOKENS), max_size=40),
)
HEADERS = {"csv": MARK + b'\n\r\n"a",b\n', "tsv": b"\n\na\tb\r\n"}
LINE_FORMATS: list[Format] = ["openai", "jsonl", "csv", "tsv", "text"]


@dataclass(frozen=True)
class Inputs:
    """Objects of one format, and how they are read. `limit`: bytes of a record."""

    bodies: Sequence[bytes]
    form: Format
    quoted_newlines: bool = True
    header_line: bool = False
    limit: int = 30

    @property
    def delimiter(self) -> str:
        return "\t" if self.form == "tsv" else ","

    def document(self, items: Sequence[PinnedObject]) -> PlanDocument:
        spec = BatchSpec.model_validate(
            {"endpoint": "/v1/embeddings", "csv": {"quoted_newlines": self.quoted_newlines}, "input": "x"}
        )
        return PlanDocument(
            batch_id="b",
            run=0,
            spec=spec,
            format=self.form,
            objects=tuple(items),
            columns=(),
            header=("a", "b"),
            delimiter=self.delimiter,
            header_line=self.header_line,
            shards=0,
            rows_estimated=0,
            model="",
            fingerprint="",
        )

    def put(self) -> tuple[MemoryObjects, list[PinnedObject]]:
        objects, items = MemoryObjects(), []
        for n, body in enumerate(self.bodies):
            objects.put("input", f"{n}", body)
            etag = objects.head("input", f"{n}").etag
            items.append(PinnedObject(bucket="input", key=f"{n}", size=len(body), etag=etag))
        return objects, items

    def rows(self, objects: MemoryObjects, items: Sequence[PinnedObject], spans: Sequence[Span]) -> list[list[Row]]:
        """Of each object, from the spans in order, without their numbers within the shard."""
        document, found = self.document(items), [list[Row]() for _ in items]
        for span in spans:
            read = list(span_rows(objects, ParquetTables(objects), document, span, self.limit))
            assert [row.row for row in read] == list(range(len(read)))
            found[span.object] += [row._replace(row=0) for row in read]
        return found


@contextmanager
def small_reads(block: int, counted: int) -> Iterator[None]:
    """Reads of `block` bytes, so that files of a few bytes have several; lines counted in files of up to `counted`."""
    with (
        mock.patch.multiple(reading, BLOCK_BYTES=block, TAIL_BYTES=max(1, block // 2)),
        mock.patch.multiple(cutting, BLOCK_BYTES=block, TAIL_BYTES=max(1, block // 2), COUNTED_BYTES=counted),
    ):
        yield


def blind(rows: Sequence[Row]) -> list[Row]:
    """Rows as they are where no line was counted."""
    return [
        row._replace(line=None, error=row.error and replace(row.error, message=row.error.message.split(": ", 1)[1]))
        for row in rows
    ]


@settings(max_examples=400, deadline=None)
@given(
    bodies=st.lists(FILES, min_size=1, max_size=3),
    form=st.sampled_from(LINE_FORMATS),
    quoted_newlines=st.booleans(),
    header_line=st.booleans(),
    target=st.integers(1, 60),
    limit=st.sampled_from([5, 13, 30, 1000]),
    block=st.integers(1, 40),
    counted=st.sampled_from([0, 10**6]),
    stop=st.integers(0, 6),
)
@example([MARK + b'"a\nb",1\n1,2\n'], "csv", True, False, 4, 1000, 2, 0, 1)
@example([b'a,b\n"x\n' * 9], "csv", True, False, 7, 13, 5, 0, 0)
def test_any_cut_of_files_of_lines_gives_every_row_once(
    bodies: list[bytes],
    form: Format,
    quoted_newlines: bool,
    header_line: bool,
    target: int,
    limit: int,
    block: int,
    counted: int,
    stop: int,
) -> None:
    header_line = header_line and form in ("csv", "tsv") and limit > 13
    bodies = [HEADERS[form] + body for body in bodies] if header_line else bodies
    inputs = Inputs(bodies, form, quoted_newlines, header_line, limit)
    objects, items = inputs.put()
    multiline = form in ("csv", "tsv") and quoted_newlines
    whole = [Span(n, 0, item.size, 1) for n, item in enumerate(items) if item.size]
    with small_reads(block, counted):
        cuts = Cutting(
            objects, items, Target(target, 0), delimiter=inputs.delimiter if multiline else None, limit=limit
        )
        spans = list(cuts.spans())
        assert gap(spans, [item.size for item in items]) is None
        for n in range(stop, len(spans), 7):
            assert list(cuts.spans(spans[n])) == spans[n + 1 :]
        found, wanted = inputs.rows(objects, items, spans), inputs.rows(objects, items, whole)
    for read, right in zip(found, wanted, strict=True):
        assert blind(read) == blind(right)
    if multiline or counted:
        assert found == wanted


@settings(max_examples=200, deadline=None)
@given(
    body=FILES,
    form=st.sampled_from(LINE_FORMATS),
    header_line=st.booleans(),
    cuts=st.lists(st.integers(1, 200), max_size=3),
    target=st.integers(1, 60),
    marked=st.lists(st.booleans(), min_size=4, max_size=4),
    block=st.integers(1, 40),
)
def test_pieces_laid_anew_give_the_rows_of_the_whole_with_its_lines(
    body: bytes,
    form: Format,
    header_line: bool,
    cuts: list[int],
    target: int,
    marked: list[bool],
    block: int,
) -> None:
    header_line = header_line and form in ("csv", "tsv")
    head = HEADERS[form] if header_line else b""  # which lies in the first piece, all of them being large
    body, cuts = head + body, sorted(len(head) + cut for cut in cuts)
    inputs = Inputs([body], form, header_line=header_line)
    objects, (whole,) = inputs.put()
    delimiter = inputs.delimiter if form in ("csv", "tsv") else None
    begins = sorted({(0, 1), *_found(body, cuts, delimiter, inputs.limit)})
    items, marks = [], {}
    for n, ((begin, line), (end, _)) in enumerate(pairwise([*begins, (len(body), 0)])):
        piece = body[begin:end]
        objects.put("data", f"laid/{n}", piece)
        etag = objects.head("data", f"laid/{n}").etag
        items.append(
            PinnedObject(
                bucket="data", key=f"laid/{n}", size=len(piece), etag=etag, source="s3://input/0", first_line=line
            )
        )
        if marked[n]:
            marks[n] = [
                (at, line + number - 1)
                for at, number in _found(piece, range(0, len(piece), 7), delimiter, inputs.limit)
            ]
    with small_reads(block, 0):
        cutter = Cutting(objects, items, Target(target, 0), delimiter=delimiter, marks=marks, limit=inputs.limit)
        spans = list(cutter.spans())
        assert gap(spans, [item.size for item in items]) is None
        found = [row for rows in inputs.rows(objects, items, spans) for row in rows]
        wanted = inputs.rows(objects, [whole], [Span(0, 0, len(body), 1)] if body else [])[0]
    assert [row._replace(offset=0) for row in found] == [row._replace(offset=0) for row in wanted]


def _found(body: bytes, marks: Sequence[int], delimiter: str | None, limit: int) -> Iterator[Start]:
    return (found for found in starts([body], marks, Starts(delimiter, limit=limit)) if 0 < found[0] < len(body))


FIELD = st.text(st.sampled_from('ab,;"\n \r\té\x00'), max_size=6)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(FIELD, FIELD), max_size=15),
    form=st.sampled_from(["csv", "tsv"]),
    terminator=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from([b"", MARK]),
    target=st.integers(1, 60),
    block=st.integers(1, 40),
)
def test_a_well_formed_csv_is_read_as_it_was_written_wherever_it_is_cut(
    rows: list[tuple[str, str]], form: Format, terminator: str, mark: bytes, target: int, block: int
) -> None:
    out = io.StringIO()
    delimiter = "\t" if form == "tsv" else ","
    # All is quoted: the writer leaves a lone carriage return bare, which is no RFC 4180.
    writer = csv.writer(out, delimiter=delimiter, lineterminator=terminator, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b"), *rows])
    inputs = Inputs([mark + out.getvalue().encode()], form, header_line=True, limit=1000)
    objects, items = inputs.put()
    with small_reads(block, 0):
        spans = list(Cutting(objects, items, Target(target, 0), delimiter=delimiter, limit=1000).spans())
        (found,) = inputs.rows(objects, items, spans)
    assert [row.columns for row in found] == [{"a": a, "b": b} for a, b in rows]


CELLS = st.tuples(st.none() | st.text(max_size=4), st.none() | st.lists(st.text(max_size=2), max_size=3))


@settings(max_examples=60, deadline=None)
@given(
    columns=st.lists(CELLS, max_size=30),
    groups=st.integers(1, 12),
    target=st.integers(1, 12),
    compression=st.sampled_from(["none", "zstd", "snappy"]),
)
def test_any_cut_of_a_table_gives_every_row_once_and_is_no_larger_than_asked(
    columns: list[tuple[str | None, list[str] | None]], groups: int, target: int, compression: str
) -> None:
    schema = pa.schema([("text", pa.string()), ("tags", pa.list_(pa.string()))])
    rows = [{"text": text, "tags": tags} for text, tags in columns]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, row_group_size=groups, compression=compression)
    inputs = Inputs([sink.getvalue(), sink.getvalue()], "parquet")
    objects, items = inputs.put()
    tables = ParquetTables(objects)
    footers = {n: tables.footer(reading.pinned(item)) for n, item in enumerate(items)}
    items = [item.model_copy(update={"rows": len(rows)}) for item in items]
    cuts = Cutting(objects, items, Target(0, target), footers=footers)
    spans = list(cuts.spans())
    assert gap(spans, [len(rows)] * 2) is None
    assert all(0 < span.size <= target for span in spans)
    for n in range(0, len(spans), 5):
        assert list(cuts.spans(spans[n])) == spans[n + 1 :]
    for found in inputs.rows(objects, items, spans):
        assert [row.columns for row in found] == rows
        assert [row.offset for row in found] == list(range(len(rows)))
